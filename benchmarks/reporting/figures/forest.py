"""The answer as a forest plot: DSD's gain over the control in every planned row, divided by the paper's claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks import paper
from benchmarks.analysis import answers, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.evidence_plan import PLANNED
from benchmarks.reporting import display_names, formatting, verdict_words
from benchmarks.reporting.figures import canvas
from benchmarks.reporting.figures.canvas import COLOURS
from benchmarks.statistics.crossed import relative
from benchmarks.statistics.intervals import MINIMUM_SEEDS

FRAME = (-0.5, 1.5)
"""The range of gains that the figure shows, in claims."""


def draw(groups: Sequence[Group], path: Path) -> None:
    """Draw the gain of each group of results: a dot per seed and, for three or more seeds, mean and interval.

    The unit is the paper's claim: 0 is no gain, 1 the claimed share of the control's metric. Gains without a verdict are hollow
    and grey. What lies beyond `FRAME` ends there in an arrow with its value. Planned rows without a trial have a line without a
    gain.
    """
    rows = answers.rows(groups)
    missing = [paper.ROWS[row].network for row in PLANNED if all(group.key.row != row for group in groups)]
    with canvas.blank(7.5, 1.5 + 0.37 * (len(groups) + len(missing))) as figure:
        ax = figure.subplots()
        marks = (("no gain ", "#999999", "right"), (" the paper's claim", COLOURS["control"], "left"))
        for at, (label, colour, side) in enumerate(marks):
            ax.axvline(at, color=colour, linewidth=1, linestyle="--", zorder=0)
            ax.text(at, 1.01, label, transform=ax.get_xaxis_transform(), color=colour, ha=side)
        ax.axvline(0.5, color=COLOURS["control"], linewidth=0.6, linestyle=":", zorder=0)
        open_, beyond = False, False
        for y, group in enumerate(groups):
            row = answers.row_of(group, rows)
            hollow = row is None or bool(row.lacks)
            seeds, interval = _shares(group)
            colour = canvas.QUIET if hollow else COLOURS["dsd"]
            canvas.gain(ax, y, seeds, interval, colour, hollow=hollow)
            open_, beyond = open_ or hollow, _arrows(ax, y, [*seeds, *(interval or ())], colour, hollow) or beyond
            ax.text(1.03, y, _label(group, row), transform=ax.get_yaxis_transform(), va="center", fontsize=8)
        for y in range(len(groups), len(groups) + len(missing)):
            where = ax.get_yaxis_transform()
            ax.text(1.03, y, "no planned trial yet", transform=where, color="#999999", va="center", fontsize=8)
        names = [display_names.network(group) for group in groups]
        ax.set_yticks(range(len(names) + len(missing)), [*names, *missing])
        ax.set_ylim(len(names) + len(missing) - 0.5, -0.5)
        ax.set_xlim(*FRAME)
        ax.set_xticks([-0.5, 0, 0.5, 1, 1.5])
        ax.set_xlabel("gain over the control, divided by the paper's claim")
        small = {
            "Dots: seeds. Diamond and line: mean and 95 % interval, for three seeds or more. Dotted: half the claim.": True,
            "Hollow and grey: no verdict.": open_,
            "Arrow: the gain is beyond the frame, at the number.": beyond,
            "For speech, the gain after two iterations is divided by the paper's gain after one.": any(
                group.paper and group.paper.iterated and summary.count_iterations(group) > 1 for group in groups
            ),
        }
        told = " ".join(sentence for sentence, applies in small.items() if applies)
        canvas.titled(figure, "Does DSD beat ordinary training of equal budget?", told)
        canvas.save(figure, path, canvas.records_of(groups), verdict_words.standings(groups))


def _label(group: Group, row: Row | None) -> str:
    """Return the gain with its unit and, below, the number of seeds or why there is no verdict."""
    unit = display_names.metric_name(group.metric, group).removesuffix(" %")
    gain = f"{formatting.gain(group)} points of {unit}"
    if row is None:
        return f"{gain}\nno verdict: n = {len(summary.gains(group, 'dsd', 'control'))}, not in the plan"
    reasons = [f"n = {row.have} of {row.wanted.seeds}"]
    if not row.lacks:
        return f"{gain}\n{reasons[0]}"
    if row.gate is None or not row.gate.holds:
        fails = "gate fails so far" if row.left else "gate fails"
        reasons.append(fails if row.gate else "gate not computed")
    elif not row.left:
        reasons.append(verdict_words.reasons(row))
    return f"{gain}\nno verdict: {', '.join(reasons)}"


def _arrows(ax: Axes, y: float, values: Sequence[float], colour: str, hollow: bool) -> bool:
    """Draw an arrow at each end of the frame that a row's values exceed, with the farthest one. Return whether there is any."""
    low, high = FRAME
    ends = [(low, "<", "left", min(values))] if min(values) < low else []
    ends += [(high, ">", "right", max(values))] if max(values) > high else []
    for at, marker, side, value in ends:
        face = "none" if hollow else colour
        ax.scatter([at], [y], s=36, marker=marker, facecolors=face, edgecolors=colour, clip_on=False, zorder=5)
        text = formatting.number(value, digits=1)
        inwards = 7 if at == low else -7
        ax.annotate(
            text, (at, y), (inwards, 3), textcoords="offset points", ha=side, va="bottom", color=colour, fontsize=8
        )
    return bool(ends)


def _shares(group: Group) -> tuple[list[float], tuple[float, float] | None]:
    """Return the gain of each seed and, from three on, the interval of their mean, divided by the paper's claim."""
    assert group.paper is not None, "only results are drawn"
    claim, gains = paper.claim_of(group.paper).share, summary.gains(group, "dsd", "control")
    control = summary.average([one.arms["control"].test[group.metric] for one in group.records if one.seed in gains])
    measured = summary.measured(group) if len(gains) >= MINIMUM_SEEDS else None
    share = relative(measured) if measured else None
    interval = (share.low / claim, share.high / claim) if share and math.isfinite(share.low + share.high) else None
    return [gain / control.mean / claim for gain in gains.values()], interval
