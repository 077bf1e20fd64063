"""Pictures of the records: a forest plot of the gains, and the training curves of each group. Drawn without a display.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart; marks differ in shape as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks import pages, render, summary
from benchmarks.record import Point, Record
from benchmarks.summary import DENSE, LABELS, Group

COLOURS = {DENSE: "#000000", "dsd": "#D55E00", "control": "#0072B2", "llr": "#009E73", "random": "#CC79A7"}
_SPARE = ("#E69F00", "#56B4E9", "#F0E442")
_OVER = (("control", "s", "DSD over control (equal budget)"), (DENSE, "o", "DSD over baseline"))


def write(out: Path, records: Sequence[Record]) -> list[Path]:
    """Draw every figure of a results folder into `out`/figures, remove those of no group, and return the paths."""
    found = summary.groups(records)
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    names = summary.figure_names(found)
    for path in folder.glob("*.png"):
        if path.name not in names:
            path.unlink()
    if "gains.png" in names:
        gains(records, folder / "gains.png")
    for group in found:
        curves(group.records, folder / summary.figure_name(group, found))
    return [folder / name for name in names]


def gains(records: Sequence[Record], path: Path) -> None:
    """Draw the paired gains of DSD: mean, 95 % interval, a dot for every seed, and the paper's claim beside real data.

    Custom recipes are left out. Synthetic data have an axis of their own, so that they hide nothing.

    Raises:
        ValueError: no record has the DSD arm.
    """
    found = [g for g in summary.groups(records) if any(summary.compare(g, "dsd", over) for over, _, _ in _OVER)]
    panels = [
        ("Real data", [group for group in found if group.quotable]),
        ("Custom recipes", [group for group in found if group.section == "custom"]),
        ("SYNTHETIC or smoke scale: smoke test only", [group for group in found if group.section == "smoke"]),
    ]
    panels = [panel for panel in panels if panel[1]]
    if not panels:
        raise ValueError(f"{path.name}: none of {len(records)} records is finished and has the arm 'dsd'")
    heights = [len(chosen) + 0.9 for _, chosen in panels]
    with _figure(7.5, 0.9 + 0.62 * sum(heights)) as figure:
        axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for ax, (title, chosen) in zip(axes, panels, strict=True):
            _forest(ax, chosen)
            ax.set_title(title, loc="left", fontsize=9, fontweight="bold")
        axes[-1].set_xlabel("gain in points of the row's metric (right of zero: DSD is better)")
        handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), fontsize=8)
        _save(figure, path)


def curves(records: Sequence[Record], path: Path) -> None:
    """Draw the training loss and the test metric of one group's arms against the epoch: seeds thin, their mean thick.

    Raises:
        ValueError: the records are not of exactly one group.
    """
    found = summary.groups(records)
    if len(found) != 1:
        raise ValueError(f"{path.name}: training curves are of one group, got records of {len(found)}")
    group = found[0]
    names = [n for n in LABELS if any(n in r.arms for r in group.records)]
    names += sorted({n for r in group.records for n in r.arms} - set(names))
    colours = COLOURS | dict(zip((n for n in names if n not in COLOURS), _SPARE, strict=False))
    with _figure(7.5, 5.6) as figure:
        loss, test = figure.subplots(2, 1, sharex=True)
        for name in (DENSE, *names):
            for ax, metric in ((loss, None), (test, group.metric)):
                lines = [line for r in group.records if (line := _line(r, name, metric))]
                _bundle(ax, lines, colours.get(name, "#999999"), LABELS.get(name, name), dashed=name == "control")
        for ax in (loss, test):
            _boundaries(ax, group.sample, text=ax is loss)
        n = len(group.records)
        label = render.metric_name(group.metric, group)
        loss.set_ylabel("training loss")
        test.set_ylabel(f"test {label}" + ("" if "%" in label else f" ({group.sample.unit})"))
        test.set_xlabel("epoch")
        seeds = "1 seed" if n == 1 else f"n = {n} seeds (thin), mean (thick)"
        figure.suptitle(f"{group.key.row}, {pages.title(group)}; {seeds}", fontsize=9)
        test.legend(fontsize=8, ncols=2)
        _save(figure, path)


def _forest(ax: Axes, groups: Sequence[Group]) -> None:
    labels = []
    for row, group in enumerate(groups):
        for (over, marker, label), offset in zip(_OVER, (-0.16, 0.16), strict=True):
            paired = summary.compare(group, "dsd", over)
            if paired is None:
                continue
            colour, y = COLOURS["dsd" if over == "control" else DENSE], row + offset
            seeds = list(summary.gains(group, "dsd", over).values())
            ax.scatter(seeds, [y] * len(seeds), s=9, color=colour, alpha=0.4, linewidths=0, label="one seed")
            if paired.half_width is not None:
                ax.hlines(y, paired.mean - paired.half_width, paired.mean + paired.half_width, color=colour)
            ax.scatter([paired.mean], [y], s=34, marker=marker, color=colour, label=f"{label}, 95 % interval", zorder=3)
        if group.paper:
            claim = group.paper.overview.absolute
            ax.scatter(
                [claim], [row + 0.16], s=60, marker="|", color=COLOURS["control"], label="paper's gain over baseline"
            )
        primary = summary.primary(group)
        n = primary.n if primary else len(group.records)
        unit = render.metric_name(group.metric, group)
        labels.append(f"{render.network(group)}, {unit}\n{group.key.scale}: {render.data_name(group)}, n = {n}")
    ax.axvline(0, color="#999999", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(groups)), labels, fontsize=8)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.margins(x=0.08)


def _line(record: Record, arm: str, metric: str | None) -> dict[float, float]:
    """Return epoch (counted from the start of D) to test metric, or to training loss where `metric` is None."""
    source = record.dense if arm == DENSE else record.arms.get(arm)
    if source is None:
        return {}
    dense = record.dense
    start = sum(p.epochs for p in dense.phases) if dense and arm != DENSE else 0.0
    line = {round(start, 6): dense.test[metric]} if dense and metric and arm != DENSE else {}
    return line | {round(start + p.epoch, 6): value for p in source.curve if (value := _value(p, metric)) is not None}


def _value(point: Point, metric: str | None) -> float | None:
    return point.train.get("loss") if metric is None else (point.test or {}).get(metric)


def _bundle(ax: Axes, lines: Sequence[dict[float, float]], colour: str, label: str, dashed: bool) -> None:
    if not lines:
        return
    style = "--" if dashed else "-"
    for line in lines:
        ax.plot(list(line), list(line.values()), color=colour, linewidth=0.6, alpha=0.45, linestyle=style)
    common = [epoch for epoch in lines[0] if all(epoch in line for line in lines)]
    mean = [sum(line[epoch] for line in lines) / len(lines) for epoch in common]
    ax.plot(common, mean, color=colour, linewidth=1.8, linestyle=style, label=label, marker="o", markersize=2.5)


def _boundaries(ax: Axes, record: Record, text: bool) -> None:
    """Mark where phases end, as the dsd arm goes through them."""
    names = {"dense": "D", "sparse": "S", "redense": "D2"}
    arm = record.arms.get("dsd")
    position = 0.0
    for phase in (*(record.dense.phases if record.dense else ()), *(arm.phases if arm else ())):
        middle, position = position + phase.epochs / 2, position + phase.epochs
        ax.axvline(position, color="#BBBBBB", linewidth=0.8, linestyle=":", zorder=0)
        if text:
            where = ax.get_xaxis_transform()
            ax.text(middle, 1.01, names[phase.kind], transform=where, ha="center", fontsize=8, color="#555555")


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    """Give a figure that owes nothing to the user's matplotlib settings, and changes none."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("font", size=9)
        mpl.rc("axes.spines", top=False, right=False)
        mpl.rc("legend", frameon=False)
        figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", metadata={"Software": None})  # the version would differ between machines
