"""Word and character error rates of a whole corpus, by jiwer.

Insertions, deletions and substitutions of all utterances over the words of all references. Texts are compared as they
are, but for space at their ends and repeated space: bring both to one case first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor


@dataclass(frozen=True)
class Score:
    """Errors of a corpus.

    Attributes:
        wer: word error rate in percent; above 100 where there are more errors than words.
        cer: character error rate in percent; the single space between two words is a character.
        substitutions: words taken for another one.
        insertions: words of hypotheses that nobody said.
        deletions: words of references that were missed.
        words: words in all references.
    """

    wer: float
    cer: float
    substitutions: int
    insertions: int
    deletions: int
    words: int


def score(references: Sequence[str], hypotheses: Sequence[str]) -> Score:
    """Return the errors of hypotheses, each against the reference of the same index.

    A hypothesis that is missing is the empty string: all its words are deletions. Where a reference is empty, the words
    of the hypothesis are insertions, and no words are added to those that the errors are divided by.

    Often several alignments have the fewest errors, and they split them differently. The split is that of the alignment
    which finds the most words right, and so has the fewest substitutions; the rates do not depend on it.

    Raises:
        ValueError: the two differ in number, or the references have no word.
    """
    references, hypotheses = _tidy(references), _tidy(hypotheses)
    spoken, errors = _words_and_errors(references, hypotheses)
    words, edits = sum(spoken), sum(errors)
    substitutions = sum(map(_substitutions, references, hypotheses))
    surplus = sum(len(hypothesis.split()) for hypothesis in hypotheses) - words  # insertions less deletions
    insertions = (edits - substitutions + surplus) // 2
    return Score(
        wer=100 * edits / words,
        cer=100 * jiwer.process_characters(references, hypotheses).cer,
        substitutions=substitutions,
        insertions=insertions,
        deletions=edits - substitutions - insertions,
        words=words,
    )


def counts(references: Sequence[str], hypotheses: Sequence[str]) -> Tensor:
    """Return what the word error rate is made of, one row an utterance, to be summed over any (re)sample of them.

    Returns:
        (utterances, 2) int64: words less errors, which is negative where there are more errors than words, and words.
        With sums a and b, the word error rate is 100 (1 - a / b) percent.

    Raises:
        ValueError: as `score` does.
    """
    spoken, errors = _words_and_errors(_tidy(references), _tidy(hypotheses))
    return torch.tensor([[words - edits, words] for words, edits in zip(spoken, errors, strict=True)])


def _tidy(texts: Sequence[str]) -> list[str]:
    return [" ".join(text.split()) for text in texts]


def _words_and_errors(references: list[str], hypotheses: list[str]) -> tuple[list[int], list[int]]:
    """Return the words and the errors of each utterance."""
    if len(references) != len(hypotheses):
        raise ValueError(
            f"There are {len(references)} references but {len(hypotheses)} hypotheses; "
            f"index {min(len(references), len(hypotheses))} is the first without its partner."
        )
    spoken = [len(reference.split()) for reference in references]
    if not any(spoken):
        raise ValueError(f"The {len(references)} references have no word, so there is no word error rate.")
    errors = [
        sum(
            max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
            for chunk in alignment
            if chunk.type != "equal"
        )
        for alignment in jiwer.process_words(references, hypotheses).alignments
    ]
    return spoken, errors


def _substitutions(reference: str, hypothesis: str) -> int:
    """Return the fewest substitutions among the alignments with the fewest errors."""
    spoken, heard = reference.split(), hypothesis.split()
    one = len(spoken) + 1  # an error; a substitution costs 1 more, and all of them together less than an error
    return Levenshtein.distance(spoken, heard, weights=(one, one, one + 1)) % one
