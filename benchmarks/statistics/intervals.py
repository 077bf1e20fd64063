"""Student's t intervals and tests over seeds, paired or unpaired, and Holm's correction.

A positive gain means that DSD is better, for every metric.
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
"""Minimum number of seeds for an answer. With two seeds, the half-width is 12.7 standard errors, too wide to be useful."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """Gains paired by seed: mean, sample standard deviation (n - 1), two-sided 95 % t interval and p-value of "no gain".

    With n = 1, standard deviation, interval and p are None.
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
    """A difference of two means, the second minus the first: its two-sided 95 % interval and the p-value of "no difference"."""

    mean: float
    low: float
    high: float
    p: float


def paired(gains: Sequence[float]) -> Paired:
    """Return the summary of one gain per seed.

    Raises:
        ValueError: there is no gain, or a gain is not finite.
    """
    if not gains:
        raise ValueError("paired needs at least one gain, got none")
    if not all(map(math.isfinite, gains)):
        raise ValueError(f"paired needs finite gains, got {list(gains)}")
    n = len(gains)
    mean = math.fsum(gains) / n
    if n == 1:
        return Paired(n, mean, None, None, None)
    sd = 0.0 if len(set(gains)) == 1 else math.sqrt(math.fsum((gain - mean) ** 2 for gain in gains) / (n - 1))
    half_width = float(special.stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * sd / math.sqrt(n)
    return Paired(n, mean, sd, half_width, _p_value(mean, sd / math.sqrt(n), n - 1))


def welch(a: Sequence[float], b: Sequence[float]) -> Difference:
    """Return the mean of `b` minus the mean of `a`, with Welch's t test, which allows unequal variances.

    Raises:
        ValueError: `a` or `b` has fewer than two numbers, or a number that is not finite.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"welch needs at least two numbers per side, got {len(a)} and {len(b)}")
    parts = [_variance(values) / len(values) for values in (a, b)]
    within = math.fsum(part**2 / (len(values) - 1) for part, values in zip(parts, (a, b), strict=True))
    freedom = sum(parts) ** 2 / within if within else math.inf  # Welch-Satterthwaite
    return _difference(paired(b).mean - paired(a).mean, math.sqrt(sum(parts)), freedom)


def pooled(a: Sequence[float], b: Sequence[float], known: Sequence[Sequence[float]]) -> Difference:
    """Return the mean of `b` minus the mean of `a`, with the t test whose variance is pooled from the samples `known`.

    `a` and `b` may have a single number each, because their own variance is not used.

    Raises:
        ValueError: no sample of `known` has two numbers, `a` or `b` is empty, or a number is not finite.
    """
    samples = [values for values in known if len(values) > 1]
    if not samples:
        raise ValueError(f"pooled needs a sample of at least two numbers, got {[len(values) for values in known]}")
    freedom = sum(len(values) - 1 for values in samples)
    variance = math.fsum(_variance(values) * (len(values) - 1) for values in samples) / freedom
    error = math.sqrt(variance * (1 / max(len(a), 1) + 1 / max(len(b), 1)))
    return _difference(paired(b).mean - paired(a).mean, error, freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p values, in the order given.

    Raises:
        ValueError: a p value lies outside [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"holm: p values must lie in [0, 1], got {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def _variance(values: Sequence[float]) -> float:
    """Return the sample variance of two numbers or more. It is exactly 0 if all are equal."""
    return (paired(values).sd or 0.0) ** 2


def _difference(mean: float, error: float, freedom: float) -> Difference:
    """Return the t interval of a difference with standard error `error`. If `error` is 0, its width is 0."""
    half = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error if error else 0.0
    return Difference(mean, mean - half, mean + half, _p_value(mean, error, freedom))


def _p_value(mean: float, error: float, freedom: float) -> float:
    """Return the two-sided p-value of "zero". If `error` is 0, it is 0, or 1 if the mean is 0 too."""
    return float(2 * special.stdtr(freedom, -abs(mean) / error)) if error else float(mean == 0)
