"""Simulated trials with known true gain and seed effects: binary outcomes, a word error rate, or a BLEU score.

A replication has `SEEDS` seeds on the same examples. Every seed draws a share `interaction` of the examples again. The other
examples differ between seeds only by the seed's effect. All results are in points.

A world has the following members. `tails` are the tails of the example effects; `examples` is the number of test examples per
seed; `truth` is the mean gain over seeds and examples. `draw` makes the trials of `size` replications without seed effects.
`gains` adds effects (size, seeds) and returns gains (size, seeds) and their pseudo-values (size, seeds, examples).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.statistics.crossed import pseudo_values

Numbers = NDArray[np.float64]
Tails = Literal["light", "heavy"]

SEEDS = 10
_POOL = 100_000  # the number of lengths and difficulties to draw from; their means are then known exactly


@dataclass(frozen=True)
class Binary:
    """Hits and misses. DSD and the control differ on few examples (heavy tails) or many (light tails).

    Each example has a number u in [0, 1). If u is small, only DSD is right; if u is large, only the control. A positive seed
    effect extends the first range, a negative one the second.
    """

    tails: Tails
    interaction: float
    examples: int = 1000

    @property
    def truth(self) -> float:
        """A tenth of the share of examples on which the two differ."""
        return 10 * self._share

    @property
    def _share(self) -> float:
        return {"light": 0.2, "heavy": 0.03}[self.tails]

    def draw(self, size: int, generator: np.random.Generator) -> tuple[Numbers, ...]:
        """Return the numbers u, (size, seeds, examples)."""
        u = generator.random((size, SEEDS, self.examples), dtype=np.float32)
        again = generator.random((size, 1, self.examples)) < self.interaction
        return (_held(u, again),)

    def gains(self, drawn: tuple[Numbers, ...], effects: Numbers) -> tuple[Numbers, Numbers]:
        """Return gains and their pseudo-values."""
        (u,) = drawn
        up = self._share / 2 + self.truth / 200 + np.maximum(effects, 0) / 100
        down = self._share / 2 - self.truth / 200 + np.maximum(-effects, 0) / 100
        ours = (u < np.minimum(up, 0.5)[..., None]).astype(np.float64)
        parts = 100 * (ours - (u >= 1 - np.minimum(down, 0.5)[..., None]))
        return parts.mean(axis=-1), parts


@dataclass(frozen=True)
class Corpus:
    """Counts for the word error rate of utterances (k = 1) or BLEU-4 of captions without brevity penalty (k = 4).

    Every example has a length and a difficulty; with heavy tails both are log-normal. A seed's effect scales its hits.
    """

    k: Literal[1, 4]
    tails: Tails
    interaction: float
    examples: int = 300

    @cached_property
    def _lengths(self) -> Numbers:
        generator = np.random.default_rng(1)
        if self.tails == "light":
            return generator.integers(6, 15, _POOL).astype(np.float64)
        return np.clip(np.round(generator.lognormal(np.log(8), 0.8, _POOL)), 4, None)

    @cached_property
    def _difficulties(self) -> Numbers:
        generator = np.random.default_rng(2)
        drawn = generator.gamma(4, 1, _POOL) if self.tails == "light" else generator.lognormal(0, 1, _POOL)
        return np.asarray(drawn / drawn.mean())

    @property
    def _rates(self) -> tuple[float, float]:
        """The rates of the control and of DSD: of errors (k = 1) or of correct single words (k = 4)."""
        return (0.15, 0.1425) if self.k == 1 else (0.6, 0.618)

    _KEPT = 0.65  # the share of correct n-grams that are still correct with one more word

    @property
    def truth(self) -> float:
        """DSD's score minus the control's."""
        control, dsd = self._rates
        if self.k == 1:
            return 100 * (control - dsd)
        length = self._lengths.mean()
        orders = np.arange(4)
        return float(100 * (dsd - control) * np.prod(self._KEPT**orders * length / (length - orders)) ** 0.25)

    def draw(self, size: int, generator: np.random.Generator) -> tuple[Numbers, ...]:
        """Return the scores (size, seeds) of control and DSD, each with its pseudo-values (size, seeds, examples)."""
        lengths = generator.choice(self._lengths, (size, 1, self.examples))
        expected = lengths * generator.choice(self._difficulties, (size, 1, self.examples))
        again = generator.random((size, 1, self.examples)) < self.interaction
        shape = (size, SEEDS, self.examples)
        drawn: list[Numbers] = []
        for rate in self._rates:
            first = _held(generator.poisson(np.broadcast_to(rate * expected, shape)), again)
            hits = [lengths - first] if self.k == 1 else [first]
            for _ in range(1, self.k):
                hits.append(_held(generator.binomial(hits[-1].astype(np.int64), self._KEPT), again))
            columns = [*hits, *(lengths - order for order in range(self.k))]
            counts = np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float64)
            parts = pseudo_values(counts)
            sums = counts.sum(axis=-2)
            rates = sums[..., : self.k] / sums[..., self.k :]
            drawn += [100 * (rates.prod(axis=-1) ** (1 / self.k)), parts]
        return tuple(drawn)

    def gains(self, drawn: tuple[Numbers, ...], effects: Numbers) -> tuple[Numbers, Numbers]:
        """Return gains and their pseudo-values."""
        control, control_parts, dsd, dsd_parts = drawn
        scale = 1 + effects / self._score
        return scale * dsd - control, scale[..., None] * dsd_parts - control_parts

    @property
    def _score(self) -> float:
        """DSD's score."""
        control, dsd = self._rates
        return 100 * (1 - dsd) if self.k == 1 else self.truth * dsd / (dsd - control)


World: TypeAlias = Binary | Corpus


def _held(values: NDArray[np.generic], again: NDArray[np.bool_]) -> Numbers:
    """Return values (size, seeds, examples). If an example is not drawn `again`, all seeds have the first seed's value."""
    return np.asarray(np.where(again, values, values[:, :1]))
