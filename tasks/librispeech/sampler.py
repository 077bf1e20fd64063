"""Chooses the utterances of each batch. Utterances of similar length share a batch, so that there is little padding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.random_streams import derive

Indices = NDArray[np.int64]


class Order:
    """The training batches of every epoch. They depend only on these arguments.

    An epoch has as many full batches as possible. It leaves out `len(lengths) % batch_size` utterances, drawn anew each epoch;
    every utterance is equally likely. The rest is sorted by jittered length and cut into batches; the batches are shuffled.

    Args:
        lengths: lengths of the utterances, (n,).
        batch_size: utterances in a batch.
        seed: seed of the trial.
        sortagrad: whether the first epoch goes from the shortest utterance to the longest, without jitter or shuffling
            (Amodei et al. 2016, Section 3.3): long utterances are hard for an untrained network.
        jitter: relative width of the random change of a length before sorting, so that batches differ between epochs. Measured
            on 1,560 utterances of 1 to 7 digits in batches of 32: with 0.1, 6 % is padding, and 28 % of the pairs in a batch are
            in the same batch again in the next epoch; with 0, these are 3 % and 87 %. Without sorting, 52 % is padding.

    Raises:
        ValueError: there is no full batch, or the jitter is negative.
    """

    def __init__(
        self, lengths: Indices, batch_size: int, seed: int, sortagrad: bool = True, jitter: float = 0.1
    ) -> None:
        if not 0 < batch_size <= len(lengths):
            raise ValueError(
                f"batch_size={batch_size}: expected 1 to {len(lengths)}, the number of training utterances"
            )
        if jitter < 0:
            raise ValueError(f"jitter={jitter}: expected a part of a length, 0 or more")
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.sortagrad, self.jitter = sortagrad, jitter
        self.epoch = lru_cache(maxsize=2)(self._epoch)

    @property
    def steps_per_epoch(self) -> int:
        """The number of full batches."""
        return len(self.lengths) // self.batch_size

    def batch(self, step: int) -> Indices:
        """Return the utterances (batch_size,) in the batch of `step`, counted from the start of training."""
        epoch, position = divmod(step, self.steps_per_epoch)
        batch: Indices = self.epoch(epoch)[position]
        return batch

    def _epoch(self, epoch: int) -> Indices:
        """Return the batches (steps, batch_size) of an epoch."""
        generator = np.random.Generator(np.random.PCG64(derive(self.seed, "utterances", epoch)))
        shape = self.steps_per_epoch, self.batch_size
        kept = _permutation(generator, len(self.lengths))[: shape[0] * shape[1]]
        lengths = self.lengths[kept].astype(np.float64)
        if self.sortagrad and epoch == 0:
            return kept[np.argsort(lengths, kind="stable")].reshape(shape)
        lengths *= 1 + self.jitter * (generator.random(len(lengths)) - 0.5)
        batches = kept[np.argsort(lengths, kind="stable")].reshape(shape)
        return batches[_permutation(generator, shape[0])]


def longest_first(lengths: Indices, utterances: Sequence[int], batch_size: int) -> list[Indices]:
    """Return `utterances` in batches from the longest to the shortest, so that the first batch shows whether memory suffices.

    The last batch may be smaller. `lengths` (n,) are the lengths of all utterances of the data set.
    """
    order = np.asarray(utterances, np.int64)
    order = order[np.argsort(-lengths[order], kind="stable")]
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def _permutation(generator: np.random.Generator, n: int) -> Indices:
    return np.argsort(generator.random(n), kind="stable").astype(np.int64)
