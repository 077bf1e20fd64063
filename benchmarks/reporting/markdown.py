"""Render a document as Markdown."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from tabulate import tabulate

from benchmarks.reporting.document import (
    Block,
    Bullets,
    Cell,
    Details,
    Document,
    Figure,
    Heading,
    Paragraph,
    Places,
    Text,
    pieces,
)

GENERATED = "<!-- Generated from records/ by `python -m benchmarks tables`. Do not edit. -->"
"""The first line of every generated page. A page without it was not made by this suite."""


def markdown(document: Document, page: str, places: Places) -> str:
    """Return the Markdown of a page. `page` and the addresses in `places` are relative to the results folder."""
    return "\n\n".join(part for block in document for part in _parts(block, page, places))


def _parts(block: Block, page: str, places: Places) -> Iterator[str]:
    def shown(text: Text) -> str:
        return "".join(one if isinstance(one, str) else linked(one) for one in pieces(text))

    def linked(cell: Cell) -> str:
        address = places.address(cell)
        return f"[{cell.text}]({_relative(address, page)})" if address else cell.text

    match block:
        case Heading():
            yield f"{'#' * block.level} {block.text}"
        case Paragraph():
            yield shown(block.text)
        case Bullets():
            yield "\n".join(f"- {shown(item)}" for item in block.items)
        case Details():
            yield f"<details><summary>{block.title}</summary>"
            yield "\n".join(f"- {shown(item)}" for item in block.items)
            yield "</details>"
        case Figure():
            yield f"![{block.words}]({_relative(f'figures/{block.name}', page)})"
        case _:
            columns, rows = block.of("markdown")
            if rows:
                yield from [shown(block.sentences)] if block.sentences else []
                here, _, anchor = (
                    places.trials.get(block.group.sample.id, "").partition("#") if block.group else ("", "", "")
                )
                yield from [f'<a id="{anchor}"></a>'] if here == page else []
                # The first cell names the line. The other cells link to its trials.
                cells = [[first.text if first.trials else linked(first), *map(linked, rest)] for first, *rest in rows]
                # With numparse, tabulate would read "30.10" as a number and print 30.1.
                yield tabulate(
                    [[cell.replace("|", r"\|") for cell in row] for row in cells],
                    [one.heading for one in columns],
                    tablefmt="pipe",
                    disable_numparse=True,
                )


def _relative(address: str, page: str) -> str:
    """Return `address` relative to `page`; both are given relative to the results folder."""
    if address.startswith(f"{page}#"):
        return address.removeprefix(page)
    return posixpath.relpath(f"/results/{address}", posixpath.dirname(f"/results/{page}"))
