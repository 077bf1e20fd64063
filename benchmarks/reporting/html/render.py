"""Render a document as HTML, with inline figures and numbers that link to their trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import count
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from benchmarks.analysis.groups import Group
from benchmarks.reporting.document import (
    Block,
    Bullets,
    Cell,
    Column,
    Document,
    Figure,
    Heading,
    Paragraph,
    Places,
    Table,
    Text,
    pieces,
)

TRIALS = "#trials-"
"""Prefix of the address of a group's trials, followed by its number."""
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

    def anchor(self, group: Group, kind: str = "trials-") -> str:
        """Return the anchor of the group's list of trials, or of another `kind` of place."""
        return self.places.trials[group.sample.id].replace(TRIALS, kind)


def html(document: Document, place: Place, title: str) -> str:
    """Return the blocks as HTML: one section per heading, collapsed if its group is not a result.

    First-level headings are omitted, because the page has its own titles. `title` names the tables before the first other heading.
    """
    starts = [number for number, block in enumerate(document) if isinstance(block, Heading)]
    parts = [*_blocks(document[: starts[0] if starts else None], place, title)]
    for start, end in zip(starts, [*starts[1:], len(document)], strict=False):
        heading = document[start]
        assert isinstance(heading, Heading)
        top = heading.level == 1
        inner = "".join(_blocks(document[start + 1 : end], place, title if top else heading.text))
        parts.append(inner if top else _section(heading, inner, place))
    return "\n".join(parts)


def _section(heading: Heading, inner: str, place: Place) -> str:
    title = f"<h3>{_inline(heading.text, place)}</h3>"
    if heading.group is None:
        return f"<section>{title}{inner}</section>"
    anchor = place.anchor(heading.group, "group-")
    if heading.group.quotable:
        return f'<section class="group" id="{anchor}">{title}{inner}</section>'
    return f'<details class="group" id="{anchor}"><summary>{title}</summary>{inner}</details>'


def _blocks(blocks: Sequence[Block], place: Place, title: str) -> Iterator[str]:
    numbers = count(1)
    for block in blocks:
        match block:
            case Paragraph():
                yield f"<p>{_inline(block.text, place)}</p>\n"
            case Bullets():
                items = "\n".join(f"<li>{_inline(item, place)}</li>" for item in block.items)
                yield f"<ul>\n{items}\n</ul>\n"
            case Figure():
                yield _figure(block, place)
            case Table():
                columns, rows = block.of("html")
                if rows:
                    yield f"<p>{_inline(block.sentences, place)}</p>\n" if block.sentences else ""
                    yield _table(block, columns, rows, f"{title}, table {next(numbers)}", place)
                    yield '<p><a href="#viewer">All test examples, in the viewer</a></p>\n' if block.words else ""


def _inline(text: Text, place: Place) -> str:
    """Return a sentence as HTML with emphasis and links. Images are turned into text, so nothing is fetched."""
    marked = "".join(one if isinstance(one, str) else _link(one, place) for one in pieces(text))
    (token,) = _PARSER.parseInline(marked)
    children = token.children or []
    for number, child in enumerate(children):
        if child.type == "image":  # never fetch anything, whatever the text
            children[number] = Token("text", "", 0, content=child.content)
    return str(_PARSER.renderer.render([token], _PARSER.options, {}))


def _link(cell: Cell, place: Place) -> str:
    address = place.places.address(cell)
    return f"[{cell.text}]({address})" if address else cell.text


def _figure(figure: Figure, place: Place) -> str:
    name, words = PurePosixPath(figure.name).stem, escape(figure.words)
    if name in place.figures:
        svg = place.figures[name].replace("<svg", f'<svg role="img" aria-label="{words}"', 1)
        return (
            f'<figure><div class="scroll" role="region" tabindex="0" aria-label="Figure: {words}">{svg}</div>'
            f"<figcaption>{words}</figcaption></figure>"
        )
    return f"<p>{words}</p>"


def _table(
    table: Table, columns: Sequence[Column[object]], rows: Sequence[Sequence[Cell]], title: str, place: Place
) -> str:
    """Return a table in a scrollable frame. Under a table of trials follows the provenance of each."""
    kind = "words" if table.words else "numbers records" if table.group else "numbers"
    anchor = f' id="{place.anchor(table.group)}"' if table.group else ""
    label = escape(title)
    heads = "".join(f'<th scope="col">{_inline(column.heading, place)}</th>\n' for column in columns)
    lines = []
    for first, *rest in rows:
        cells = [f'<th scope="row">{_cell(first, place)}</th>\n']
        cells += [f"<td>{_cell(cell, place, column)}</td>\n" for cell, column in zip(rest, columns[1:], strict=True)]
        lines.append(f"<tr>\n{''.join(cells)}</tr>\n")
    details = [place.details[record.id] for record in (table.group.everything if table.group else ())]
    return (
        f'<div class="scroll {kind}"{anchor} role="region" tabindex="0" aria-label="{label}"><table>\n<caption>{label}</caption>'
        f"<thead>\n<tr>\n{heads}</tr>\n</thead>\n<tbody>\n{''.join(lines)}</tbody>\n</table>\n</div>{''.join(details)}"
    )


def _cell(cell: Cell, place: Place, column: Column[object] | None = None) -> str:
    """Return a cell as a link to its trials, or to their group without `column`. Only links in column n are tab stops."""
    text, address = _inline(cell.text, place), place.places.address(cell)
    if column is None:
        address = address.replace(TRIALS, "#group-")
    skipped = ' tabindex="-1"' if column and column.heading != "n" else ""
    return f'<a href="{escape(address)}"{skipped}>{text}</a>' if address else text
