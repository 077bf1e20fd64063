"""Render a document's tables as LaTeX."""

from __future__ import annotations

import re

import pandas as pd

from benchmarks.reporting.document import Document, Table
from benchmarks.reporting.wording import SELECTION


def latex(document: Document) -> str:
    """Return the tables, each with its caption."""
    texts = []
    for block in document:
        columns, rows = block.of("latex") if isinstance(block, Table) else ([], [])
        if isinstance(block, Table) and rows:
            cells = [[cell.text.replace("*", "") for cell in row] for row in rows]
            headings = [column.heading for column in columns]
            caption = _escaped(block.caption)
            form = "l" * len(columns)
            text = pd.DataFrame(cells, columns=headings).to_latex(
                index=False, escape=True, caption=caption, column_format=form
            )
            texts.append(text.replace("±", r"$\pm$"))
    return f"% {SELECTION}\n" + "\n".join(texts)


def _escaped(text: str) -> str:
    """Return inline Markdown as LaTeX: special characters escaped, emphasis and code as commands."""
    for character in "%&#_$":
        text = text.replace(character, "\\" + character)
    text = re.sub(r"\*([^*]+)\*", r"\\emph{\1}", text)
    return re.sub(r"`([^`]+)`", r"\\texttt{\1}", text)
