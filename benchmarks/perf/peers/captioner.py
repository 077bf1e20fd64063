"""A straightforward captioner: padded captions, an LSTM called once per step, and beams in lists."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from tasks.flickr8k.models import NeuralTalk

PADDING = -1


def padded(captions: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Return inputs and targets, each (batch, longest + 1) int64; targets are padded with `PADDING`."""
    fed = pad_sequence([torch.tensor([0, *words]) for words in captions], batch_first=True)
    return fed, pad_sequence([torch.tensor([*words, 0]) for words in captions], batch_first=True, padding_value=PADDING)


def loss(model: NeuralTalk, features: Tensor, fed: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log-likelihood per caption, as `FlickrTask.loss` does."""
    drop, training = model.settings.dropout, model.training
    zero = features.new_zeros(len(features), model.settings.size)
    state = model.lstm.tick(functional.dropout(model.image(features), drop, training), (zero, zero))
    total = features.new_zeros(())
    for step in range(fed.shape[1]):
        state = model.lstm.tick(functional.dropout(model.words(fed[:, step]), drop, training), state)
        logits = model.decoder(functional.dropout(state[0], drop, training))
        total = total + functional.cross_entropy(logits, targets[:, step], ignore_index=PADDING, reduction="sum")
    return total / len(features)


@torch.inference_mode()
def beam(model: NeuralTalk, features: Tensor, width: int, max_words: int = 20) -> list[int]:
    """Return the best caption of one picture, as `decode.beam` does, one beam at a time. features: (1, features)."""
    beams: list[tuple[float, list[int], tuple[Tensor, Tensor]]] = [(0.0, [], model.start(features))]
    for _ in range(max_words):
        candidates = []
        for score, words, state in beams:
            if words and words[-1] == 0:
                candidates.append((score, words, state))
                continue
            log_probabilities, after = model.step(torch.tensor(words[-1:] or [0]), state)
            values, best = log_probabilities[0].topk(min(width, log_probabilities.shape[1]))
            for value, word in zip(values.tolist(), best.tolist(), strict=True):
                candidates.append((score + value, [*words, word], after))
        beams = sorted(candidates, key=lambda candidate: -candidate[0])[:width]
        if beams[0][1][-1] == 0:
            break
    return [word for word in beams[0][1] if word]
