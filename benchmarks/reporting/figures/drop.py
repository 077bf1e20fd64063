"""The drop at pruning against the final gain, one dot per trial, over all rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.analysis import answers, summary
from benchmarks.analysis.groups import Group
from benchmarks.records.schema import Record
from benchmarks.reporting import display_names, verdict_words
from benchmarks.reporting.figures import canvas
from benchmarks.reporting.tables.gate import drops

_LOOKS = (
    *(("o", "#D55E00"), ("s", "#0072B2"), ("D", "#009E73"), ("^", "#CC79A7")),
    *(("v", "#E69F00"), ("P", "#56B4E9"), ("X", "#000000"), ("*", "#999999")),
)
"""Marker and colour of each row."""


def draw(groups: Sequence[Group], path: Path) -> None:
    """Draw a dot for each trial of the results that has a score right after pruning (see `_point`).

    Superseded trials, and trials without this score, are left out and counted.
    """
    shown = [(group, [one for one in group.records if _has(one)]) for group in groups if group.quotable]
    shown = [(group, records) for group, records in shown if records]
    count = sum(len(records) for _, records in shown)
    left = sum(_compared(record) for record in canvas.records_of(groups)) - count
    with canvas.blank(6.0, 3.6) as figure:
        ax = figure.subplots()
        ax.axhline(0, color="#999999", linewidth=1, linestyle="--", zorder=0)
        for number, (group, records) in enumerate(shown):
            x, y = zip(*map(_point, records), strict=True)
            marker, colour = _LOOKS[number % len(_LOOKS)]
            where = ", outside the plan" if answers.outside(group, groups) else ""
            label = f"{display_names.network(group)}{where}, n = {len(records)}"
            ax.scatter(x, y, s=30, label=label, marker=marker, color=colour)
        ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
        ax.set_xlabel("drop right after pruning, % of the score after D")
        ax.set_ylabel("final gain over the control,\n% of the control's score")
        ax.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
        rows = len({group.key.row for group, _ in shown})
        few = f"{count} {'trial' if count == 1 else 'trials'} of {rows} {'row' if rows == 1 else 'rows'}"
        small = f"{few}. Left out: {left} trials that are superseded or lack the score right after pruning."
        canvas.titled(figure, "Do networks that lose more at pruning gain more in the end?", small)
        canvas.save(figure, path, canvas.records_of(groups), verdict_words.standings(groups))


def _compared(record: Record) -> bool:
    return {"dsd", "control"} <= set(record.arms)


def _has(record: Record) -> bool:
    return _compared(record) and bool(drops(record))


def _point(record: Record) -> tuple[float, float]:
    """Return a trial's drop at its first pruning in percent of D's score, and its final gain in percent of the control's."""
    assert record.dense is not None, "it has a drop"
    control, before = record.arms["control"].test, record.dense.test
    gain = summary.gain(record, control, record.arms["dsd"].test)
    return 100 * drops(record)[0] / before[record.metric], 100 * gain / control[record.metric]
