"""The arms of one group, with every metric and the paper's figures beside them."""

from __future__ import annotations

from benchmarks.analysis import metrics, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import Cell
from benchmarks.arms import registry
from benchmarks.reporting.document import Block, Line, frame
from benchmarks.reporting.formatting import NONE, gain, mean_sd, paper_cell
from benchmarks.reporting.headings import metric_name, paper_heading
from benchmarks.reporting.wording import INTRODUCTIONS


def arm_blocks(group: Group, title: str) -> list[Block]:
    """Return the arms of one group as tables of their own, one for each family of metrics."""
    return [
        block(group, f"{metrics.heading(of)}: {title}", stage_lines(group, of), metrics.sentence(of, group.metric))
        for of in metric_families(group)
    ]


def metric_families(group: Group) -> list[str]:
    """Return the families of metrics that the group has, one table each, the main one first."""
    return metrics.families(name for cells in summary.stages(group).values() for name in cells)


def stage_lines(group: Group, family: str = "") -> list[Line]:
    """Return the arms of one group with every metric of a family, the paper's figures beside them."""
    row, count = group.paper, summary.count_iterations(group)
    arms = {registry.label(name): name for name in summary.main_arms(group) if name != "control"}
    # Means of arms of unlike seeds do not compare; these gains do.
    over_control = {label: gain(group, arm, "control") for label, arm in arms.items()}
    lines = []
    found = {label: _of_family(cells, family) for label, cells in summary.stages(group).items()}
    names = metrics.ordered({metric for cells in found.values() for metric in cells})
    for label, cells in found.items():
        if not cells:
            continue
        line = {"arm": label}
        line |= {metric_name(m, group, True): mean_sd(cells.get(m), digits=metrics.digits(m)) for m in names}
        line["n"] = str(max(cell.n for cell in cells.values()))
        if not family and set(over_control.values()) - {NONE}:
            line["gain over control, paired"] = over_control.get(label, NONE)
        if row:
            for metric in names:
                ours = row.metric if metric == group.metric else metric
                if ours in row.stages["Baseline"]:
                    heading = f"{paper_heading(group)}: {metric_name(metric, group, True)}"
                    line[heading] = paper_cell(row.figure(label, ours, count))
        lines.append(line)
    return lines


def block(group: Group, heading: str, lines: list[Line], sentence: str = "") -> Block:
    """Return a table of one group under the sentence of its section."""
    return Block(heading, f"{INTRODUCTIONS[group.section]} {sentence}".rstrip(), frame(lines))


def _of_family(cells: dict[str, Cell], family: str) -> dict[str, Cell]:
    return {metric: cell for metric, cell in cells.items() if metrics.family(metric) == family}
