"""Every table of the results, as a pure function of the records: the door to the modules that make them.

The files of a results folder are whatever `render` returns, byte for byte, so that `check` finds a table that was
edited by hand or not made again.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE
from rich.console import Group as Renderables
from rich.table import Table
from rich.text import Text

from benchmarks.analysis import answers, iterations, sensitivity, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group, group_records
from benchmarks.arms import registry
from benchmarks.arms.registry import ARMS
from benchmarks.records.schema import Record
from benchmarks.reporting import formatting, group_names, headings, wording

_WIDTH = 64  # columns that the table in the terminal takes at least, and its title at most
_LABEL = 14  # of those, what the longest of our own arms' names takes


def terminal(records: Sequence[Record], row: str) -> Renderables:
    """Return what to print at the end of a run, 80 columns wide: a table of `row` for each group."""
    groups = group_records(records)
    answered = answers.rows(groups)
    found = [group for group in groups if group.key.row == row]
    shortened = "it.: iteration.\n" if any(summary.count_iterations(group) > 1 for group in found) else ""
    rule = Text(f"Control: equal budget. {shortened}{wording.SELECTION}", style="dim italic")
    return Renderables(*(_terminal(group, answered) for group in found), rule)


def _terminal(group: Group, answered: Mapping[str, Row]) -> Table:
    """Return the arms of one group, with gains and verdict."""
    title = [group.key.row, *textwrap.wrap(group_names.title(group), _WIDTH)]
    # Text, not str, throughout: rich would read names of arms and data for markup.
    table = Table(title=Text("\n".join(title)), box=SIMPLE, padding=(0, 1, 0, 0), min_width=_WIDTH)
    stages = {_short(label): (label, cells) for label, cells in summary.stages(group).items()}
    longest = min(_LABEL, max(map(len, stages)))  # of ours, all of which fit: the verdict is rather broken than they
    table.add_column("arm", min_width=longest, max_width=20, overflow="fold")
    metric = headings.metric_name(group.metric, group).replace(" (", "\n(")
    for heading in (f"test\n{metric}", "n", "gain over\nbaseline", "gain over\ncontrol"):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    table.add_column("verdict", min_width=8)
    arms = {label: name for name, label in summary.LABELS.items()}
    middle = {
        f"DSD, {stage.name.split(', ')[1]}": stage for stage in iterations.stages(group) if stage.kind == "redense"
    }
    for short, (label, cells) in stages.items():
        arm, cell = arms.get(label), cells.get(group.metric)
        gain, over_control, verdict = formatting.NONE, formatting.NONE, ""
        if arm and arm != registry.DENSE and summary.over_baseline(group):
            gain = formatting.mean_sd(summary.compare(group, arm, registry.DENSE), signed=True)
        if arm == "dsd":
            over_control = formatting.gain(group).replace(" [", "\n[")
            verdict = answers.standing(group, answered)
        elif label in middle and middle[label].gain:
            over_control = formatting.interval(middle[label].gain).replace(" [", "\n[")
            verdict = "secondary"
        count = str(cell.n) if cell else "0"
        table.add_row(*(Text(part) for part in (short, formatting.mean_sd(cell), count, gain, over_control, verdict)))
    for one in sensitivity.choices(group):
        if one.arm not in summary.main_arms(group):
            over, standing = formatting.NONE, f"over control, {ARMS[one.over].reference}"
            if one.over == "control":  # else the control's own gain over the baseline is in no line
                over, standing = (
                    formatting.mean_sd(summary.compare(group, one.arm, registry.DENSE), signed=True),
                    "secondary",
                )
            gain = formatting.interval(one.gain).replace(" [", "\n[")
            line = (registry.label(one.arm), formatting.mean_sd(one.test), str(one.test.n), over, gain, standing)
            table.add_row(*map(Text, line))
    return table


def _short(label: str) -> str:
    return label.removesuffix(" (equal budget)").replace(", iteration", ", it.")
