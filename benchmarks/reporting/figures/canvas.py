"""A blank figure that does not depend on the user's settings, and its file, which has a hash of the records it shows."""

from __future__ import annotations

import hashlib
import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from benchmarks.analysis.groups import Group
from benchmarks.records.schema import Record
from benchmarks.reporting import display_names, group_names
from benchmarks.statistics.intervals import MINIMUM_SEEDS

COLOURS = {"dense": "#000000", "dsd": "#D55E00", "control": "#0072B2", "llr": "#009E73", "random": "#CC79A7"}
"""The arms' colours, safe for colour-blind readers (Okabe and Ito)."""

QUIET = "#555555"
"""The colour of notes and of gains without a verdict."""

_MARKS = {"smoke": "Smoke test: ", "small": "Superseded: ", "custom": "Custom recipe: "}

DRAWING_VERSION = 18
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


def source(records: Sequence[Record], verdicts: Sequence[str] = ()) -> str:
    """Return a hash of what determines a figure: the records, the verdicts that it states and the drawing version."""
    parts = [str(DRAWING_VERSION), *sorted(record.content_hash for record in records), *verdicts]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def records_of(groups: Sequence[Group]) -> list[Record]:
    """Return the records in use of some groups."""
    return [record for group in groups for record in group.records]


def titled(figure: Figure, title: str, small: str) -> None:
    """Set the title (a question or a finding) and the small print at the foot, both wrapped to the figure's width."""
    width = figure.get_figwidth()
    wrapped = textwrap.fill(title, round(11.5 * width), break_on_hyphens=False)
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=10, fontweight="bold")
    note = textwrap.fill(small.replace(" %", "\N{NO-BREAK SPACE}%"), round(17 * width), break_on_hyphens=False)
    figure.supxlabel(note, x=0.01, ha="left", fontsize=7, color=QUIET)


def title(group: Group) -> str:
    """Return the start of a group's title: the kind of trials, if they are not results, and the network."""
    mark = _MARKS["small"] if group.superseded else _MARKS.get(group.section, "")
    return f"{mark}{display_names.network(group)}"


def small_print(group: Group) -> str:
    """Return the row, scale, data, recipe and number of seeds of a group."""
    n = len(group.records)
    return f"{group.key.row}, {group_names.title(group)}; {'1 seed' if n == 1 else f'n = {n} seeds'}"


def gain(
    ax: Axes,
    at: float,
    seeds: Sequence[float],
    interval: tuple[float, float] | None,
    colour: str,
    upright: bool = False,
    hollow: bool = False,
) -> None:
    """Draw the gain of an arm at the position `at`: a dot per seed and, for three or more seeds, the mean and `interval`.

    `hollow`: with markers that are not filled.
    """

    def dots(values: Sequence[float], size: float, beside: float = 0.0, **look: Any) -> None:
        where = [at + beside] * len(values)
        x, y = (where, values) if upright else (values, where)
        filled: dict[str, Any] = {"facecolors": colour, "linewidths": 0} | look
        empty = {"facecolors": "none", "edgecolors": colour, "linewidths": 1.2, "alpha": 1.0}
        ax.scatter(x, y, s=size, **(filled | empty if hollow else filled))

    few = len(seeds) < MINIMUM_SEEDS or interval is None
    beside = 0.0 if few else 1.4 if upright else 0.24
    dots(seeds, 26 if few else 11, beside, alpha=0.9 if few else 0.7, zorder=3)
    if interval and not few:
        (ax.vlines if upright else ax.hlines)(at, *interval, color=colour, linewidth=1.6, zorder=2)
        # End marks and a narrow diamond keep a short interval visible.
        x, y = ([at, at], interval) if upright else (interval, [at, at])
        ax.scatter(x, y, s=36, marker="_" if upright else "|", color=colour, linewidths=1.6, zorder=2)
        narrow = MarkerStyle("d", transform=Affine2D().rotate_deg(90)) if upright else MarkerStyle("d")
        dots([sum(seeds) / len(seeds)], 40, marker=narrow, edgecolors="#000000", linewidths=0.6, zorder=4)


def save(figure: Figure, path: Path, records: Sequence[Record], verdicts: Sequence[str] = ()) -> None:
    """Write a PNG with 256 colours (half the size) and the hash from `source`, but no date or version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if _VECTOR.get():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": _SOURCE}):
            figure.savefig(path.with_suffix(".svg"), format="svg", transparent=True, metadata=nothing)
        return
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi)
    text = PngInfo()
    text.add_text(_SOURCE, source(records, verdicts))
    image = Image.open(buffer).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    image.save(path, format="PNG", optimize=True, pnginfo=text)


def read_source(path: Path) -> str | None:
    """Return the source hash of the figure in `path`; None if this suite did not draw it."""
    try:
        with Image.open(path) as image:
            return str(image.text.get(_SOURCE)) if isinstance(image, PngImageFile) else None
    except OSError:  # missing, or not an image
        return None
