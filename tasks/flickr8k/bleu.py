"""BLEU of a whole corpus, with the brevity penalty, and without it as in NeuralTalk.

Papineni et al. 2002: the geometric mean of the clipped n-gram precisions up to N, pooled over the corpus, times a penalty if the
captions are shorter than their references. There is no smoothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from nltk.translate.bleu_score import brevity_penalty, closest_ref_length, modified_precision
from torch import Tensor

MAX_ORDER = 4
"""BLEU-1 to BLEU-4 are computed."""

Caption = Sequence[str]
Four = tuple[float, float, float, float]


@dataclass(frozen=True)
class Bleu:
    """Corpus BLEU-1..4 in percent.

    Attributes:
        standard: with the brevity penalty, the usual definition.
        neuraltalk: without the penalty, which is commented out in NeuralTalk's script.
        brevity_penalty: between 0 and 1; `standard` is `brevity_penalty` times `neuraltalk`.
        hypothesis_length: words in all hypotheses.
        reference_length: words in all chosen references. For each hypothesis the reference closest in length is chosen (the
            shorter one on a tie).
        counts: the result of `counts`.
    """

    standard: Four
    neuraltalk: Four
    brevity_penalty: float
    hypothesis_length: int
    reference_length: int
    counts: Tensor = field(repr=False, compare=False)


def score(references: Sequence[Sequence[Caption]], hypotheses: Sequence[Caption]) -> Bleu:
    """Return corpus BLEU of tokenised hypotheses, each against one or more tokenised references.

    Raises:
        ValueError: the two differ in number, or an example has no reference.
    """
    table = counts(references, hypotheses)
    first, second, third, fourth = unpenalised(table.sum(0)).tolist()
    hypothesis_length = sum(len(hypothesis) for hypothesis in hypotheses)
    reference_length = sum(
        closest_ref_length(each, len(hypothesis)) for each, hypothesis in zip(references, hypotheses, strict=True)
    )
    penalty = float(brevity_penalty(reference_length, hypothesis_length))
    return Bleu(
        standard=(penalty * first, penalty * second, penalty * third, penalty * fourth),
        neuraltalk=(first, second, third, fourth),
        brevity_penalty=penalty,
        hypothesis_length=hypothesis_length,
        reference_length=reference_length,
        counts=table,
    )


def counts(references: Sequence[Sequence[Caption]], hypotheses: Sequence[Caption]) -> Tensor:
    """Return the counts behind corpus BLEU, a row per example; sum them over any (re)sample of examples.

    Returns:
        (examples, 8) int64: the clipped n-gram matches for n = 1..4, then the n-grams in the hypothesis for n = 1..4.

    Raises:
        ValueError: as in `score`.
    """
    rows = []
    for each, hypothesis in zip(references, hypotheses, strict=True):
        orders = range(1, MAX_ORDER + 1)
        matches = [modified_precision(each, hypothesis, n).numerator for n in orders]
        # Not nltk's denominator, which is 1 instead of 0 if the hypothesis has fewer than n words.
        rows.append(matches + [max(0, len(hypothesis) - n + 1) for n in orders])
    return torch.tensor(rows, dtype=torch.int64)


def unpenalised(sums: Tensor) -> Tensor:
    """Return BLEU-1..4 in percent without brevity penalty, from summed `counts`.

    Args:
        sums: (..., 8) sums over the examples of a sample; leading dimensions are samples, as in a bootstrap.

    Returns:
        (..., 4) float64. BLEU-n is 0 if any order up to n has no match.
    """
    matches, totals = sums[..., :MAX_ORDER].double(), sums[..., MAX_ORDER:].double()
    precisions = matches / totals.clamp(min=1)  # 0 if there are no n-grams
    orders = torch.arange(1, MAX_ORDER + 1, device=sums.device, dtype=torch.float64)
    return 100 * precisions.cumprod(-1) ** (1 / orders)
