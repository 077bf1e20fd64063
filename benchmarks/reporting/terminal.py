"""Render a document for a terminal of 80 columns."""

from __future__ import annotations

import textwrap

from rich.box import SIMPLE
from rich.console import Group as Renderables
from rich.table import Table as Grid
from rich.text import Text

from benchmarks.reporting.document import Document, Paragraph, Table, plain

_WIDTH = 64  # minimum width of a table and maximum width of its title, in columns
_LABEL = 14  # width of the longest name of the main arms


def terminal(document: Document) -> Renderables:
    """Return the tables and the paragraphs."""
    shown: list[Grid | Text] = []
    for block in document:
        if isinstance(block, Table) and block.of("terminal")[1]:
            shown.append(_grid(block))
        elif isinstance(block, Paragraph):
            shown.append(Text(plain(block.text), style="dim italic"))
    return Renderables(*shown)


def _grid(table: Table) -> Grid:
    """Return a table whose first and last columns hold words and whose other columns hold numbers."""
    columns, rows = table.of("terminal")
    title = [part for line in table.caption.splitlines() for part in textwrap.wrap(line, _WIDTH)]
    # Use Text, not str: rich would parse names of arms and data as markup.
    grid = Grid(title=Text("\n".join(title)), box=SIMPLE, padding=(0, 1, 0, 0), min_width=_WIDTH)
    # Never break the labels of the main arms; break the verdict instead.
    longest = min(_LABEL, max(len(row[0].text) for row in rows))
    first, *numbers, last = [Text(column.heading) for column in columns]
    grid.add_column(first, min_width=longest, max_width=20, overflow="fold")
    for heading in numbers:
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column(last, min_width=8)
    for row in rows:
        grid.add_row(*(Text(cell.text.replace(" [", "\n[")) for cell in row))
    return grid
