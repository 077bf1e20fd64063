"""The figures as inline SVG: real text in the page's own colours, readable in dark and light mode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.records.schema import Record
from benchmarks.reporting.figures import canvas, files

# Black and grey follow the page's colours. Blue, the darkest other colour, is lightened in dark mode.
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
_GROUP_NAMES = re.compile(r'(?<=<g) id="[^"]*"')  # unused, and the same in every figure
_REFERRED = re.compile(r'(?<= id=")|(?<=href="#)|(?<=url\(#)')
_TAG = re.compile(r"<[^>]*>")
_DECIMALS = re.compile(r"(?<=\d\.\d\d)\d+")  # a screen shows less than hundredths of a point
_SIZE = re.compile(r' (?:width|height)="[\d.]+pt"')
_FONTS = re.compile(r"'DejaVu Sans',[^;\"]*sans-serif")
_XML_NAMES = re.compile(r' xmlns(?::xlink)?="[^"]*"')  # not needed in HTML
_SPACE = re.compile(r"\s*\n\s*")


def as_svg(records: Sequence[Record]) -> dict[str, str]:
    """Return a mapping from figure name, such as "gains", to its `<svg>` element."""
    with TemporaryDirectory() as folder, canvas.vector():
        files.write(Path(folder), records)
        paths = sorted(Path(folder).glob("figures/*.svg"))
        return {path.stem: inline(path.read_text(encoding="utf-8"), f"f{k}-") for k, path in enumerate(paths)}


def inline(svg: str, prefix: str) -> str:
    """Return a file's `<svg>` element for a shared page: ids get `prefix`, and the fixed size is removed."""
    head, rest = _ELSEWHERE.sub("", svg).split(">", 1)
    head = _XML_NAMES.sub("", _SIZE.sub("", head)).strip()
    rest = _GROUP_NAMES.sub("", rest)
    text = _REFERRED.sub(prefix, f"{head}>{rest}").replace("xlink:href", "href")
    text = _COLOUR.sub(lambda found: _COLOURS[found[0]], text)
    text = _FONTS.sub("'DejaVu Sans', Verdana, sans-serif", text)
    text = _TAG.sub(lambda tag: _DECIMALS.sub("", tag[0]), text)  # coordinates only, not displayed numbers
    return _SPACE.sub(" ", text).strip()
