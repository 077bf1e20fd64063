"""A document as Markdown."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from tabulate import tabulate

from benchmarks.reporting.document import Block, Bullets, Cell, Document, Figure, Heading, Paragraph, Text, pieces

GENERATED = "<!-- Generated from records/ by `python -m benchmarks tables`. Do not edit. -->"
"""The first line of every page made here; a page without it is somebody else's."""


def markdown(document: Document, page: str) -> str:
    """Return the blocks of a page, whose address `page` is as seen from the results folder."""
    return "\n\n".join(part for block in document for part in _parts(block, page))


def _parts(block: Block, page: str) -> Iterator[str]:
    match block:
        case Heading():
            yield f"{'#' * block.level} {block.text}"
        case Paragraph():
            yield _text(block.text, page)
        case Bullets():
            yield "\n".join(f"- {_text(item, page)}" for item in block.items)
        case Figure():
            yield f"![{block.words}]({_relative(f'figures/{block.name}', page)})"
        case _:
            columns, rows = block.of("markdown")
            if rows:
                yield from [block.sentences] if block.sentences else []
                cells = [[_cell(cell, page).replace("|", r"\|") for cell in row] for row in rows]
                # With numparse, tabulate would read "30.10" as a number and print 30.1.
                yield tabulate(cells, [one.heading for one in columns], tablefmt="pipe", disable_numparse=True)


def _text(text: Text, page: str) -> str:
    return "".join(one if isinstance(one, str) else _cell(one, page) for one in pieces(text))


def _cell(cell: Cell, page: str) -> str:
    return f"[{cell.text}]({_relative(cell.address, page)})" if cell.address else cell.text


def _relative(address: str, page: str) -> str:
    """Return an address as seen from `page`, both as seen from the results folder."""
    return posixpath.relpath(f"/results/{address}", posixpath.dirname(f"/results/{page}"))
