"""Made-up trials whose true gain and seed effect are known: binary outcomes, a word error rate, a BLEU.

A replication has `SEEDS` seeds on the same examples. A share `interaction` of the examples is drawn afresh by every seed; the
others give the same outcome in all of them, but for the seed's effect. Everything is in points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.statistics.crossed import pseudo_values

Numbers = NDArray[np.float64]
Tails = Literal["light", "heavy"]

SEEDS = 10
_POOL = 100_000  # lengths and difficulties are drawn from so many, so that their means are known exactly


class World(Protocol):
    """One kind of outcome. `draw` makes trials without a seed effect, `gains` adds one."""

    @property
    def tails(self) -> Tails:
        """Those of the example effects."""

    @property
    def interaction(self) -> float:
        """The share of examples that every seed draws afresh."""

    @property
    def examples(self) -> int:
        """How many each seed is tested on."""

    @property
    def truth(self) -> float:
        """The mean gain over seeds and examples."""

    def draw(self, size: int, generator: np.random.Generator) -> tuple[Numbers, ...]:
        """Return what `size` replications of all seeds are made from."""

    def gains(self, drawn: tuple[Numbers, ...], effects: Numbers) -> tuple[Numbers, Numbers]:
        """Return gains (size, seeds) and their pseudo-values (size, seeds, examples) with effects (size, seeds) added."""


@dataclass(frozen=True)
class Binary:
    """Right or wrong. DSD and control differ on a share of the examples, a few (heavy tails) or many (light).

    Each example has a number u in [0, 1); DSD alone is right where u is small, the control alone where it is large. A good seed
    moves the first end, a bad one the second, by as much as its effect.
    """

    tails: Tails
    interaction: float
    examples: int = 1000

    @property
    def truth(self) -> float:
        """The mean gain over seeds and examples: a tenth of the share on which the two differ."""
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
    """Counts: the word error rate of utterances (k = 1), or the BLEU-4 of captions (k = 4), without brevity penalty.

    Examples have a length and a difficulty; with heavy tails both are log-normal. A seed's effect scales its hits.
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
        found = generator.gamma(4, 1, _POOL) if self.tails == "light" else generator.lognormal(0, 1, _POOL)
        return np.asarray(found / found.mean())

    @property
    def _rates(self) -> tuple[float, float]:
        """The control's and DSD's rate, of errors (k = 1) or of single words (k = 4)."""
        return (0.15, 0.1425) if self.k == 1 else (0.6, 0.618)

    _KEPT = 0.65  # of the n-grams that are right, the share that is right with one word more

    @property
    def truth(self) -> float:
        """The mean gain over seeds and examples."""
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
        found: list[Numbers] = []
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
            found += [100 * (rates.prod(axis=-1) ** (1 / self.k)), parts]
        return tuple(found)

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


def _held(values: NDArray[np.generic], again: NDArray[np.bool_]) -> Numbers:
    """Return values (size, seeds, examples) with the first seed's for all seeds where an example is not drawn `again`."""
    return np.asarray(np.where(again, values, values[:, :1]))
