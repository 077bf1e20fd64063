"""A blank figure that owes nothing to the user's settings, and its file, which says what it was drawn from."""

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
"""Of the arms, told apart by the colour-blind too (Okabe and Ito)."""

DRAWING_VERSION = 6
"""Raised by whatever makes another picture of the same records, so that `stale` finds the ones drawn before."""

_SOURCE = "dsd-source"  # the PNG's text field that says what it was drawn from
_VECTOR = ContextVar("vector", default=False)


@contextmanager
def blank(width: float, height: float) -> Iterator[Figure]:
    """Give a figure that owes nothing to the user's matplotlib settings, and changes none."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rc("font", size=9)
        mpl.rc("axes.spines", top=False, right=False)
        mpl.rc("legend", frameon=False)
        figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
        yield figure


@contextmanager
def vector() -> Iterator[None]:
    """Within it `save` writes an SVG beside where the PNG would have been: text as text, no ground, the same bytes again."""
    token = _VECTOR.set(True)
    try:
        yield
    finally:
        _VECTOR.reset(token)


def source(records: Sequence[Record]) -> str:
    """Return a hash of what a picture of `records` is drawn from: the records, and the version of the drawing."""
    parts = [str(DRAWING_VERSION), *sorted(record.content_hash for record in records)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def save(figure: Figure, path: Path, drawn_from: str) -> None:
    """Write a PNG of pixels in 128 colours, a third of the bytes, and of what they were drawn from: no date, no version."""
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
    """Return what the figure in `path` was drawn from, None where it is none of ours."""
    try:
        with Image.open(path) as image:
            return str(image.text.get(_SOURCE)) if isinstance(image, PngImageFile) else None
    except OSError:  # missing, or no picture at all
        return None
