"""Captions from a language model: greedy decoding and beam search, batched over pictures and beams.

The rules are those of NeuralTalk. Word 0 starts and ends a caption. The score of a beam is the sum of its log-probabilities, which
favours short captions. A beam that has ended remains a candidate.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

State = tuple[Tensor, Tensor]
"""State of a captioner for n sequences: two tensors (n, hidden)."""

END = 0
"""The word that starts and ends every caption."""


class Captioner(Protocol):
    """A recurrent language model whose first input is a picture. Put it into evaluation mode before decoding."""

    def start(self, features: Tensor) -> State:
        """Return the state after the pictures (n, features), the first input."""
        ...

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Return log-probabilities of the next word, (n, vocabulary), and the state after `words`, (n,) int64."""
        ...


@torch.inference_mode()
def greedy(model: Captioner, features: Tensor, max_words: int = 20) -> list[list[int]]:
    """Return a caption for each picture: at each step the most probable word, with the lowest index on a tie.

    Args:
        model: the captioner, on the device of `features`.
        features: (n, features).
        max_words: steps after which a caption is cut off; predicting the end takes one step.

    Returns:
        n lists of at most `max_words` words, without the end.
    """
    captions = torch.full((len(features), max_words), END, device=features.device)
    if not len(features):
        return []
    pictures = torch.arange(len(features), device=features.device)  # pictures whose caption has not ended
    words = torch.full_like(pictures, END)
    state = model.start(features)
    for step in range(max_words):
        log_probs, state = model.step(words, state)
        words = log_probs.argmax(1)
        captions[pictures, step] = words
        going_on = (words != END).nonzero().view(-1)
        if len(going_on) < len(pictures):
            pictures, words = pictures[going_on], words[going_on]
            state = _rows(state, going_on)
        if not len(pictures):
            break
    return _lists(captions)


@torch.inference_mode()
def beam(model: Captioner, features: Tensor, width: int, max_words: int = 20) -> list[list[int]]:
    """Return for each picture the best caption of a beam search, ended or not.

    Each step keeps the `width` best continuations of all beams; on a tie those of the better beam, then those with the lower
    word index. A picture leaves the batch when its best beam has ended: log-probabilities are at most 0, so no other beam can
    overtake it.

    Args:
        model: the captioner, on the device of `features`.
        features: (n, features). The search needs memory for about 3 x n x width x vocabulary numbers.
        width: beams per picture; 1 is greedy decoding. It may exceed the number of possible captions.
        max_words: steps after which a caption is cut off; predicting the end takes one step.

    Returns:
        n lists of at most `max_words` words, without the end.
    """
    device = features.device
    captions = torch.full((len(features), max_words), END, device=device)
    if not len(features):
        return []
    pictures = torch.arange(len(features), device=device)  # pictures whose best beam has not ended
    words = torch.full((len(features), 1, 1), END, device=device)  # (pictures, beams, steps so far and the start)
    scores = torch.zeros((len(features), 1), device=device)  # (pictures, beams), best first
    ended = torch.zeros_like(scores, dtype=torch.bool)
    state = model.start(features)
    for _ in range(max_words):
        beams = words.shape[1]
        log_probs, state = model.step(words[:, :, -1].reshape(-1), state)
        vocabulary = log_probs.shape[1]
        # An ended beam has one continuation: another END at no cost.
        candidates = scores.masked_fill(ended, -torch.inf)[:, :, None] + log_probs.view(-1, beams, vocabulary)
        candidates[:, :, END] = torch.where(ended, scores, candidates[:, :, END])
        scores, chosen = _best(candidates.view(-1, beams * vocabulary), width)
        parents, last = chosen // vocabulary, chosen % vocabulary
        words = torch.cat((words.gather(1, parents[:, :, None].expand(-1, -1, words.shape[2])), last[:, :, None]), 2)
        ended = last == END
        captions[pictures, : words.shape[2] - 1] = words[:, 0, 1:]

        going_on = (~ended[:, 0]).nonzero().view(-1)
        if not len(going_on):
            break
        state = _rows(state, (going_on[:, None] * beams + parents[going_on]).view(-1))
        if len(going_on) < len(pictures):
            pictures, words, scores, ended = (each[going_on] for each in (pictures, words, scores, ended))
    return _lists(captions)


def _best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k highest values of each row and their columns, (rows, at most k), ties in order of columns."""
    values, columns = scores.topk(min(k + 1, scores.shape[1]))
    if values.shape[1] > k:
        # `topk` does not define which of several equal values it returns. This matters if the last kept value equals the next one.
        tied = (values[:, k - 1] == values[:, k]).nonzero().view(-1)
        if len(tied):
            columns[tied] = scores[tied].sort(dim=1, descending=True, stable=True).indices[:, : k + 1]
        columns = columns[:, :k]
    columns = columns.sort(dim=1).values
    values, order = scores.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)


def _rows(state: State, rows: Tensor) -> State:
    return state[0][rows], state[1][rows]


def _lists(captions: Tensor) -> list[list[int]]:
    """Return each row of (n, steps) up to its first END."""
    rows: list[list[int]] = captions.tolist()
    return [row[: row.index(END)] if END in row else row for row in rows]
