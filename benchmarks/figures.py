"""Pictures of the records: a forest plot of the gains, and those of each group. Drawn without a display.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart; marks differ in shape as well.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from matplotlib.axes import Axes

from benchmarks import (
    canvas,
    contact,
    figures_sensitivity,
    figures_weights,
    forest,
    lineage,
    metrics,
    pages,
    paper,
    render,
    samples,
    summary,
)
from benchmarks.canvas import COLOURS
from benchmarks.group import Group, group_records
from benchmarks.record import Point, Record
from benchmarks.registry import ROWS
from benchmarks.summary import DENSE, LABELS
from benchmarks.verdicts import claim_of

DRAWING_VERSION = 6
"""Raised by whatever makes another picture of the same records, so that `stale` finds the ones drawn before."""

_SPARE = ("#E69F00", "#56B4E9", "#F0E442")
_NAMES = re.compile(
    rf"gains\.png|(?:{'|'.join(map(re.escape, {**paper.ROWS, **ROWS}))})-(?:smoke|small|paper)"
    rf"(?:-[0-9a-f]{{12}}-[0-9]+)?-(?:{'|'.join(get_args(summary.Kind))})\.png"
)


def write(out: Path, records: Sequence[Record], sheets: bool = True) -> list[Path]:
    """Draw every figure of a results folder into `out`/figures, remove those of no group, and return the paths.

    A figure that was drawn from the same records by this version of the drawing is left as it is. Without `sheets`, what networks
    say of samples is not drawn.
    """
    found = group_records(records)
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    names = summary.figure_names(found)
    for name in _present(folder) - set(names):
        (folder / name).unlink()
    if "gains.png" in names and not _is_drawn(folder / "gains.png", _records(_shown(found))):
        gains(records, folder / "gains.png")
    for group in found:
        for kind, draw in _drawings(group, sheets):
            path = folder / summary.figure_name(group, found, kind)
            if not _is_drawn(path, group.records):
                draw(group, path)
    undrawn = () if sheets else tuple(f"-{one.kind}.png" for one in samples.FORMS)
    return [folder / name for name in names if not name.endswith(undrawn)]


def _drawings(group: Group, sheets: bool) -> Iterator[tuple[summary.Kind, Callable[[Group, Path], None]]]:
    """Yield the figures that a group has, by kind, with what draws each."""
    yield "curves", curves
    if sheets and (form := samples.form(group)):
        yield form.kind, sheet
    if lineage.of_weights(group):
        yield "weights", weights
    if lineage.told(group):
        yield "lineage", lineages
    if summary.has_sensitivity(group):
        yield "sensitivity", sensitivities


def _is_drawn(path: Path, records: Sequence[Record]) -> bool:
    return canvas.read_source(path) == source(records)


def stale(folder: Path, records: Sequence[Record]) -> list[str]:
    """Return the names of the pictures in `folder` that are missing, drawn from other records, or that do not belong.

    What a picture was drawn from stands in it; its pixels depend on the version of the font library.
    """
    found = group_records(records)
    sources = {}
    for group in found:
        for kind in get_args(summary.Kind):
            sources[summary.figure_name(group, found, kind)] = source(group.records)
    names = summary.figure_names(found)
    if "gains.png" in names:
        sources["gains.png"] = source(_records(_shown(found)))
    wrong = {name for name in names if canvas.read_source(folder / name) != sources[name]}
    return sorted(wrong | (_present(folder) - set(names)))


def source(records: Sequence[Record]) -> str:
    """Return a hash of what a picture of `records` is drawn from: the records, and the version of the drawing."""
    parts = [str(DRAWING_VERSION), *sorted(record.content_hash for record in records)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def gains(records: Sequence[Record], path: Path) -> None:
    """Draw the paired gains of DSD: mean, 95 % interval, a dot for every seed, and the paper's claim in the regime of it.

    Custom recipes are left out; so are trials of suite 0.1 where there is a result, and smoke tests where there is either.

    Raises:
        ValueError: no record has anything to draw.
    """
    shown = _shown(group_records(records))
    if not shown:
        raise ValueError(
            f"{path.name}: none of {len(records)} records is finished, has the arm 'dsd' and follows a recipe of ours"
        )
    with canvas.blank(7.5, 0.9 + 0.72 * (len(shown) + 0.9)) as figure:
        ax = figure.subplots()
        forest.draw(ax, shown, {row.name: claim_of(row).share for row in paper.ROWS.values()})
        ax.set_title(_title(shown[0]), loc="left", fontsize=9, fontweight="bold")
        ax.set_xlabel(
            "gain in points of the row's metric (right of zero: DSD is better);\nintervals over n seeds; an arrow: beyond the frame"
        )
        handles = {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2, fontsize=8)
        canvas.save(figure, path, source(_records(shown)))


def curves(group: Group, path: Path) -> None:
    """Draw the training loss and the test metric of one group's main arms against the epoch: seeds thin, their mean thick.

    The panel of what follows D is framed on how DSD and the control end, between which the question is; other arms may run out of
    it. Validation perplexity, where it was measured, has a panel of its own.
    """
    names = summary.main_arms(group)
    colours = COLOURS | dict(zip((n for n in names if n not in COLOURS), _SPARE, strict=False))
    metric = group.metric
    panels: list[tuple[str, str | None, bool]] = [("training loss", None, False)]
    better = "lower is better" if group.sample.lower_is_better else "higher is better"
    name = f"test {render.metric_name(metric, group)}"
    panels += [(f"{name}\n({better})", metric, False), (f"{name}, framed\non how DSD and control end", metric, True)]
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
                    label = "D, shared" if arm == DENSE else summary.label(arm)
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
            seeds += "; means of unlike seeds do not compare"
        heading = textwrap.fill(f"{group.key.row}, {pages.title(group)}", 97, break_on_hyphens=False)
        figure.suptitle(f"{heading}\n{seeds}", fontsize=9)
        figure.legend(*every[0].get_legend_handles_labels(), loc="outside lower center", fontsize=8, ncols=5)
        canvas.save(figure, path, source(group.records))


def sheet(group: Group, path: Path, pictures: Path | None = None) -> None:
    """Draw what the networks of one group's lowest seed say of a few test examples, beside a reference.

    The pictures themselves, of which only names are drawn, are added from the folder `pictures`: for one's own eyes,
    since the licences of most forbid passing them on.

    Raises:
        ValueError: the group has no samples, they are of no pictures, or one of those is missing.
    """
    record, form = samples.source(group), samples.form(group)
    if record is None or form is None:
        kinds = " or ".join(one.kind for one in samples.FORMS)
        raise ValueError(f"{path.name}: no record of {group.key.row} has {kinds} among its samples")
    if pictures and form.example != "picture":
        raise ValueError(f"{path.name}: {form.kind} are of no pictures, so there are none to draw from {pictures}")
    title = f"{group.key.row}, {pages.title(group)}. {form.kind.capitalize()} after the last epoch, seed {record.seed}."
    if form.marked:
        title += " Against the reference, words are bold where substituted, bold italic where inserted, struck out where left out."
    contact.draw(samples.shown(group), title, LABELS, COLOURS, path, source(group.records), pictures, form.marked)


def weights(group: Group, path: Path) -> None:
    """Draw the histograms of one group's weights at the five points of the paper's Figure 2.

    Raises:
        ValueError: its records do not tell of them.
    """
    figures_weights.histograms(group, f"{group.key.row}, {pages.title(group)}", path, source(group.records))


def lineages(group: Group, path: Path) -> None:
    """Draw what became of the weights that one group's sparse phases pruned.

    Raises:
        ValueError: its records do not tell of it.
    """
    figures_weights.dots(group, f"{group.key.row}, {pages.title(group)}", path, source(group.records))


def sensitivities(group: Group, path: Path) -> None:
    """Draw the gains over the control of one group by sparsity, and of other ways to spend the budget.

    Raises:
        ValueError: its records have no arm of sensitivity.
    """
    figures_sensitivity.draw(group, f"{group.key.row}, {pages.title(group)}", path, source(group.records))


def private(folder: Path, records: Sequence[Record], pictures: Path) -> list[Path]:
    """Draw into `folder` the sheet of every group with captions of photographs in `pictures`, and return the paths.

    Raises:
        ValueError: there is none; a group has some of its photographs there and lacks others.
    """
    found = group_records(records)
    drawn = []
    for group in found:
        form = samples.form(group)
        if form is None or form.example != "picture":
            continue
        names = [contact.plain(one.example) for one in samples.shown(group)]
        if any((pictures / name).is_file() for name in names):
            path = folder / summary.figure_name(group, found, form.kind)
            folder.mkdir(parents=True, exist_ok=True)
            sheet(group, path, pictures)
            drawn.append(path)
    if not drawn:
        raise ValueError(f"--pictures {pictures}: holds no photograph that a record of {len(records)} has a caption of")
    return drawn


def _shown(groups: Sequence[Group]) -> list[Group]:
    """Return the groups in the picture of the gains: results or, while there is none, what is superseded, then smoke tests."""
    found = [group for group in groups if summary.has_gain(group)]
    kinds = (
        [one for one in found if one.quotable],
        *([g for g in found if g.section == s] for s in ("small", "smoke")),
    )
    return next((kind for kind in kinds if kind), [])


def _title(group: Group) -> str:
    if group.quotable:
        return "Real data"
    return render.SUPERSEDED if group.section == "small" else "SYNTHETIC or smoke scale: smoke test only"


def _records(groups: Sequence[Group]) -> list[Record]:
    return [record for group in groups for record in group.records]


def _present(folder: Path) -> set[str]:
    """Return the pictures in `folder` that could have been drawn here; any other is somebody else's."""
    return {path.name for path in folder.glob("*.png") if _NAMES.fullmatch(path.name)}


def _line(record: Record, arm: str, metric: str | None) -> dict[float, float]:
    """Return epoch (counted from the start of D) to test metric, or to training loss where `metric` is None."""
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
    """Frame the second half of these lines after the epoch `fork`."""
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
    top = 3 + first  # where lines lie on one another, DSD's is the one to see
    ax.plot(common, mean, style, color=colour, linewidth=1.6, marker="o", markersize=2.5, label=label, zorder=top)


def _boundaries(ax: Axes, record: Record) -> None:
    """Mark where phases end, as the dsd arm goes through them."""
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
        if middle > ax.get_xlim()[0]:  # text left of the axes would make the layout shrink them
            size = 7 if several else 8
            ax.text(
                middle, 1.01, name.replace(", ", "\n"), transform=where, ha="center", fontsize=size, color="#555555"
            )
