"""The table printed at the end of a run: the arms of one group, with gains and verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.analysis import iterations, sensitivity, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.arms import registry
from benchmarks.arms.registry import ARMS
from benchmarks.reporting import display_names, formatting, group_names, verdict_words
from benchmarks.reporting.document import NONE, TERMINAL, Cell, Column, Table, table
from benchmarks.statistics.intervals import Paired


@dataclass(frozen=True)
class _Ending:
    label: str
    tested: Average | None
    over_baseline: Paired | None = None
    over_control: str = NONE
    standing: str = ""


def end_of_run(group: Group, rows: Mapping[str, Row]) -> Table:
    """Return the table of a group for a narrow terminal."""
    metric = display_names.metric_name(group.metric, group).replace(" (", "\n(")
    columns: list[Column[_Ending]] = [
        Column(
            "arm", "arm", lambda arm: Cell(arm.label.removesuffix(" (equal budget)").replace(", iteration", ", it."))
        ),
        Column("test", f"test\n{metric}", lambda arm: formatting.averaged(arm.tested)),
        Column("n", "n", lambda arm: Cell(str(arm.tested.n if arm.tested else 0))),
        Column("over_baseline", "gain over\nD", lambda arm: Cell(formatting.mean_sd(arm.over_baseline, signed=True))),
        Column("over_control", "gain over\ncontrol", lambda arm: Cell(arm.over_control)),
        Column("verdict", "verdict", lambda arm: Cell(arm.standing)),
    ]
    lines = [*_main(group, rows), *_others(group)]
    return table(columns, lines, TERMINAL, caption=f"{group.key.row}\n{group_names.title(group)}")


def _main(group: Group, rows: Mapping[str, Row]) -> Iterator[_Ending]:
    arms = {label: name for name, label in LABELS.items()}
    middle = {
        f"DSD, {stage.name.split(', ')[1]}": stage for stage in iterations.stages(group) if stage.kind == "redense"
    }
    for label, cells in summary.stages(group).items():
        arm, over_baseline, over_control, standing = arms.get(label), None, NONE, ""
        if arm and arm != registry.DENSE and summary.over_baseline(group):
            over_baseline = summary.compare(group, arm, registry.DENSE)
        if arm == "dsd":
            over_control, standing = formatting.gain(group), verdict_words.standing(group, rows)
        elif label in middle and middle[label].gain:
            over_control, standing = formatting.interval(middle[label].gain), "secondary"
        yield _Ending(label, cells.get(group.metric), over_baseline, over_control, standing)


def _others(group: Group) -> Iterator[_Ending]:
    for one in sensitivity.choices(group):
        if one.arm not in summary.main_arms(group):
            over, standing = None, f"over control, {ARMS[one.over].reference}"
            if one.over == "control":  # only the control has a line with its own gain over D
                over, standing = summary.compare(group, one.arm, registry.DENSE), "secondary"
            yield _Ending(registry.label(one.arm), one.test, over, formatting.interval(one.gain), standing)
