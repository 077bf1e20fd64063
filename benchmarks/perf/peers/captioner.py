"""The captioner's training loss as one writes it first: captions padded, the LSTM one step after another, autograd for the rest."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tasks.flickr8k.models import NeuralTalk

PADDING = -1


def padded(captions: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Return what is fed and what is to be predicted, each (batch, longest + 1) int64, targets filled up with PADDING."""
    longest = max(map(len, captions)) + 1
    fed = torch.zeros(len(captions), longest, dtype=torch.int64)
    targets = torch.full((len(captions), longest), PADDING)
    for row, words in enumerate(captions):
        fed[row, 1 : len(words) + 1] = torch.tensor(words, dtype=torch.int64)
        targets[row, : len(words) + 1] = torch.tensor([*words, 0])
    return fed, targets


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
