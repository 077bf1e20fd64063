"""The vocabulary of captions, by NeuralTalk's rule (standard library only)."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

END = "."
"""Start and end sign of every caption, at index 0. A "." within a caption is not a word."""


@dataclass(frozen=True)
class Vocabulary:
    """Words by index.

    Attributes:
        words: first the start and end sign, ".", then the others in order of decreasing frequency, then alphabetically.
        frequencies: occurrences of each word in the training captions; for ".", the number of captions.
    """

    words: tuple[str, ...]
    frequencies: tuple[int, ...]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words) if index}

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the indices of `tokens`, without the start and end sign.

        Words that are not in the vocabulary are dropped; there is no token for unknown words. A caption without words left becomes
        []. It is still trained on: the end follows directly after the start.
        """
        return [self._index[token] for token in tokens if token in self._index]

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Return the words of `indices` before the first end sign."""
        return [self.words[index] for index in itertools.takewhile(bool, indices)]

    def log_frequencies(self) -> list[float]:
        """Return NeuralTalk's initial output bias: the logarithm of each relative frequency, shifted so that the largest is 0."""
        largest = max(self.frequencies)
        return [math.log(frequency / largest) for frequency in self.frequencies]


def build(captions: Iterable[Sequence[str]], minimum: int = 5) -> Vocabulary:
    """Return the vocabulary of the training captions: the words that occur at least `minimum` times.

    Raises:
        ValueError: no word occurs so often.
    """
    every = list(captions)
    counts = Counter(itertools.chain.from_iterable(every))
    del counts[END]
    kept = sorted((-count, word) for word, count in counts.items() if count >= minimum)
    if not kept:
        raise ValueError(f"no word occurs at least minimum={minimum} times in {len(every):,} captions")
    return Vocabulary((END, *(word for _, word in kept)), (len(every), *(-count for count, _ in kept)))
