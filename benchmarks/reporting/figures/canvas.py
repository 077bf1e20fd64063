"""A blank figure independent of the user's settings, and its file, which names the records it was drawn from."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from benchmarks.records.schema import Record

COLOURS = {"dense": "#000000", "dsd": "#D55E00", "control": "#0072B2", "llr": "#009E73", "random": "#CC79A7"}
"""The arms' colours, safe for colour-blind readers (Okabe and Ito)."""

DRAWING_VERSION = 8
"""Raise this with every change of how figures look, so that `stale` finds figures drawn by older code."""

_SOURCE = "dsd-source"  # the PNG text field with the hash of `source`
_VECTOR = ContextVar("vector", default=False)


@contextmanager
def blank(width: float, height: float) -> Iterator[Figure]:
    """Yield a figure that neither uses nor changes the user's matplotlib settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("font", size=9)
        mpl.rc("axes.spines", top=False, right=False)
        mpl.rc("legend", frameon=False)
        figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
        yield figure


@contextmanager
def vector() -> Iterator[None]:
    """Within this context, `save` writes a reproducible SVG in place of the PNG, with real text and no background."""
    token = _VECTOR.set(True)
    try:
        yield
    finally:
        _VECTOR.reset(token)


def source(records: Sequence[Record]) -> str:
    """Return a hash of the records and the drawing version that determine a figure."""
    parts = [str(DRAWING_VERSION), *sorted(record.content_hash for record in records)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def save(figure: Figure, path: Path, drawn_from: str) -> None:
    """Write a PNG with 128 colours (a third of the size) and its source hash, but no date or version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if _VECTOR.get():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": _SOURCE}):
            figure.savefig(path.with_suffix(".svg"), format="svg", transparent=True, metadata=nothing)
        return
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi)
    text = PngInfo()
    text.add_text(_SOURCE, drawn_from)
    image = Image.open(buffer).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    image.save(path, format="PNG", optimize=True, pnginfo=text)


def read_source(path: Path) -> str | None:
    """Return the source hash of the figure in `path`; None if this suite did not draw it."""
    try:
        with Image.open(path) as image:
            return str(image.text.get(_SOURCE)) if isinstance(image, PngImageFile) else None
    except OSError:  # missing, or not an image
        return None
