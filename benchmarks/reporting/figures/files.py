"""The figures of a results folder: draw those that are missing or stale."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from benchmarks import paper
from benchmarks.analysis.groups import Group, group_records
from benchmarks.analysis.summary import has_gain
from benchmarks.paper import claim_of
from benchmarks.records.schema import Record
from benchmarks.reporting import group_names, wording
from benchmarks.reporting.figures import canvas, forest, sensitivity
from benchmarks.reporting.figures import weights as weights_figure
from benchmarks.reporting.figures.curves import curves
from benchmarks.reporting.figures.names import Kind, figure_name, figure_names, kinds
from benchmarks.rows import ROWS

_NAMES = re.compile(
    rf"gains\.png|(?:{'|'.join(map(re.escape, {**paper.ROWS, **ROWS}))})-(?:smoke|small|paper)"
    rf"(?:-[0-9a-f]{{12}}-[0-9]+)?-(?:{'|'.join((*get_args(Kind), 'captions', 'transcripts'))})\.png"
)
"""File names of figures that this suite makes or once made (contact sheets of captions and transcripts)."""


def write(out: Path, records: Sequence[Record]) -> list[Path]:
    """Draw every figure of a results folder into `out`/figures, remove obsolete ones, and return the paths.

    A figure already drawn from the same records by this drawing version is kept.
    """
    found = group_records(records)
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    names = figure_names(found)
    for name in _present(folder) - set(names):
        (folder / name).unlink()
    if "gains.png" in names and not _is_drawn(folder / "gains.png", _records(_shown(found))):
        gains(records, folder / "gains.png")
    for group in found:
        for kind in kinds(group):
            path = folder / figure_name(group, found, kind)
            if not _is_drawn(path, group.records):
                _DRAW[kind](group, path)
    return [folder / name for name in names]


def _is_drawn(path: Path, records: Sequence[Record]) -> bool:
    return canvas.read_source(path) == canvas.source(records)


def stale(folder: Path, records: Sequence[Record]) -> list[str]:
    """Return the names of figures in `folder` that are missing, drawn from other records, or do not belong there.

    The check uses the source hash in each file, because pixels depend on the version of the font library.
    """
    found = group_records(records)
    sources = {figure_name(one, found, kind): canvas.source(one.records) for one in found for kind in kinds(one)}
    names = figure_names(found)
    if "gains.png" in names:
        sources["gains.png"] = canvas.source(_records(_shown(found)))
    wrong = {name for name in names if canvas.read_source(folder / name) != sources[name]}
    return sorted(wrong | (_present(folder) - set(names)))


def gains(records: Sequence[Record], path: Path) -> None:
    """Draw DSD's paired gains: mean, 95 % interval and one dot per seed, with the paper's claim for planned rows.

    Custom recipes are omitted. Trials of suite 0.1 are drawn only if there is no result, smoke tests only if there is neither.

    Raises:
        ValueError: there is nothing to draw.
    """
    shown = _shown(group_records(records))
    if not shown:
        raise ValueError(
            f"{path.name}: none of {len(records)} records is finished, has the arm 'dsd' and follows one of our recipes"
        )
    with canvas.blank(7.5, 0.9 + 0.72 * (len(shown) + 0.9)) as figure:
        ax = figure.subplots()
        forest.draw(ax, shown, {row.name: claim_of(row).share for row in paper.ROWS.values()})
        ax.set_title(_title(shown[0]), loc="left", fontsize=9, fontweight="bold")
        ax.set_xlabel(
            "gain in points of the row's metric (right of zero: DSD is better);\nintervals over n seeds; arrows: beyond the frame"
        )
        handles = {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=2, fontsize=8)
        canvas.save(figure, path, canvas.source(_records(shown)))


def weights(group: Group, path: Path) -> None:
    """Draw the histograms of one group's weights at the five points of the paper's Figure 2.

    Raises:
        ValueError: its records have no histograms.
    """
    weights_figure.histograms(group, f"{group.key.row}, {group_names.title(group)}", path, canvas.source(group.records))


def lineages(group: Group, path: Path) -> None:
    """Draw what happened to the weights that one group's sparse phases pruned.

    Raises:
        ValueError: its records have no such data.
    """
    weights_figure.dots(group, f"{group.key.row}, {group_names.title(group)}", path, canvas.source(group.records))


def sensitivities(group: Group, path: Path) -> None:
    """Draw one group's gains over the control by sparsity, and for other uses of the budget.

    Raises:
        ValueError: its records have no sensitivity arm.
    """
    sensitivity.draw(group, f"{group.key.row}, {group_names.title(group)}", path, canvas.source(group.records))


_DRAW: dict[Kind, Callable[[Group, Path], None]] = {
    "curves": curves,
    "weights": weights,
    "lineage": lineages,
    "sensitivity": sensitivities,
}


def _shown(groups: Sequence[Group]) -> list[Group]:
    """Return the groups in the gains figure: results; if none, superseded trials; if none, smoke tests."""
    found = [group for group in groups if has_gain(group)]
    kinds = (
        [one for one in found if one.quotable],
        *([g for g in found if g.section == s] for s in ("small", "smoke")),
    )
    return next((kind for kind in kinds if kind), [])


def _title(group: Group) -> str:
    if group.quotable:
        return "Real data"
    return wording.SUPERSEDED if group.section == "small" else "SYNTHETIC or smoke scale: smoke test only"


def _records(groups: Sequence[Group]) -> list[Record]:
    return [record for group in groups for record in group.records]


def _present(folder: Path) -> set[str]:
    """Return the figures in `folder` that this suite could have drawn. Others are left alone."""
    return {path.name for path in folder.glob("*.png") if _NAMES.fullmatch(path.name)}
