"""Word and character error rates of a whole corpus, by rapidfuzz and jiwer.

A rate is the insertions, deletions and substitutions of all utterances, divided by the words or characters of all references.
White space at the ends and repeated white space are ignored. Upper and lower case differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import jiwer
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor


def score(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
    """Return the word error rate (`wer`) and the character error rate (`cer`) in percent; more than 100 is possible.

    A hypothesis belongs to the reference of the same index; "" means that it is missing. Spaces between words count as characters.

    Raises:
        ValueError: the two differ in number.
        ZeroDivisionError: no reference has a word.
    """
    right, words = counts(references, hypotheses).sum(0).tolist()
    characters = jiwer.process_characters(_single_spaces(references), _single_spaces(hypotheses))
    return {"wer": 100 * (words - right) / words, "cer": 100 * characters.cer}


def counts(references: Sequence[str], hypotheses: Sequence[str]) -> Tensor:
    """Return the counts behind the word error rate, a row per utterance; sum them over any (re)sample of utterances.

    Returns:
        (utterances, 2) int64: words minus errors (negative if there are more errors than words), and words.
        With sums a and b, the word error rate is 100 (1 - a / b) percent.

    Raises:
        ValueError: the two differ in number.
    """
    pairs = [(r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)]
    rows = [(len(spoken) - Levenshtein.distance(spoken, heard), len(spoken)) for spoken, heard in pairs]
    return torch.tensor(rows, dtype=torch.int64).view(-1, 2)


def _single_spaces(texts: Sequence[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts]
