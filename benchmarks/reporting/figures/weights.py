"""What happens to the weights: histograms as in the paper's Figure 2, and how far D2 regrows the weights that S pruned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmarks.analysis import mask_lineage, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.mask_lineage import ALL
from benchmarks.records.schema import Histogram, Histograms, Moment
from benchmarks.reporting.figures import canvas

_TITLES: Mapping[Moment, str] = {
    "dense": "after D",
    "pruned": "S starts: pruned",
    "sparse": "after S",
    "dropped": "D2 starts: mask off",
    "redense": "after D2",
}
_WEIGHTS, _ZEROS = "#0072B2", "#D55E00"
_ITERATIONS = (("o", "#D55E00"), ("s", "#0072B2"), ("^", "#009E73"), ("D", "#CC79A7"))


def draw(group: Group, path: Path) -> None:
    """Draw what happens to weights from D through S to D2.

    Above: histograms of one tensor's weights at the five points of the paper's Figure 2, in the first iteration, for the lowest
    seed that has them. Masked weights are not drawn. Weights that are exactly zero without a mask have their own bar. Below: by
    tensor, the mean magnitude of the pruned weights at the end of D2, relative to the survivors' (dots: seeds), if records have
    it.

    Raises:
        ValueError: no record of the group has histograms.
    """
    record = mask_lineage.of_weights(group)
    told = record.arms["dsd"].histograms if record else None
    if record is None or told is None:
        raise ValueError(f"{path.name}: no record of {group.key.row} has histograms of its weights at all five points")
    sized = bool(mask_lineage.by_seed(group))
    with canvas.blank(9.0, 5.2 if sized else 3.1) as figure:
        grid = figure.add_gridspec(1 + sized, len(told.points), height_ratios=(1.4, 1)[: 1 + sized])
        panels = [figure.add_subplot(grid[0, 0])]
        panels += [figure.add_subplot(grid[0, k], sharey=panels[0]) for k in range(1, len(told.points))]
        for ax, point in zip(panels, told.points, strict=True):
            _histogram(ax, point, told)
            ax.tick_params(labelleft=ax is panels[0])
        panels[0].set_yscale("log")
        panels[0].set_ylim(bottom=0.7)
        panels[0].set_ylabel("weights per bin")
        several = summary.count_iterations(group) > 1
        tensor = f"{told.layer}{' in iteration 1' if several else ''}"
        panels[2].set_xlabel(f"weight of {tensor} (the largest pruned tensor, {told.weights:,} weights)", fontsize=8)
        if sized:
            _sizes(figure.add_subplot(grid[1, :]), group)
        first = "iteration 1, " if several else ""
        bins = f"{len(told.points[0].counts)} bins over ± 4 standard deviations of D's weights"
        small = f"Histograms: {first}seed {record.seed}, {bins}. "
        canvas.titled(figure, _finding(group), f"{small}{canvas.small_print(group)}.")
        canvas.save(figure, path, group.records)


def _finding(group: Group) -> str:
    """Return as a title how far D2 regrows the weights that the last S pruned; a general title if records lack this."""
    start = canvas.title(group)
    ends = [each[-1] for each in mask_lineage.by_seed(group).values() if ALL in each[-1].size]
    if not ends:
        return f"{start}: a tensor's weights from D through S to D2"
    iterations = summary.count_iterations(group)
    last = f" of iteration {iterations}" if iterations > 1 else ""
    size = 100 * summary.average([one.size[ALL] for one in ends]).mean
    below = summary.average([one.below[ALL] for one in ends]).mean
    return (
        f"{start}: after D2{last} the weights that S pruned have {size:.2g} % of the survivors' mean magnitude; "
        f"{below:.3g} % are still below S's threshold"
    )


def _sizes(ax: Axes, group: Group) -> None:
    """Draw, by tensor and iteration, the mean magnitude of the pruned weights after D2, relative to the survivors'."""
    told, layers = mask_lineage.by_seed(group), mask_lineage.layers(group)
    longest = max(map(len, told.values()))
    for number in range(longest):
        seeds = [each[number].size for each in told.values() if len(each) > number]
        points = [(at, seed[name]) for at, name in enumerate(layers) for seed in seeds if name in seed]
        marker, colour = _ITERATIONS[number % len(_ITERATIONS)]
        label = f"iteration {number + 1}"
        x, y = zip(*points, strict=True)
        ax.scatter(x, y, s=14, marker=marker, color=colour, alpha=0.7, linewidths=0, label=label)
    ax.axhline(1, color=_WEIGHTS, linewidth=1, linestyle="--")
    end = ax.get_yaxis_transform()
    ax.text(0.99, 0.85, "survivors", transform=end, color=_WEIGHTS, ha="right", va="top", fontsize=8)
    ax.set_yscale("log")
    ax.set_ylim(top=2)
    ax.set_xticks([])
    ax.set_xlabel("pruned tensors, in the order of the network", fontsize=8)
    ax.set_ylabel("magnitude after D2\nof pruned weights,\nrelative to survivors", fontsize=8)
    if longest > 1:
        ax.legend(fontsize=8, loc="lower right", ncols=longest)


def _histogram(ax: Axes, point: Histogram, told: Histograms) -> None:
    edges = np.linspace(-told.limit, told.limit, len(point.counts) + 1)
    ax.stairs(point.counts, edges, fill=True, color=_WEIGHTS, baseline=0.1)
    free = point.moment in ("dense", "dropped", "redense")
    if free and point.zeros:
        ax.stairs([point.zeros], [-told.limit / 40, told.limit / 40], fill=True, color=_ZEROS, baseline=0.1)
    notes = [
        f"{'exactly 0' if free else 'pruned, not drawn'}: {100 * point.zeros / told.weights:.3g} %",
        f"outside ± 4 sd: {100 * (point.below + point.above) / told.weights:.2g} %",
    ]
    ax.set_title(_TITLES[point.moment], fontsize=9, pad=24)
    ax.text(0.5, 1.02, "\n".join(notes), transform=ax.transAxes, ha="center", va="bottom", fontsize=7, color="#555555")
    ax.set_xlim(-told.limit, told.limit)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10], prune="both"))
    ax.tick_params(labelsize=7)
