"""Draw the figures of a results folder that are missing or stale."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks import paper
from benchmarks.analysis import answers
from benchmarks.analysis.groups import Group, group_records
from benchmarks.records.schema import Record
from benchmarks.reporting import verdict_words
from benchmarks.reporting.figures import canvas, drop, forest, names, sensitivity, weights
from benchmarks.reporting.figures.curves import curves
from benchmarks.rows import ROWS

_NAMES = re.compile(
    rf"gains\.png|drop\.png|(?:{'|'.join(map(re.escape, {**paper.ROWS, **ROWS}))})-(?:smoke|small|paper)"
    r"(?:-[0-9a-f]{12}-[0-9]+)?-(?:curves|weights|sensitivity|lineage|captions|transcripts)\.png"
)
"""File names of figures that this suite makes or once made."""
_SHARED: Mapping[str, Callable[[Sequence[Group], Path], None]] = {names.GAINS: forest.draw, names.DROP: drop.draw}
_DRAW: Mapping[names.Kind, Callable[[Group, Path], None]] = {
    "weights": weights.draw,
    "sensitivity": sensitivity.draw,
}


def write(out: Path, records: Sequence[Record]) -> list[Path]:
    """Draw every figure of a results folder into `out`/figures, remove obsolete ones, and return the paths.

    A figure already drawn from the same records by this drawing version is kept.
    """
    folder = out / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = _wanted(records)
    for name in _present(folder) - set(wanted):
        (folder / name).unlink()
    for name, (source, draw) in wanted.items():
        if canvas.read_source(folder / name) != source:
            draw(folder / name)
    return [folder / name for name in wanted]


def stale(folder: Path, records: Sequence[Record]) -> list[str]:
    """Return the names of figures in `folder` that are missing, drawn from other records, or do not belong there.

    The check uses the source hash in each file, because pixels depend on the version of the font library.
    """
    wanted = _wanted(records)
    wrong = {name for name, (source, _) in wanted.items() if canvas.read_source(folder / name) != source}
    return sorted(wrong | (_present(folder) - set(wanted)))


def _wanted(records: Sequence[Record]) -> dict[str, tuple[str, Callable[[Path], None]]]:
    """Return the file name of every figure, with its source hash and the function that draws it."""
    groups = group_records(records)
    rows = answers.rows(groups)
    found: dict[str, tuple[str, Callable[[Path], None]]] = {}
    for name, shown in names.shared(groups).items():
        source = canvas.source(canvas.records_of(shown), verdict_words.standings(shown))
        found[name] = source, partial(_SHARED[name], shown)
    for group in groups:
        for kind in names.kinds(group):
            row = answers.row_of(group, rows) if kind == "curves" else None
            draw = partial(curves, row=row) if kind == "curves" else _DRAW[kind]
            source = canvas.source(group.records, [verdict_words.verdict(row)] if row else [])
            found[names.figure_name(group, groups, kind)] = source, partial(draw, group)
    return found


def _present(folder: Path) -> set[str]:
    """Return the figures in `folder` that this suite could have drawn. Others are left alone."""
    return {path.name for path in folder.glob("*.png") if _NAMES.fullmatch(path.name)}
