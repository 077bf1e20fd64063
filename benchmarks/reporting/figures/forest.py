"""The answer as a forest plot: DSD's gain over the control in every planned row, as a share of the paper's claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from benchmarks import paper
from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.evidence_plan import PLANNED
from benchmarks.reporting import display_names, formatting
from benchmarks.reporting.figures import canvas
from benchmarks.reporting.figures.canvas import COLOURS
from benchmarks.statistics.crossed import relative


def draw(groups: Sequence[Group], path: Path) -> None:
    """Draw the gain of each group of results: a dot per seed and, for three or more seeds, mean and interval.

    The unit is the paper's claim: 0 is no gain, 1 the claimed share of the control's metric. The x range covers every dot and
    interval. Planned rows without a trial have a line without a gain.
    """
    missing = [paper.ROWS[row].network for row in PLANNED if all(group.key.row != row for group in groups)]
    with canvas.blank(6.0, 1.3 + 0.36 * (len(groups) + len(missing))) as figure:
        ax = figure.subplots()
        marks = (("no gain ", "#999999", "right"), (" the paper's claim", COLOURS["control"], "left"))
        for at, (label, colour, side) in enumerate(marks):
            ax.axvline(at, color=colour, linewidth=1, linestyle="--", zorder=0)
            ax.text(at, 1.01, label, transform=ax.get_xaxis_transform(), color=colour, ha=side)
        ax.axvline(0.5, color=COLOURS["control"], linewidth=0.6, linestyle=":", zorder=0)
        for y, group in enumerate(groups):
            seeds, interval = _shares(group)
            canvas.gain(ax, y, seeds, interval, COLOURS["dsd"])
            unit = display_names.metric_name(group.metric, group).removesuffix(" %")
            wanted = PLANNED.get(group.key.row) if group.section == "regime" else None
            of = f" of {wanted.seeds}" if wanted and len(seeds) < wanted.seeds else ""
            text = f"{formatting.gain(group)}\n{unit}, n = {len(seeds)}{of}"
            ax.text(1.01, y, text, transform=ax.get_yaxis_transform(), va="center")
        for y in range(len(groups), len(groups) + len(missing)):
            ax.text(1.01, y, "no trial yet", transform=ax.get_yaxis_transform(), color="#999999", va="center")
        names = [display_names.network(group) for group in groups]
        ax.set_yticks(range(len(names) + len(missing)), [*names, *missing])
        ax.set_ylim(len(names) + len(missing) - 0.5, -0.5)
        ax.margins(x=0.06)
        ax.set_xlabel("gain over the control, in units of the paper's claim")
        small = (
            "Dots: seeds. Diamond and line: mean and 95 % interval, for three seeds or more. Dotted: half the claim."
        )
        canvas.titled(figure, "Does DSD beat ordinary training of equal budget?", small)
        canvas.save(figure, path, canvas.records_of(groups))


def _shares(group: Group) -> tuple[list[float], tuple[float, float] | None]:
    """Return the gain of each seed and the interval of their mean, as shares of the paper's claim."""
    assert group.paper is not None, "only results are drawn"
    claim, gains = paper.claim_of(group.paper).share, summary.gains(group, "dsd", "control")
    control = summary.average([one.arms["control"].test[group.metric] for one in group.records if one.seed in gains])
    measured = summary.measured(group)
    share = relative(measured) if measured else None
    interval = (share.low / claim, share.high / claim) if share and math.isfinite(share.low + share.high) else None
    return [gain / control.mean / claim for gain in gains.values()], interval
