"""Text from groups: table frames and the Markdown around them. Pure functions; nothing here reads or writes a file."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmarks.reporting.document import Block, frame


def markdown(block: Block, level: int) -> str:
    """Return the block as Markdown under a heading of `level`."""
    return "\n\n".join(part for part in (f"{'#' * level} {block.heading}", block.text, _table(block.frame)) if part)


def markdown_table(lines: Sequence[dict[str, str]]) -> str:
    """Return `lines` as a Markdown table."""
    return _table(frame(lines))


def _table(cells: pd.DataFrame) -> str:
    # Without disable_numparse, tabulate would read "30.10" as a number and print 30.1.
    return str(cells.replace(r"\|", r"\\|", regex=True).to_markdown(index=False, disable_numparse=True))
