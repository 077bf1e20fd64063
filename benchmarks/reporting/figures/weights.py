"""Weight figures: one tensor's histograms, as in the paper's Figure 2, and what happened to the pruned weights."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator

from benchmarks.analysis import mask_lineage, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.mask_lineage import ALL, Iteration
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
_PANELS: tuple[tuple[str, Callable[[Iteration], dict[str, float]]], ...] = (
    ("pruned by the previous S\nand again by this one (%)", lambda one: one.again),
    ("pruned by S and below its\nthreshold after D2 (%)", lambda one: one.below),
    ("their mean magnitude after D2,\nrelative to survivors", lambda one: one.size),
)


def histograms(group: Group, heading: str, path: Path, drawn_from: str) -> None:
    """Draw histograms of one tensor's weights at five points of the first iteration, for the lowest seed that has them.

    Masked weights are not drawn. Weights that are exactly zero without a mask have their own bar.

    Raises:
        ValueError: no record of the group has histograms.
    """
    record = mask_lineage.of_weights(group)
    told = record.arms["dsd"].histograms if record else None
    if record is None or told is None:
        raise ValueError(f"{path.name}: no record of {group.key.row} has histograms of its weights at all five points")
    with canvas.blank(9.0, 3.0) as figure:
        panels = figure.subplots(1, len(told.points), sharex=True, sharey=True)
        for ax, point in zip(panels, told.points, strict=True):
            _histogram(ax, point, told)
        panels[0].set_yscale("log")
        panels[0].set_ylim(bottom=0.7)
        panels[0].set_ylabel("weights per bin")
        figure.supxlabel(
            f"weight, {len(told.points[0].counts)} bins over ± 4 standard deviations of D's weights", fontsize=9
        )
        figure.suptitle(
            f"{_wrapped(heading)}\nDSD, seed {record.seed}: {told.layer}, the largest pruned tensor ({told.weights:,} weights)",
            fontsize=9,
        )
        canvas.save(figure, path, drawn_from)


def dots(group: Group, heading: str, path: Path, drawn_from: str) -> None:
    """Draw, per tensor and overall, how many pruned weights are pruned again and how far released weights grow in D2.

    Raises:
        ValueError: no record of the group has such data.
    """
    told, names = mask_lineage.by_seed(group), [ALL, *mask_lineage.layers(group)]
    if not told:
        raise ValueError(f"{path.name}: no record of {group.key.row} says what happened to the weights that S pruned")
    panels = [(title, read) for title, read in _PANELS if any(read(one) for each in told.values() for one in each)]
    longest = max(len(each) for each in told.values())
    with canvas.blank(max(7.5, 1.8 + 2.1 * len(panels)), 1.7 + 0.19 * len(names)) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (title, read) in zip(axes, panels, strict=True):
            for number in range(longest):
                seeds = [each[number] for each in told.values() if len(each) > number]
                offset = 0.0 if longest == 1 else 0.3 * (number / (longest - 1) - 0.5)
                _row_of_dots(ax, names, [read(one) for one in seeds], number, offset)
                if title == _PANELS[0][0] and number:
                    for of, line, label in ((0, "--", "chance"), (1, ":", "maximum possible")):
                        at = summary.average([(one.chance, one.most)[of][ALL] for one in seeds]).mean
                        ax.axvline(at, color=_look(number)[1], linestyle=line, linewidth=1, label=label, zorder=1)
            ax.set_xlabel(title, fontsize=8)
            ax.axhline(0.5, color="#999999", linewidth=0.6)
            ax.grid(axis="y", color="#BBBBBB", linewidth=0.3)
            ax.set_axisbelow(True)
            percent = "%" in title
            ax.set_xlim(left=0, right=102 if percent else None)
            ax.xaxis.set_major_locator(
                FixedLocator(range(0, 101, 25)) if percent else MaxNLocator(4, steps=[1, 2, 5, 10])
            )
        axes[0].set_yticks(range(len(names)), names, fontsize=7)
        axes[0].set_ylim(len(names) - 0.4, -0.6)
        n = len(told)
        seeds_shown = "1 seed" if n == 1 else f"n = {n} seeds (small), mean (large)"
        figure.suptitle(f"{_wrapped(heading)}\nLineage of the masks of DSD: {seeds_shown}", fontsize=9)
        handles = {
            label: handle for ax in axes[::-1] for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        if longest > 1:
            figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), fontsize=8)
        canvas.save(figure, path, drawn_from)


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


def _row_of_dots(ax: Axes, names: Sequence[str], seeds: Sequence[dict[str, float]], number: int, offset: float) -> None:
    marker, colour = _look(number)
    label: str | None = f"iteration {number + 1}"
    for row, name in enumerate(names):
        values = [seed[name] for seed in seeds if name in seed]
        if not values:
            continue
        y = row + offset
        if len(values) > 1:
            ax.scatter(values, [y] * len(values), s=7, marker=marker, color=colour, alpha=0.6, linewidths=0)
        ax.scatter([summary.average(values).mean], [y], s=24, marker=marker, color=colour, label=label, zorder=3)
        label = None


def _wrapped(heading: str) -> str:
    return textwrap.fill(heading, 90, break_on_hyphens=False)


def _look(number: int) -> tuple[str, str]:
    return _ITERATIONS[number % len(_ITERATIONS)]
