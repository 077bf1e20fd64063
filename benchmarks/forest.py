"""The paired gains of DSD, a line each: what the verdicts rest on, as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from benchmarks import iterations, overview, render, summary
from benchmarks.canvas import COLOURS
from benchmarks.group import Group
from benchmarks.summary import DENSE

_UNEQUAL = "unequal"
_OVER = {
    "control": ("s", COLOURS["dsd"], "DSD over control (equal budget): mean, 95 % interval"),
    DENSE: ("o", COLOURS[DENSE], "DSD over baseline: mean, 95 % interval"),
    _UNEQUAL: ("^", "#A65E00", "DSD over shorter control (UNEQUAL, as the paper)"),
}


def draw(ax: Axes, groups: Sequence[Group]) -> None:
    """Draw the gains of each group with seeds and intervals, and the paper's beside them, on lines of their own."""
    labels: list[str] = []
    drawn: list[tuple[float, float, float, float, str]] = []  # low, mean, high, y, colour
    needed = [0.0]
    for row, group in enumerate(groups):
        found = {over: list(summary.gains(group, "dsd", over).values()) for over in ("control", DENSE)}
        unequal = iterations.unequal(group)
        found |= {_UNEQUAL: list(unequal.gains)} if unequal else {}
        offsets = (-0.28, 0.0, 0.28) if unequal else (-0.16, 0.16)
        for (over, seeds), offset in zip(found.items(), offsets, strict=True):
            paired = summary.paired(group, seeds)
            if paired is None:
                continue
            (marker, colour, label), y = _OVER[over], row + offset
            dots = None if over == _UNEQUAL else "one seed (dots)"  # the legend shows the last one's colour
            ax.scatter(seeds, [y + 0.1] * len(seeds), s=11, color=colour, alpha=0.75, linewidths=0, label=dots)
            half = paired.half_width or 0.0
            ends = paired.mean - half, paired.mean + half
            drawn.append((min(*ends, *seeds), paired.mean, max(*ends, *seeds), y, colour))
            needed += [*ends, *seeds] if over == "control" else []
            if half:  # with caps: an interval may be narrower than the mark of its mean
                ax.errorbar([paired.mean], [y], xerr=[half], color=colour, linestyle="none", capsize=3.5)
            ax.scatter(
                [paired.mean],
                [y],
                s=16,
                marker=marker,
                color=colour,
                label=label,
                zorder=3,
            )
        if group.paper and group.paper.overview.verified:
            claim = group.paper.overview.absolute
            needed.append(claim)
            ax.scatter(
                [claim],
                [row + offsets[-1]],
                s=220,
                marker="|",
                color=COLOURS["control"],
                label="paper's gain over baseline (its data and recipe)",
                zorder=4,
            )
        primary = summary.primary(group)
        n = primary.n if primary else len(group.records)
        unit = render.metric_name(group.metric, group)
        labels.append(f"{render.network(group)}, {unit}\n{group.key.scale}: {overview.where(group, groups)}, n = {n}")
    ax.axvline(0, color="#999999", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(groups)), labels, fontsize=8)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.margins(x=0.08)
    _frame_primary(ax, needed, drawn)


def _frame_primary(ax: Axes, needed: Sequence[float], drawn: Sequence[tuple[float, float, float, float, str]]) -> None:
    """Frame what must be seen, the primary gains and the paper's; a secondary one that is far out is marked at the edge."""
    room = 0.12 * (max(needed) - min(needed)) or 1.0
    left, right = min(needed) - room, max(needed) + room
    if all(left <= low and high <= right for low, _, high, _, _ in drawn):
        return
    ax.set_xlim(left, right)
    for low, mean, high, y, colour in drawn:
        for out, x, side in ((low < left, left, "left"), (high > right, right, "right")):
            if out:
                ax.scatter([x], [y], s=30, marker="<" if side == "left" else ">", color=colour, clip_on=False, zorder=3)
            if out and not left <= mean <= right and (mean < left) == (side == "left"):
                ax.text(x, y, f"  {mean:+.1f}  ", ha=side, va="bottom", color=colour, fontsize=8)
