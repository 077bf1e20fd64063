"""The arms of one group with every metric, beside the paper's figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks import paper
from benchmarks.analysis import metrics, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import Average
from benchmarks.arms import registry
from benchmarks.paper import Row as Published
from benchmarks.reporting.display_names import metric_name, paper_heading
from benchmarks.reporting.document import NONE, PRINT, Cell, Column, Line, Table, table
from benchmarks.reporting.formatting import averaged, gain, paper_cell
from benchmarks.reporting.group_names import caption
from benchmarks.reporting.tables.estimates import Quantity, quantities


@dataclass(frozen=True)
class _Tested:
    label: str
    cells: dict[str, Average]
    over_control: Cell

    @property
    def n(self) -> Cell:
        most = max(self.cells.values(), key=lambda one: one.n)
        return Cell(str(most.n), most.n, most.trials)


def tables(group: Group) -> list[Table]:
    """Return the arms of one group: one table per family of metrics, the main one first; then all means for CSV."""
    found = metrics.families(name for cells in summary.stages(group).values() for name in cells)
    return [*(_table(group, family) for family in found), quantities(_means(group))]


def _table(group: Group, family: str) -> Table:
    # Means over different seeds are not comparable between arms; paired gains are.
    over = {registry.label(arm): _over_control(group, arm) for arm in summary.main_arms(group) if arm != "control"}
    lines = [
        _Tested(label, cells, over.get(label, Cell()))
        for label, every in summary.stages(group).items()
        if (cells := {metric: one for metric, one in every.items() if metrics.family(metric) == family})
    ]
    names = metrics.ordered({metric for line in lines for metric in line.cells})
    columns: list[Column[_Tested]] = [Column("arm", "arm", lambda line: Cell(line.label))]
    columns += [metric_column(metric, group, lambda line: line.cells) for metric in names]
    columns.append(Column("n", "n", lambda line: line.n))
    if not family and any(cell.text != NONE for cell in over.values()):
        columns.append(Column("over_control", "gain over control, paired", lambda line: line.over_control))
    if row := group.paper:
        beside = [metric for metric in names if _papers(metric, group, row) in row.stages["Baseline"]]
        columns += [_published(metric, group, row) for metric in beside]
    sentences = metrics.sentence(family, group.metric)
    return table(columns, lines, PRINT, sentences=sentences, caption=caption(group, metrics.heading(family), sentences))


def metric_column(metric: str, group: Group, read: Callable[[Line], Mapping[str, Average]]) -> Column[Line]:
    """Return the column of a metric. `read` returns the averages of a line by metric."""
    heading = metric_name(metric, group, True)
    return Column(metric, heading, lambda line: averaged(read(line).get(metric), metrics.digits(metric)))


def _over_control(group: Group, arm: str) -> Cell:
    return Cell(gain(group, arm, "control"), trials=summary.trials(group, arm, "control"))


def _papers(metric: str, group: Group, row: Published) -> str:
    """Return the paper's name for one of our metrics."""
    return row.metric if metric == group.metric else metric


def _figure(label: str, metric: str, group: Group, row: Published) -> paper.Figure | None:
    return row.figure(label, _papers(metric, group, row), summary.count_iterations(group))


def _published(metric: str, group: Group, row: Published) -> Column[_Tested]:
    heading = f"{paper_heading(group)}: {metric_name(metric, group, True)}"
    return Column(f"paper_{metric}", heading, lambda line: Cell(paper_cell(_figure(line.label, metric, group, row))))


def _means(group: Group) -> Iterator[Quantity]:
    for label, cells in summary.stages(group).items():
        for metric, one in cells.items():
            figure = _figure(label, metric, group, group.paper) if group.paper else None
            published = (figure.value, figure.mark) if figure else None
            unit = metrics.unit(metric, group.metric, group.sample.unit)
            yield Quantity(group, label, metric, unit, one, published=published)
