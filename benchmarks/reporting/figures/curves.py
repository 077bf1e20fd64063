"""The curves of one group: training loss and test metric over epochs, by arm."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.analysis import metrics, summary
from benchmarks.analysis.groups import Group
from benchmarks.arms import registry
from benchmarks.arms.registry import DENSE
from benchmarks.records.schema import Point, Record
from benchmarks.reporting import group_names, headings
from benchmarks.reporting.figures import canvas
from benchmarks.reporting.figures.canvas import COLOURS

_SPARE = ("#E69F00", "#56B4E9", "#F0E442")


def curves(group: Group, path: Path) -> None:
    """Draw training loss and test metric of one group's main arms over epochs: seeds thin, their mean thick.

    The panel for the time after D is scaled to the end of DSD and control, the arms to compare; other arms may leave the frame.
    Validation perplexity, if measured, has its own panel.
    """
    names = summary.main_arms(group)
    colours = COLOURS | dict(zip((n for n in names if n not in COLOURS), _SPARE, strict=False))
    metric = group.metric
    panels: list[tuple[str, str | None, bool]] = [("training loss", None, False)]
    better = "lower is better" if group.sample.lower_is_better else "higher is better"
    name = f"test {headings.metric_name(metric, group)}"
    panels += [(f"{name}\n({better})", metric, False), (f"{name},\nzoomed to DSD and control", metric, True)]
    if any(_line(record, arm, metrics.PERPLEXITY) for record in group.records for arm in (DENSE, *names)):
        panels.append((f"{metrics.label(metrics.PERPLEXITY)}\n(lower is better)", metrics.PERPLEXITY, False))
    with canvas.blank(7.5, 0.7 + 2.3 * len(panels)) as figure:
        fork = sum(phase.epochs for phase in group.sample.dense.phases) if group.sample.dense else 0.0
        every = figure.subplots(len(panels), 1)
        for ax, (heading, of, after) in zip(every, panels, strict=True):
            for arm in (DENSE, *names):
                look = {"colour": colours.get(arm, "#999999"), "style": "--" if arm == "control" else "-"}
                lines = [line for record in group.records if (line := _line(record, arm, of))]
                if lines and not (after and arm == DENSE):
                    label = "D, shared" if arm == DENSE else registry.label(arm)
                    fewer = f" (n = {len(lines)})" if len(lines) < len(group.records) else ""
                    _bundle(ax, lines, label + fewer, first=arm == "dsd", **look)
            ax.set_xlim(left=fork if after else 0)
            if after:
                _frame_end(
                    ax, [line for r in group.records for arm in ("dsd", "control") if (line := _line(r, arm, of))], fork
                )
            _boundaries(ax, group.sample)
            ax.set_ylabel(heading)
        every[-1].set_xlabel("epoch")
        n = len(group.records)
        seeds = "1 seed" if n == 1 else f"n = {n} seeds (thin), mean (thick)"
        if any(0 < sum(arm in record.arms for record in group.records) < n for arm in names):
            seeds += "; means over different seeds are not comparable"
        heading = textwrap.fill(f"{group.key.row}, {group_names.title(group)}", 97, break_on_hyphens=False)
        figure.suptitle(f"{heading}\n{seeds}", fontsize=9)
        figure.legend(*every[0].get_legend_handles_labels(), loc="outside lower center", fontsize=8, ncols=5)
        canvas.save(figure, path, canvas.source(group.records))


def _line(record: Record, arm: str, metric: str | None) -> dict[float, float]:
    """Return epoch (from the start of D) to test metric, or to training loss if `metric` is None."""
    source = record.dense if arm == DENSE else record.arms.get(arm)
    if source is None:
        return {}
    dense = record.dense
    start = sum(p.epochs for p in dense.phases) if dense and arm != DENSE else 0.0
    line = {round(start, 6): dense.test[metric]} if dense and arm != DENSE and metric in dense.test else {}
    return line | {round(start + p.epoch, 6): value for p in source.curve if (value := _value(p, metric)) is not None}


def _value(point: Point, metric: str | None) -> float | None:
    return point.train.get("loss") if metric is None else (point.test or {}).get(metric)


def _frame_end(ax: Axes, lines: Sequence[dict[float, float]], fork: float) -> None:
    """Set the y range to the second half of these lines after the epoch `fork`."""
    last = max((max(line) for line in lines), default=fork)
    held = [value for line in lines for epoch, value in line.items() if epoch >= (fork + last) / 2]
    if held:
        margin = 0.15 * (max(held) - min(held)) or 0.5
        ax.set_ylim(min(held) - margin, max(held) + margin)


def _bundle(
    ax: Axes, lines: Sequence[dict[float, float]], label: str, colour: str, style: str, first: bool = False
) -> None:
    for line in lines:
        ax.plot(list(line), list(line.values()), color=colour, linewidth=0.6, alpha=0.45, linestyle=style)
    common = [epoch for epoch in lines[0] if all(epoch in line for line in lines)]
    mean = [sum(line[epoch] for line in lines) / len(lines) for epoch in common]
    top = 3 + first  # draw DSD's line on top
    ax.plot(common, mean, style, color=colour, linewidth=1.6, marker="o", markersize=2.5, label=label, zorder=top)


def _boundaries(ax: Axes, record: Record) -> None:
    """Mark the ends of the dsd arm's phases."""
    names = {"dense": "D", "sparse": "S", "redense": "D2"}
    arm = record.arms.get("dsd")
    position, iteration = 0.0, 0
    several = sum(phase.kind == "sparse" for phase in arm.phases) > 1 if arm else False
    for phase in (*(record.dense.phases if record.dense else ()), *(arm.phases if arm else ())):
        iteration += phase.kind == "sparse"
        name = names[phase.kind] + (f", iteration {iteration}" if several and iteration else "")
        middle, position = position + phase.epochs / 2, position + phase.epochs
        ax.axvline(position, color="#BBBBBB", linewidth=0.8, linestyle=":", zorder=0)
        where = ax.get_xaxis_transform()
        if middle > ax.get_xlim()[0]:  # text left of the axes would shrink them
            size = 7 if several else 8
            ax.text(
                middle, 1.01, name.replace(", ", "\n"), transform=where, ha="center", fontsize=size, color="#555555"
            )
