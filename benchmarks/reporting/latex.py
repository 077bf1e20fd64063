"""Text from groups: table frames and the Markdown around them. Pure functions; nothing here reads or writes a file."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.reporting.document import Block
from benchmarks.reporting.wording import SELECTION


def latex(blocks: Sequence[Block]) -> str:
    """Return the blocks as LaTeX tables, each captioned with its heading and sentences."""
    texts = []
    for block in blocks:
        plain = block.frame.replace(r"\*", "", regex=True)
        caption = _latex_text(" ".join(part for part in (block.heading + ".", block.text) if part))
        text = plain.to_latex(index=False, escape=True, caption=caption, column_format="l" * plain.shape[1])
        texts.append(text.replace("±", r"$\pm$"))
    return f"% {SELECTION}\n" + "\n".join(texts)


def _latex_text(text: str) -> str:
    for character in "%&#_$":
        text = text.replace(character, "\\" + character)
    return text
