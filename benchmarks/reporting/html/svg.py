"""The figures as SVG to stand in a page: text as text, in the page's own colours, so that dark and light both read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.records.schema import Record
from benchmarks.reporting.figures import canvas, files

# What is black or grey in a picture follows the page; blue, the darkest of the others, is lightened on a dark one.
_COLOURS = {
    "#000000": "var(--ink)",
    "#ffffff": "var(--ground)",
    "#555555": "var(--quiet)",
    "#999999": "var(--quiet)",
    "#bbbbbb": "var(--line)",
    "#0072b2": "var(--blue)",
}
_COLOUR = re.compile("|".join(_COLOURS))
_ELSEWHERE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.DOTALL)
_GROUP_NAMES = re.compile(r'(?<=<g) id="[^"]*"')  # nothing refers to them, and every figure has the same
_REFERRED = re.compile(r'(?<= id=")|(?<=href="#)|(?<=url\(#)')
_TAG = re.compile(r"<[^>]*>")
_DECIMALS = re.compile(r"(?<=\d\.\d\d)\d+")  # hundredths of a point are more than a screen shows
_SIZE = re.compile(r' (?:width|height)="[\d.]+pt"')
_FONTS = re.compile(r"'DejaVu Sans',[^;\"]*sans-serif")
_XML_NAMES = re.compile(r' xmlns(?::xlink)?="[^"]*"')  # HTML knows them
_SPACE = re.compile(r"\s*\n\s*")


def as_svg(records: Sequence[Record]) -> dict[str, str]:
    """Return name of figure, such as "gains", to its `<svg>` element."""
    with TemporaryDirectory() as folder, canvas.vector():
        files.write(Path(folder), records)
        paths = sorted(Path(folder).glob("figures/*.svg"))
        return {path.stem: inline(path.read_text(encoding="utf-8"), f"f{k}-") for k, path in enumerate(paths)}


def inline(svg: str, prefix: str) -> str:
    """Return the `<svg>` element of a file for a page that holds others: its ids start with `prefix`, its size is free."""
    head, rest = _ELSEWHERE.sub("", svg).split(">", 1)
    head = _XML_NAMES.sub("", _SIZE.sub("", head)).strip()
    rest = _GROUP_NAMES.sub("", rest)
    text = _REFERRED.sub(prefix, f"{head}>{rest}").replace("xlink:href", "href")
    text = _COLOUR.sub(lambda found: _COLOURS[found[0]], text)
    text = _FONTS.sub("'DejaVu Sans', Verdana, sans-serif", text)
    text = _TAG.sub(lambda tag: _DECIMALS.sub("", tag[0]), text)  # places, not the numbers that are read
    return _SPACE.sub(" ", text).strip()
