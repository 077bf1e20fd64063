"""Render a document as HTML, with inline figures and numbers that link to their trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from benchmarks.analysis.groups import Group
from benchmarks.reporting.document import Block, Cell, Column, Document, Figure, Heading, Places, Text, pieces

TRIALS = "#trials-"
"""Prefix of the address of a group's trials, followed by its number."""
_NARROW = 4
"""The maximum number of columns that fit on a phone."""
_PARSER = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")


@dataclass(frozen=True)
class Place:
    """What rendering needs besides the document.

    `figures` maps name to `<svg>`. `places` maps trials to `TRIALS` and the group's number. `details` maps record id to HTML with
    its provenance.
    """

    figures: Mapping[str, str]
    places: Places
    details: Mapping[str, str]

    def svg(self, figure: Figure) -> str:
        """Return a figure with its words for screen readers; empty if it was not drawn."""
        svg = self.figures.get(PurePosixPath(figure.name).stem, "")
        return svg.replace("<svg", f'<svg role="img" aria-label="{escape(figure.words)}"', 1)

    def anchor(self, group: Group, kind: str = "trials-") -> str:
        """Return the anchor of the group's list of trials, or of another `kind` of place."""
        return self.places.trials[group.sample.id].replace(TRIALS, kind)


def html(document: Document, place: Place, title: str) -> str:
    """Return the blocks as HTML: one section per heading, collapsed if its group is not a result.

    First-level headings are omitted, because the page has its own titles. `title` names the tables before the first other heading.
    """
    sections: list[tuple[Heading | None, list[Block]]] = [(None, [])]
    for block in document:
        if isinstance(block, Heading) and block.level > 1:
            sections.append((block, []))
        elif not isinstance(block, Heading):
            sections[-1][1].append(block)
    return _BLOCKS.render(sections=sections, place=place, title=title)


def inline(text: Text, place: Place) -> Markup:
    """Return a sentence as HTML with emphasis and links. Images are turned into text, so nothing is fetched."""
    marked = "".join(one if isinstance(one, str) else _link(one, place) for one in pieces(text))
    (token,) = _PARSER.parseInline(marked)
    children = token.children or []
    for number, child in enumerate(children):
        if child.type == "image":  # never fetch anything, for any text
            children[number] = Token("text", "", 0, content=child.content)
    return Markup(_PARSER.renderer.render([token], _PARSER.options, {}))  # noqa: S704 - the parser escapes HTML


def _link(cell: Cell, place: Place) -> str:
    address = place.places.address(cell)
    return f"[{cell.text}]({address})" if address else cell.text


def linked(cell: Cell, place: Place, column: Column[object] | None = None) -> Markup:
    """Return a cell as a link to its trials, or to their group without `column`. Only links in column n are tab stops."""
    text, address = inline(cell.text, place), place.places.address(cell)
    if column is None:
        address = address.replace(TRIALS, "#group-")
    skipped = Markup(' tabindex="-1"') if column and column.heading != "n" else ""
    return Markup('<a href="{}"{}>{}</a>').format(address, skipped, text) if address else text


ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.globals |= {
    "inline": inline,
    "linked": linked,
    "kind": lambda block: type(block).__name__,
    "NARROW": _NARROW,
}
_BLOCKS = ENVIRONMENT.get_template("blocks.html")
