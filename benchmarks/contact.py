"""The contact sheet: what networks say of a few test pictures, beside a reference. Pictures only from the user's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmarks import canvas
from benchmarks.captions import Captioned

_WIDTH, _MARGIN, _LABEL, _GAP = 8.0, 0.2, 1.75, 0.14  # inches, as everything here
_SIZE, _LINE = 8.5, 0.165  # of the text in points, and from line to line
_ASCENT = 0.115  # from the top of a line to its baseline
_THUMBNAIL = 1.35
_DPI = 150
_HINTING = 0.95  # letters on whole pixels take a little more room than their outlines
_REFERENCE = "#555555"


def draw(
    shown: Sequence[Captioned],
    title: str,
    labels: Mapping[str, str],
    colours: Mapping[str, str],
    path: Path,
    drawn_from: str,
    pictures: Path | None = None,
) -> None:
    """Draw a block for every picture: its name, the reference, and the caption of every arm, all wrapped to the width.

    Args:
        shown: the pictures and their captions.
        title: stands above them, wrapped as well.
        labels: of the arms, by name.
        colours: of the arms, by name.
        path: of the PNG.
        drawn_from: what the file says it was drawn from.
        pictures: the folder that holds the pictures themselves, None for their names alone.

    Raises:
        ValueError: a picture is missing there, or not readable.
    """
    left = _MARGIN + (_THUMBNAIL + _MARGIN if pictures else 0)
    with canvas.blank(_WIDTH, 1.0) as figure:
        figure.set_layout_engine("none")
        figure.set_dpi(_DPI)
        blocks = [
            _block(one, labels, colours, _WIDTH - left - _LABEL - _MARGIN, _WIDTH - left - _MARGIN) for one in shown
        ]
        heads = wrap(title, _WIDTH - 2 * _MARGIN, bold=True)
        heights = [
            max(_LINE * sum(len(lines) for *_, lines in block), _THUMBNAIL if pictures else 0) for block in blocks
        ]
        height = 2 * _MARGIN + _LINE * len(heads) + sum(heights) + _GAP * len(heights)
        figure.set_size_inches(_WIDTH, height)
        y = height - _MARGIN
        for line in heads:
            _text(figure, _MARGIN, y, line, "#000000", bold=True)
            y -= _LINE
        for one, block, tall in zip(shown, blocks, heights, strict=True):
            y -= _GAP
            if pictures:
                _picture(figure, pictures / one.picture, _MARGIN, y)
            _block_text(figure, block, left, y)
            y -= tall
        canvas.save(figure, path, drawn_from, colours=None if pictures else 64)


def wrap(text: str, width: float, size: float = _SIZE, bold: bool = False) -> list[str]:
    """Return the lines of `text`, none wider than `width` inches in the figures' font; a longer word is cut."""
    with mpl.rc_context():
        mpl.rcdefaults()
        measure, font = TextToPath(), FontProperties(size=size, weight="bold" if bold else "normal")

        def fits(line: str) -> bool:
            return float(measure.get_text_width_height_descent(line, font, ismath=False)[0]) <= 72 * _HINTING * width

        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".lstrip()
            if fits(longer):
                lines[-1] = longer
                continue
            lines += [word] if lines[-1] else []
            lines[-1] = word
            while not fits(lines[-1]) and len(lines[-1]) > 1:
                rest = lines[-1]
                cut = _longest(rest, fits)
                lines[-1:] = [rest[:cut], rest[cut:]]
        return lines


def _longest(word: str, fits: Callable[[str], bool]) -> int:
    """Return how many of the word's letters, of which not all do, fit in a line; one in any case."""
    low, high = 1, len(word) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(word[:middle]) else (low, middle - 1)
    return low


_Block = list[tuple[str, str, list[str]]]
"""Label, colour of the label, lines of text; the first is the name of the picture and has no label."""


def _block(one: Captioned, labels: Mapping[str, str], colours: Mapping[str, str], width: float, whole: float) -> _Block:
    block: _Block = [("", "#000000", wrap(one.picture, whole, bold=True))]
    block.append(("Reference", _REFERENCE, wrap(one.reference, width)))
    for arm, caption in one.captions.items():
        block.append((labels.get(arm, arm), colours.get(arm, _REFERENCE), wrap(caption or "(empty)", width)))
    return block


def _block_text(figure: Figure, block: _Block, x: float, y: float) -> None:
    for label, colour, lines in block:
        if label:
            _text(figure, x, y, label, colour, bold=True)
        for line in lines:
            _text(figure, x + (_LABEL if label else 0), y, line, "#000000", bold=not label)
            y -= _LINE


def _text(figure: Figure, x: float, y: float, text: str, colour: str, bold: bool = False) -> None:
    width, height = figure.get_size_inches()
    weight = "bold" if bold else "normal"
    where = (x / width, (y - _ASCENT) / height)
    figure.text(*where, text, color=colour, size=_SIZE, weight=weight, va="baseline", parse_math=False)


def _picture(figure: Figure, path: Path, x: float, y: float) -> None:
    try:
        with Image.open(path) as image:
            side = round(2 * _THUMBNAIL * figure.dpi)
            pixels = np.asarray(ImageOps.contain(ImageOps.exif_transpose(image).convert("RGB"), (side, side)))
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{path} cannot be drawn on the contact sheet: {error}") from error
    width, height = figure.get_size_inches()
    tall, wide = pixels.shape[0] / 2 / figure.dpi, pixels.shape[1] / 2 / figure.dpi
    ax = figure.add_axes((x / width, (y - tall) / height, wide / width, tall / height))
    ax.imshow(pixels)
    ax.set_axis_off()
