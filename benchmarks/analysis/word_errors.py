"""Word errors of a transcript, from the alignment that defines its word error rate."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

import jiwer

Kind = Literal["equal", "substitute", "insert", "delete"]
LEGEND = "**substituted**, ***inserted***, ~~left out~~"
_MARKS: dict[Kind, str] = {"equal": "", "substitute": "**", "insert": "***", "delete": "~~"}
_SPECIAL = re.compile(r"([\\`*_~<\[\]])")


@dataclass(frozen=True)
class Word:
    """One word of a transcript, or one missing from it (`delete`)."""

    text: str
    kind: Kind = "equal"


def marked(reference: str, transcript: str) -> list[Word]:
    """Return the words of `transcript` in order, including missing ones, each with its kind of error."""
    aligned = jiwer.process_words(reference, transcript)
    right, heard = (texts[0] for texts in (aligned.references, aligned.hypotheses))
    words: list[Word] = []
    for chunk in aligned.alignments[0]:
        if chunk.type == "delete":
            words += [Word(text, "delete") for text in right[chunk.ref_start_idx : chunk.ref_end_idx]]
        else:
            kind = cast("Kind", chunk.type)  # jiwer types it as str
            words += [Word(text, kind) for text in heard[chunk.hyp_start_idx : chunk.hyp_end_idx]]
    return words


def markdown(words: list[Word]) -> str:
    """Return the words as Markdown, marked as `LEGEND` describes."""
    return " ".join(_MARKS[word.kind] + _SPECIAL.sub(r"\\\1", word.text) + _MARKS[word.kind] for word in words)
