"""Render a document's tables as one CSV table with the union of their columns."""

from __future__ import annotations

import csv as standard
import io

from benchmarks.reporting.document import Document, Table


def csv(document: Document) -> str:
    """Return one CSV line per table row. Columns that the row's table lacks are empty."""
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
