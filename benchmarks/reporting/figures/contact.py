"""The contact sheet: what networks say of a few test examples, beside a reference. Pictures only from the user's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath
from PIL import Image, ImageOps, UnidentifiedImageError

from benchmarks.analysis import word_errors
from benchmarks.analysis.samples import Sample
from benchmarks.analysis.word_errors import Word
from benchmarks.reporting.figures import canvas

_WIDTH, _MARGIN, _LABEL, _GAP = 8.0, 0.2, 1.75, 0.14  # inches, as everything here
_SIZE, _LINE = 8.5, 0.165  # of the text in points, and from line to line
_ASCENT = 0.115  # from the top of a line to its baseline
_STRIKE = 0.082  # from the top of a line to the middle of its small letters
_SPACE = 0.045  # between words that are drawn one by one
_THUMBNAIL = 1.35
_DPI = 150
_HINTING = 0.95  # letters on whole pixels take a little more room than their outlines
_REFERENCE = "#555555"


def draw(
    shown: Sequence[Sample],
    title: str,
    labels: Mapping[str, str],
    colours: Mapping[str, str],
    path: Path,
    drawn_from: str,
    pictures: Path | None = None,
    marked: bool = False,
) -> None:
    """Draw a block for every example: its name, the reference, and what every arm says, all wrapped to the width.

    Args:
        shown: the examples and what is said of them.
        title: stands above them, wrapped as well.
        labels: of the arms, by name.
        colours: of the arms, by name.
        path: of the PNG.
        drawn_from: what the file says it was drawn from.
        pictures: the folder that holds the pictures themselves, None for the examples' names alone.
        marked: whether the words that differ from the reference are marked: in bold where substituted, in bold italics
            where inserted, struck out where left out.

    Raises:
        ValueError: a picture is missing there, not readable, or has a name that leads out of there.
    """
    left = _MARGIN + (_THUMBNAIL + _MARGIN if pictures else 0)
    with canvas.blank(_WIDTH, 1.0) as figure:
        figure.set_layout_engine("none")
        figure.set_dpi(_DPI)
        blocks = [
            _block(one, labels, colours, _WIDTH - left - _LABEL - _MARGIN, _WIDTH - left - _MARGIN, marked)
            for one in shown
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
                _picture(figure, pictures / plain(one.example), _MARGIN, y)
            _block_text(figure, block, left, y)
            y -= tall
        canvas.save(figure, path, drawn_from, colours=None if pictures else 64)


def plain(name: str) -> str:
    """Return the name of a picture, which a record tells, if it is no more than a name.

    Raises:
        ValueError: it is a path, which may lead anywhere.
    """
    if name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise ValueError(f"{name!r} is not the plain name of a picture: it will not be looked for")
    return name


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


def wrap_words(words: Sequence[Word], width: float) -> list[list[Word]]:
    """Return the lines of `words`, none wider than `width` inches with all of it in bold; a longer word is cut."""
    left = list(words)
    found: list[list[Word]] = []
    for line in wrap(" ".join(word.text for word in words), width, bold=True):
        found.append([])
        for piece in line.split():
            word = left.pop(0)
            found[-1].append(Word(piece, word.kind))
            if piece != word.text:
                left.insert(0, Word(word.text.removeprefix(piece), word.kind))
    return found


def _longest(word: str, fits: Callable[[str], bool]) -> int:
    """Return how many of the word's letters, of which not all do, fit in a line; one in any case."""
    low, high = 1, len(word) - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(word[:middle]) else (low, middle - 1)
    return low


_Lines = list[str] | list[list[Word]]
_Block = list[tuple[str, str, _Lines]]
"""Label, colour of the label, lines of text or of marked words; the first is the example's name and has no label."""


def _block(
    one: Sample, labels: Mapping[str, str], colours: Mapping[str, str], width: float, whole: float, marked: bool
) -> _Block:
    block: _Block = [("", "#000000", wrap(one.example, whole, bold=True))]
    block.append(("Reference", _REFERENCE, wrap(one.reference, width)))
    for arm, said in one.said.items():
        words = word_errors.marked(one.reference, said) if marked else []
        lines: _Lines = wrap_words(words, width) if words else wrap(said or "(empty)", width)
        block.append((labels.get(arm, arm), colours.get(arm, _REFERENCE), lines))
    return block


def _block_text(figure: Figure, block: _Block, x: float, y: float) -> None:
    for label, colour, lines in block:
        if label:
            _text(figure, x, y, label, colour, bold=True)
        for line in lines:
            start = x + (_LABEL if label else 0)
            if isinstance(line, str):
                _text(figure, start, y, line, "#000000", bold=not label)
            else:
                _marked(figure, start, y, line)
            y -= _LINE


def _marked(figure: Figure, x: float, y: float, words: Sequence[Word]) -> None:
    """Draw words one by one, each as what is wrong with it asks for."""
    width, height = figure.get_size_inches()
    for word in words:
        colour = _REFERENCE if word.kind == "delete" else "#000000"
        wide = _text(
            figure, x, y, word.text, colour, word.kind in ("substitute", "insert"), italic=word.kind == "insert"
        )
        if word.kind == "delete":
            level = (y - _STRIKE) / height
            ends = (x / width, (x + wide) / width)
            figure.add_artist(
                Line2D(ends, (level, level), color=_REFERENCE, linewidth=0.9, transform=figure.transFigure)
            )
        x += wide + _SPACE


def _text(
    figure: Figure, x: float, y: float, text: str, colour: str, bold: bool = False, italic: bool = False
) -> float:
    """Draw `text` and return how wide it is, in inches."""
    width, height = figure.get_size_inches()
    where = (x / width, (y - _ASCENT) / height)
    weight, style = "bold" if bold else "normal", "italic" if italic else "normal"
    artist = figure.text(
        *where, text, color=colour, size=_SIZE, weight=weight, style=style, va="baseline", parse_math=False
    )
    return float(artist.get_window_extent().width / figure.dpi)


def _picture(figure: Figure, path: Path, x: float, y: float) -> None:
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            side = round(2 * _THUMBNAIL * figure.dpi)
            pixels = np.asarray(ImageOps.contain(ImageOps.exif_transpose(image).convert("RGB"), (side, side)))
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{path} cannot be drawn on the contact sheet: {error}") from error
    width, height = figure.get_size_inches()
    tall, wide = pixels.shape[0] / 2 / figure.dpi, pixels.shape[1] / 2 / figure.dpi
    ax = figure.add_axes((x / width, (y - tall) / height, wide / width, tall / height))
    ax.imshow(pixels)
    ax.set_axis_off()
