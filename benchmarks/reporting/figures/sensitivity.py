"""The sensitivity figure: gain over the control by sparsity, and for other uses of the budget."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.analysis import sensitivity, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.sensitivity import Choice
from benchmarks.arms.registry import ARMS
from benchmarks.reporting import headings
from benchmarks.reporting.figures import canvas
from benchmarks.reporting.figures.canvas import COLOURS
from benchmarks.reporting.tables import sensitivity as sensitivity_table
from benchmarks.statistics.intervals import MINIMUM_SEEDS

_SWEPT, _OWN, _OTHER, _ZERO = "#A65E00", COLOURS["dsd"], "#009E73", COLOURS["control"]


def draw(group: Group, heading: str, path: Path, drawn_from: str) -> None:
    """Draw the gains of one group's arms over the control: by sparsity on the left, the other arms on the right.

    Shows means, one dot per seed, and 95 % intervals from two seeds on. The frame holds all seeds and all intervals over enough
    seeds for a verdict. Intervals over two seeds are far wider and may leave the frame.

    Raises:
        ValueError: no record of the group has both a sensitivity arm and the control.
    """
    found = sensitivity.choices(group)
    if not found:
        raise ValueError(f"{path.name}: no record of {group.key.row} has both a sensitivity arm and the control")
    swept = [one for one in found if one.sparsity is not None]
    others = [one for one in found if one.sparsity is None]
    with canvas.blank(7.5 if others else 4.6, max(3.6, 1.9 + 0.42 * len(others))) as figure:
        panels = [bool(swept), bool(others)]
        ratios = [of for of, there in zip((1.25, 1.0), panels, strict=True) if there]
        axes = list(figure.subplots(1, len(ratios), squeeze=False, width_ratios=ratios)[0])
        unit = f"gain over control, points of {headings.metric_name(group.metric, group).removesuffix(' %')}"
        if swept:
            _by_sparsity(axes.pop(0), swept, group, unit)
        if others:
            _list(axes.pop(0), others, unit)
        counts = sorted({len(one.gains) for one in found})
        n = f"n = {counts[0]}" + (f" to {counts[-1]}" if len(counts) > 1 else "")
        shown = "1 seed, no interval" if counts[-1] == 1 else f"mean, 95 % interval, one small dot per seed, {n}"
        text = textwrap.fill(heading, 95, break_on_hyphens=False)
        figure.suptitle(f"{text}\n{shown}; above or right of 0: better than the control", fontsize=9)
        canvas.save(figure, path, drawn_from)


def _by_sparsity(ax: Axes, swept: Sequence[Choice], group: Group, unit: str) -> None:
    ax.axhline(0, color=_ZERO, linewidth=1, linestyle="--", zorder=1)
    where = [one.sparsity or 0.0 for one in swept]
    means = [summary.average(one.gains).mean for one in swept]
    ax.plot(where, means, color="#999999", linewidth=0.9, zorder=1)
    low, high = _frame(swept)
    for x, mean, one in zip(where, means, swept, strict=True):
        own = one.arm == "dsd"
        colour, label = (_OWN, f"the recipe's own, {sensitivity_table.own_sparsity(group)}") if own else (_SWEPT, None)
        ends = _ends(one)
        if ends:
            ax.vlines(x, max(ends[0], low), min(ends[1], high), color=colour, linewidth=1.3, zorder=2)
            beyond = [(low, "v")] * (ends[0] < low) + [(high, "^")] * (ends[1] > high)
            for y, marker in beyond:
                ax.scatter([x], [y], s=26, marker=marker, color=colour, clip_on=False, zorder=3)
        if len(one.gains) > 1:
            ax.scatter([x + 1.3] * len(one.gains), one.gains, s=9, color=colour, alpha=0.75, linewidths=0, zorder=2)
        marker, size = ("D", 46) if own else ("o", 30)
        ax.scatter(
            [x],
            [mean],
            s=size,
            marker=marker,
            color=colour,
            edgecolors="#000000",
            linewidths=0.6,
            label=label,
            zorder=4 + own,  # draw the recipe's own DSD above a swept arm of the same sparsity
        )
    ax.text(99, 0, "control", color=_ZERO, ha="right", va="bottom", fontsize=8)
    ax.set_xlim(-4, 99)
    ax.set_ylim(low, high)
    ax.set_xticks(range(0, 91, 10))
    ax.set_xlabel("sparsity of S (%)")
    ax.set_ylabel(unit)
    if any(one.arm == "dsd" for one in swept):
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)


def _list(ax: Axes, others: Sequence[Choice], unit: str) -> None:
    ax.axvline(0, color=_ZERO, linewidth=1, linestyle="--", zorder=1)
    low, high = _frame(others)
    for y, one in enumerate(others):
        ends = _ends(one)
        if ends:
            ax.hlines(y, max(ends[0], low), min(ends[1], high), color=_OTHER, linewidth=1.3, zorder=2)
            for x, marker in [(low, "<")] * (ends[0] < low) + [(high, ">")] * (ends[1] > high):
                ax.scatter([x], [y], s=26, marker=marker, color=_OTHER, clip_on=False, zorder=3)
        if len(one.gains) > 1:
            ax.scatter(one.gains, [y + 0.22] * len(one.gains), s=9, color=_OTHER, alpha=0.75, linewidths=0, zorder=2)
        mean = summary.average(one.gains).mean
        ax.scatter([mean], [y], s=34, marker="s", color=_OTHER, edgecolors="#000000", linewidths=0.6, zorder=4)
    ax.set_yticks(range(len(others)), [ARMS[one.arm].short for one in others], fontsize=8)
    ax.set_ylim(len(others) - 0.4, -0.6)
    ax.set_xlim(low, high)
    ax.set_xlabel(unit.replace(", ", ",\n"))
    ax.text(0, 1.0, "control", transform=ax.get_xaxis_transform(), color=_ZERO, ha="center", va="bottom", fontsize=8)


def _ends(one: Choice) -> tuple[float, float] | None:
    return one.gain.interval if one.gain else None


def _frame(found: Sequence[Choice]) -> tuple[float, float]:
    """Return the range of all seeds, zero and the intervals over enough seeds, with a margin."""
    held = [0.0, *(gain for one in found for gain in one.gains)]
    held += [end for one in found if len(one.gains) >= MINIMUM_SEEDS for end in (_ends(one) or ())]
    margin = 0.08 * (max(held) - min(held)) or 1.0
    return min(held) - margin, max(held) + margin
