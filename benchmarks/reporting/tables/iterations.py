"""DSD with several iterations: all arms at the end of every phase, and the paper's comparison."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.analysis import iterations, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.iterations import Stage, Unequal
from benchmarks.analysis.summary import LABELS
from benchmarks.arms import registry
from benchmarks.paper import Row as Published
from benchmarks.reporting.display_names import metric_name
from benchmarks.reporting.document import NONE, PRINT, Cell, Column, Table, table
from benchmarks.reporting.formatting import averaged, interval, number, p_value, paper_cell
from benchmarks.reporting.group_names import caption
from benchmarks.reporting.tables.estimates import Quantity, quantities

_End = Stage | Unequal


def tables(group: Group, outside: bool = False) -> list[Table]:
    """Return the table of iterations, and its quantities for CSV; both are empty if the recipe has one iteration.

    The table has all arms at the end of every phase, with gains at equal epochs, and then the paper's unequal comparison.
    Trials `outside` the plan have no primary figure.
    """
    row, stages, unequal = group.paper, iterations.stages(group), iterations.unequal(group)
    lines: list[_End] = [*stages, *([unequal] if unequal else [])]
    both = summary.trials(group, "dsd", "control")
    arms = [name for name in summary.main_arms(group) if any(name in stage.tests for stage in stages)]
    columns: list[Column[_End]] = [
        Column("after", "after", lambda end: Cell(end.name if isinstance(end, Stage) else "the paper's comparison")),
        Column("epochs", "total epochs", lambda end: Cell(_epochs(end))),
        *(_arm(name) for name in arms),
        Column("gain", "gain over control, equal epochs", lambda end: Cell(_gain(end), trials=both)),
        Column("n", "n", lambda end: Cell(str(_n(end)), trials=both)),
        *(
            [Column("p", "p", lambda end: Cell(p_value(end.gain.p if end.gain else None), trials=both))]
            if group.quotable
            else []
        ),
        Column("standing", "standing", lambda end: Cell(_standing(end, outside))),
        *(_published(row, metric) for metric in (row.sets if row else ())),
    ]
    said = _sentences(group, stages, unequal, outside)
    shown = table(
        columns,
        lines,
        PRINT,
        sentences=said,
        caption=caption(group, f"By iteration, {metric_name(group.metric, group)}", said),
    )
    return [shown, quantities(_quantities(group, stages, unequal))]


def _epochs(end: _End) -> str:
    return f"{end.epochs:g}" if isinstance(end, Stage) else " against ".join(f"{e:g}" for e in end.epochs)


def _arm(name: str) -> Column[_End]:
    def cell(end: _End) -> Cell:
        tests = end.tests if isinstance(end, Stage) else {"dsd": end.dsd, "control": end.control}
        return averaged(tests.get(name))

    return Column(name, registry.label(name), cell)


def _gain(end: _End) -> str:
    return interval(end.gain) if isinstance(end, Stage) else f"UNEQUAL epochs: {interval(end.gain)}"


def _n(end: _End) -> int:
    if end.gain:
        return end.gain.n
    return max((one.n for one in end.tests.values()), default=0) if isinstance(end, Stage) else 0


def _standing(end: _End, outside: bool) -> str:
    if isinstance(end, Unequal):
        return "secondary, UNEQUAL budgets"
    if end.gain is None:
        return NONE
    return ("none" if outside else "primary") if end.last else "secondary"


def _published(row: Published | None, metric: str) -> Column[_End]:
    """Return the column of the paper's figures with their total epochs and, if the paper compares them, baseline and gain."""
    assert row is not None

    def cell(end: _End) -> Cell:
        unequal = isinstance(end, Unequal)
        stage = row.stage(end.kind, end.iteration) if isinstance(end, Stage) else "DSD"
        figure = row.stages[stage].get(metric) if stage else None
        if figure is None or stage is None:
            return Cell()
        text = f"{paper_cell(figure)} ({row.epochs[stage]} epochs)" if stage in row.epochs else paper_cell(figure)
        baseline = row.stages["Baseline"].get(metric)
        equal = stage == "DSD" if unequal else row.epochs.get(stage) == row.epochs.get("Baseline")
        if baseline and equal and row.epochs:
            gain = (baseline.value - figure.value) * (1 if row.lower_is_better else -1)
            text += f" against {paper_cell(baseline)} ({row.epochs['Baseline']}): {number(gain, True)}"
        return Cell(text)

    return Column(f"paper_{metric}", f"the paper's, on {row.sets[metric]}", cell)


def _sentences(group: Group, stages: list[Stage], unequal: Unequal | None, outside: bool) -> str:
    """Return the explanation of the table of iterations."""
    text = (
        "All arms at the end of every phase, with DSD's gain over the control at equal epochs. After S, the network is tested "
        "with its mask."
    )
    if any(stage.gain and stage.gain.n > 1 for stage in stages):
        text += " Intervals and p-values are from t over seeds."
    if not outside:
        text += "".join(f" The primary figure is the line *{stage.name}*." for stage in stages if stage.last)
    if group.key.start != "trained":
        text += " Epochs count from the given dense start."
    row = group.paper
    if unequal:
        text += (
            " The paper compares UNEQUAL budgets: DSD after its last iteration against a baseline with fewer epochs, here "
            f"the control after iteration {unequal.iteration}. The paper's baseline keeps D's learning rate; our control uses "
            "DSD's."
        )
    if row and not row.same_data:
        text += f" The paper's figures are on other data, {' and '.join(row.sets.values())}, and not comparable."
    return text


def _quantities(group: Group, stages: list[Stage], unequal: Unequal | None) -> Iterator[Quantity]:
    over = f"gain of {LABELS['dsd']} over {LABELS['control']}"
    of = (group.metric, group.sample.unit)
    for stage in stages:
        where = f"after {stage.name} ({stage.epochs:g} epochs)"
        for name, found in stage.tests.items() if stage.iteration else ():  # D is exported with the arms
            yield Quantity(group, f"{registry.label(name)} {where}", *of, found)
        if stage.gain:
            yield Quantity(group, f"{over} {where}", *of, stage.gain)
    if unequal:
        ours, theirs = unequal.epochs
        name = f"{over} after {ours:g} against {theirs:g} epochs (UNEQUAL budgets, the paper's comparison)"
        row = group.paper
        published = (row.overview.absolute, row.overview.mark) if row else None
        yield Quantity(group, name, *of, unequal.gain, published=published)
