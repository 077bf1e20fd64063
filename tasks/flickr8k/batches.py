"""Captions as tensors: packed batches, sampled as in NeuralTalk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from tasks.flickr8k.dataset import Picture
from tasks.flickr8k.vocabulary import Vocabulary
from tasks.random_streams import derive


@dataclass(frozen=True)
class Batch:
    """Captions of a step, packed without padding, longest first.

    Attributes:
        features: (batch, features) float32.
        words: (n,) int64, the input, time-major: the start tokens of all captions, then their first words, and so on.
        targets: (n,) int64, the words to predict: the next words, and the end tokens.
        sizes: number of captions at each time step; the input of the first time step is the pictures.
    """

    features: Tensor
    words: Tensor
    targets: Tensor
    sizes: tuple[int, ...]


class Captions:
    """All captions of a split, encoded, with the features of their pictures, on the device.

    Args:
        pictures: the pictures of the split, in the order of `features`.
        features: (pictures, features) float32.
        vocabulary: words outside it are dropped. If no word of a caption is left, only its end token remains.
    """

    def __init__(
        self, pictures: Sequence[Picture], features: Tensor, vocabulary: Vocabulary, device: torch.device
    ) -> None:
        encoded = [torch.tensor(vocabulary.encode(c), dtype=torch.int64) for p in pictures for c in p.captions]
        counts = np.array([len(picture.captions) for picture in pictures])
        self.names = [f"{picture.name}#{i}" for picture in pictures for i in range(len(picture.captions))]
        self._counts, self._first = counts, np.cumsum(counts) - counts
        self._lengths = torch.tensor(list(map(len, encoded)))
        # Padded with end tokens. The longest caption also needs one.
        self._padded = functional.pad(pad_sequence(encoded, batch_first=True), (0, 1)).to(device)
        self._picture = torch.from_numpy(np.arange(len(pictures)).repeat(counts)).to(device)
        self._features = features.to(device)
        self._device = device

    def __len__(self) -> int:
        """Return the number of captions."""
        return len(self.names)

    def draw(self, seed: int, step: int, size: int) -> list[int]:
        """Return the indices of the captions of `step`: random pictures, and a random caption of each, with replacement."""
        generator = np.random.default_rng(derive(seed, "captions", step))
        pictures = generator.integers(len(self._counts), size=size)
        return (self._first[pictures] + generator.integers(self._counts[pictures])).tolist()  # type: ignore[no-any-return]

    def batch(self, captions: Sequence[int]) -> Batch:
        """Return the captions with the given indices as a batch."""
        chosen = torch.tensor(captions)
        chosen = chosen[self._lengths[chosen].argsort(descending=True, stable=True)]
        lengths = self._lengths[chosen] + 1  # with the end token
        steps = int(lengths[0])
        running = torch.arange(steps)[:, None] < lengths  # (steps, batch)
        rows = chosen.to(self._device)
        targets = self._padded[rows, :steps].t()
        fed = torch.cat((torch.zeros_like(targets[:1]), targets[:-1]))
        mask = running.to(self._device)
        sizes = (len(captions), *running.sum(1).tolist())
        return Batch(self._features[self._picture[rows]], fed[mask], targets[mask], sizes)
