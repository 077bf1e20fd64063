"""Which utterances each batch holds: of like length together, so that little is padding; the same however reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.random_streams import derive

Indices = NDArray[np.int64]

_Result = TypeVar("_Result")


class Order:
    """The batches of every epoch, a function of these arguments alone.

    An epoch is as many full batches as there are; the utterances over, `len(lengths) % batch_size`, are drawn anew for
    each epoch, every utterance being as likely. The others are sorted by length, after each was changed by a random part
    of up to half of `jitter` either way, cut into batches, and the batches shuffled.

    Args:
        lengths: of the utterances, (n,).
        batch_size: utterances in a batch.
        seed: of the trial.
        sortagrad: whether the first epoch goes from the shortest utterance to the longest, unchanged and not shuffled
            (Amodei et al. 2016, Section 3.3): long utterances are hard on a network that knows nothing.
        jitter: lengths are sorted after a change by up to half of this part, so that batches mix differently. Of 1,560
            utterances of 1 to 7 digits in batches of 32, 0.1 makes 6 % padding, and 28 % of the pairs of an epoch share
            a batch in the next; 0 makes 3 % and 87 %; no buckets at all, 52 % padding.
        buckets: whether to sort at all; without, batches are drawn at random, the first epoch's too.

    Raises:
        ValueError: there is not one full batch, or the jitter is negative.
    """

    def __init__(
        self,
        lengths: Indices,
        batch_size: int,
        seed: int,
        sortagrad: bool = True,
        jitter: float = 0.1,
        buckets: bool = True,
    ) -> None:
        if not 0 < batch_size <= len(lengths):
            raise ValueError(
                f"batch_size={batch_size}: expected 1 to {len(lengths)}, the training utterances there are"
            )
        if jitter < 0:
            raise ValueError(f"jitter={jitter}: expected a part of a length, 0 or more")
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.sortagrad, self.jitter, self.buckets = sortagrad, jitter, buckets
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
        if not self.buckets:
            return kept.reshape(shape)
        lengths = self.lengths[kept].astype(np.float64)
        if self.sortagrad and epoch == 0:
            return kept[np.argsort(lengths, kind="stable")].reshape(shape)
        lengths *= 1 + self.jitter * (generator.random(len(lengths)) - 0.5)
        batches = kept[np.argsort(lengths, kind="stable")].reshape(shape)
        return batches[_permutation(generator, shape[0])]


def longest_first(lengths: Indices) -> Indices:
    """Return all utterances (n,) from the longest to the shortest: what does not fit in memory shows at once."""
    return np.argsort(-lengths, kind="stable").astype(np.int64)


def cut(indices: Indices, size: int) -> Iterator[Indices]:
    """Yield the indices in batches of `size`; the last may be smaller."""
    for start in range(0, len(indices), size):
        yield indices[start : start + size]


def restore(order: Indices, results: Sequence[_Result]) -> list[_Result]:
    """Return in the data set's order what was computed of utterances in another: `results[k]` is of `order[k]`.

    Raises:
        ValueError: there is not one result for each.
    """
    if len(results) != len(order):
        raise ValueError(f"{len(results)} results of {len(order)} utterances")
    return [results[k] for k in np.argsort(order, kind="stable")]


def padding(lengths: Indices, batches: Iterator[Indices]) -> float:
    """Return the part of all samples in these batches that is padding."""
    used = total = 0
    for batch in batches:
        used += int(lengths[batch].sum())
        total += len(batch) * int(lengths[batch].max())
    return 1 - used / total


def _permutation(generator: np.random.Generator, n: int) -> Indices:
    return np.argsort(generator.random(n), kind="stable").astype(np.int64)
