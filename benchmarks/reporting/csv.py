"""The tables of a document as CSV: the values behind the cells, in one table of all their columns."""

from __future__ import annotations

import csv as standard
import io

from benchmarks.reporting.document import Document, Table


def csv(document: Document) -> str:
    """Return a line for every row; what its own table has no column for is left empty."""
    tables = [block.of("csv") for block in document if isinstance(block, Table)]
    lines = [
        {column.key: _value(cell.value) for column, cell in zip(columns, row, strict=True)}
        for columns, rows in tables
        for row in rows
    ]
    text = io.StringIO()
    writer = standard.DictWriter(
        text, list(dict.fromkeys(column.key for columns, _ in tables for column in columns)), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _value(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else str(value)
