"""The errors of a transcript, word by word: the alignment that its word error rate counts."""

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
    """One word of a transcript, or one that it lacks (`delete`), as it is printed."""

    text: str
    kind: Kind = "equal"


def marked(reference: str, transcript: str) -> list[Word]:
    """Return the words of `transcript` in order, those that it lacks among them, each with what is wrong with it."""
    found = jiwer.process_words(reference, transcript)
    right, heard = (texts[0] for texts in (found.references, found.hypotheses))
    words: list[Word] = []
    for chunk in found.alignments[0]:
        if chunk.type == "delete":
            words += [Word(text, "delete") for text in right[chunk.ref_start_idx : chunk.ref_end_idx]]
        else:
            kind = cast("Kind", chunk.type)  # jiwer says str
            words += [Word(text, kind) for text in heard[chunk.hyp_start_idx : chunk.hyp_end_idx]]
    return words


def markdown(words: list[Word]) -> str:
    """Return the words as Markdown, marked as `LEGEND` says."""
    texts = []
    for one in words:
        mark, text = _MARKS[one.kind], _SPECIAL.sub(r"\\\1", one.text)
        texts.append(f"{mark}{text}{mark}")
    return " ".join(texts)
