"""t intervals and tests over seeds, paired or not, and Holm's correction.

A positive gain means DSD is better, whatever the metric's direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

CONFIDENCE = 0.95
MINIMUM_SEEDS = 3
"""Minimum number of seeds for an answer. With two seeds, the half-width is 12.7 standard errors: too wide to be useful."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """Gains paired by seed: mean, sample standard deviation (n - 1), two-sided 95 % t interval, p value of "no gain".

    With n = 1 there is no spread, so standard deviation, interval and p are None.
    """

    n: int
    mean: float
    sd: float | None
    half_width: float | None
    p: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the 95 % interval, or None at n = 1."""
        return None if self.half_width is None else (self.mean - self.half_width, self.mean + self.half_width)


@dataclass(frozen=True)
class Difference:
    """A difference of two means, the second less the first: its two-sided 95 % interval, and p of "no difference"."""

    mean: float
    low: float
    high: float
    p: float


def paired(gains: Sequence[float]) -> Paired:
    """Return the summary of one gain per seed.

    Raises:
        ValueError: there is no gain, or one is not a finite number.
    """
    if not gains:
        raise ValueError("paired needs at least one gain, got none")
    for gain in gains:
        if not math.isfinite(gain):
            raise ValueError(f"paired needs finite gains, got {gain}")
    n = len(gains)
    mean = math.fsum(gains) / n
    if n == 1:
        return Paired(n, mean, None, None, None)
    sd = 0.0 if len(set(gains)) == 1 else math.sqrt(math.fsum((gain - mean) ** 2 for gain in gains) / (n - 1))
    return Paired(n, mean, sd, half_width(sd, n), _p_value(mean, sd, n))


def welch(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Return the mean of `b` less that of `a`, by Welch's t test: the two spreads need not be equal.

    Raises:
        ValueError: one of the two has fewer than two numbers, or one that is not finite.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"welch needs two numbers on either side, got {len(a)} and {len(b)}")
    parts = [_variance(values) / len(values) for values in (a, b)]
    within = math.fsum(part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True))
    freedom = sum(parts) ** 2 / within if within else math.inf  # Welch and Satterthwaite's
    return _difference(paired(b).mean - paired(a).mean, math.sqrt(sum(parts)), freedom)


def pooled(a: Sequence[float], b: Sequence[float], known: Sequence[Sequence[float]]) -> Difference:
    """Return the mean of `b` less that of `a`, by the t test with the spread that is pooled from the samples `known`.

    Either side may be a single number, since its spread is not asked for.

    Raises:
        ValueError: no sample of `known` has two numbers, `a` or `b` none, or one that is not finite.
    """
    samples = [values for values in known if len(values) > 1]
    if not samples:
        raise ValueError(f"pooled needs a sample of at least two numbers, got {[len(values) for values in known]}")
    freedom = sum(len(values) - 1 for values in samples)
    variance = math.fsum(_variance(values) * (len(values) - 1) for values in samples) / freedom
    error = math.sqrt(variance * (1 / max(len(a), 1) + 1 / max(len(b), 1)))
    return _difference(paired(b).mean - paired(a).mean, error, freedom)


def half_width(sd: float, n: int) -> float:
    """Return half the width of the 95 % t interval of a mean over `n` numbers, 2 at the least, of standard deviation `sd`."""
    return _quantile(n) * sd / math.sqrt(n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p values, in the order given.

    Raises:
        ValueError: a p value lies outside [0, 1].
    """
    for p in p_values:
        if not 0 <= p <= 1:
            raise ValueError(f"holm: a p value must lie in [0, 1], got {p}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def _variance(values: Sequence[float]) -> float:
    """Return the sample variance of two numbers or more, exactly 0 where all are equal."""
    return (paired(values).sd or 0.0) ** 2


def _difference(mean: float, error: float, freedom: float) -> Difference:
    """Return the t interval of a difference of that standard error; without any error it is known exactly."""
    if error == 0:
        return Difference(mean, mean, mean, float(mean == 0))
    half = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return Difference(mean, mean - half, mean + half, float(2 * special.stdtr(freedom, -abs(mean) / error)))


def _quantile(n: int) -> float:
    return float(special.stdtrit(n - 1, (1 + CONFIDENCE) / 2))


def _p_value(mean: float, sd: float, n: int) -> float:
    if sd == 0:  # every seed gave the same gain: t is infinite, or 0 / 0 where that gain is none
        return 1.0 if mean == 0 else 0.0
    return float(2 * special.stdtr(n - 1, -abs(mean) / (sd / math.sqrt(n))))
