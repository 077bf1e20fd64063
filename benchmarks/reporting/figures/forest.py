"""Forest plot of the paired gains: DSD over control, DSD over baseline, and control over baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from matplotlib.axes import Axes

from benchmarks.analysis import iterations, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms.registry import DENSE
from benchmarks.reporting import group_names, headings
from benchmarks.reporting.figures.canvas import COLOURS
from benchmarks.statistics.intervals import Paired

_UNEQUAL = "unequal"
_PAIRS: dict[str, tuple[str, str]] = {
    "control": ("dsd", "control"),
    DENSE: ("dsd", DENSE),
    "longer": ("control", DENSE),
}
_LOOKS = {
    "control": ("s", COLOURS["dsd"], "DSD over control (equal budget): mean, 95 % interval"),
    DENSE: ("o", COLOURS[DENSE], "DSD over baseline"),
    "longer": ("D", COLOURS["control"], "control over baseline"),
    _UNEQUAL: ("^", "#A65E00", "DSD over shorter control (UNEQUAL, as in the paper)"),
}


def draw(ax: Axes, groups: Sequence[Group], claims: Mapping[str, float]) -> None:
    """Draw each group's gains with seeds and intervals, one line per comparison.

    `claims` maps row to the paper's gain as a share of the figure it improves on. It is drawn as that share of our control.
    """
    labels: list[str] = []
    drawn: list[tuple[float, float, float, float, str]] = []  # low, mean, high, y, colour
    needed = [0.0]
    for row, group in enumerate(groups):
        found = {name: list(summary.gains(group, *pair).values()) for name, pair in _PAIRS.items()}
        if summary.over_baseline(group) is None:  # never show one without the other
            found |= {DENSE: [], "longer": []}
        unequal = iterations.unequal(group)
        found |= {_UNEQUAL: list(unequal.gains)} if unequal else {}
        offsets = (-0.3, -0.1, 0.1, 0.3) if unequal else (-0.24, 0.0, 0.24)
        for (over, seeds), offset in zip(found.items(), offsets, strict=True):
            paired = summary.paired(group, seeds)
            if paired is None:
                continue
            (marker, colour, label), y = _LOOKS[over], row + offset
            dots = "one seed (dots)" if over == "control" else None
            ax.scatter(seeds, [y + 0.08] * len(seeds), s=11, color=colour, alpha=0.75, linewidths=0, label=dots)
            low, high = _ends(group, over, paired)
            drawn.append((min(low, *seeds), paired.mean, max(high, *seeds), y, colour))
            needed += [low, high, *seeds] if over == "control" else []
            if low < high:  # with caps: an interval may be narrower than the marker
                error = [[max(0.0, paired.mean - low)], [max(0.0, high - paired.mean)]]
                ax.errorbar([paired.mean], [y], xerr=error, color=colour, linestyle="none", capsize=3)
            ax.scatter([paired.mean], [y], s=14, marker=marker, color=colour, label=label, zorder=3)
        for claim, offset, label in _claims(group, claims, offsets):
            needed.append(claim)
            look = COLOURS["control"]
            ax.scatter([claim], [row + offset], s=220, marker="|", color=look, label=label, zorder=4)
        primary = summary.primary(group)
        n = primary.n if primary else len(group.records)
        unit = headings.metric_name(group.metric, group)
        labels.append(
            f"{headings.network(group)}, {unit}\n{group.key.scale}: {group_names.where(group, groups)}, n = {n}"
        )
    ax.axvline(0, color="#999999", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(groups)), labels, fontsize=8)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.margins(x=0.08)
    _frame_primary(ax, needed, drawn)


def _claims(group: Group, claims: Mapping[str, float], offsets: Sequence[float]) -> Iterator[tuple[float, float, str]]:
    """Yield position, line and label of the paper's figure; nothing for superseded groups."""
    control = summary.stages(group).get(LABELS["control"], {}).get(group.metric)
    if group.section == "regime" and control and group.key.row in claims:
        yield claims[group.key.row] * control.mean, offsets[0], "the paper's claim, as a share of our control"
    if group.section == "paper" and group.paper and group.paper.overview.verified:
        offset = offsets[-1] if len(offsets) > len(_PAIRS) else offsets[1]
        yield group.paper.overview.absolute, offset, "paper's gain over baseline (its data and recipe)"


def _ends(group: Group, over: str, found: Paired) -> tuple[float, float]:
    """Return the interval over seeds and test examples; over seeds only for superseded or unequal comparisons."""
    crossed = summary.crossed(group, *_PAIRS[over]) if group.quotable and over in _PAIRS else None
    if crossed:
        return crossed.low, crossed.high
    return found.interval or (found.mean, found.mean)


def _frame_primary(ax: Axes, needed: Sequence[float], drawn: Sequence[tuple[float, float, float, float, str]]) -> None:
    """Set the x range to the primary gains, the paper's and nearby secondary ones; mark outliers at the edge."""
    reach = 1.5 * max(map(abs, needed))
    needed = [*needed, *(mean for _, mean, _, _, _ in drawn if abs(mean) <= reach)]
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
