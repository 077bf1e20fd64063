"""The statistics that a verdict rests on: paired t intervals over seeds, and the bootstrap over test examples.

A gain is positive where DSD is better, whatever the metric's direction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from benchmarks.record import Bootstrap

CONFIDENCE = 0.95
MINIMUM_SEEDS = 3
"""Two seeds give an interval (12.7 standard errors wide on each side) but no verdict."""

Verdict = Literal["confirmed", "refuted", "not resolved", "too few seeds"]

OUTCOME_SCALE = 100.0
"""Outcomes are fractions (of right answers, for classification), metrics are percent."""

_CHUNK = 4_000_000  # numbers held at once by the bootstrap: 32 MB


@dataclass(frozen=True)
class Paired:
    """Gains paired by seed: mean, sample standard deviation (n - 1), two-sided 95 % t interval, p value of "no gain".

    With n = 1 there is no spread, hence no interval and no p: those are None.
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
class Spread:
    """Where the spread of gains comes from, as standard deviations.

    `between` is what is seen between seeds; `within` is what the finite test set alone would give (root mean square of
    the trials' bootstrap standard errors); `share` is `within` squared over `between` squared. It is above 1 where the
    seeds, which share one test set, happen to agree more closely than that test set alone would let one expect.
    """

    between: float | None
    within: float
    share: float | None


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
    return Paired(n, mean, sd, _quantile(n) * sd / math.sqrt(n), _p_value(mean, sd, n))


def verdict(summary: Paired) -> Verdict:
    """Return what the interval says of the claim that DSD gains: nothing below 3 seeds."""
    if summary.n < MINIMUM_SEEDS or summary.interval is None:
        return "too few seeds"
    low, high = summary.interval
    if low > 0:
        return "confirmed"
    return "refuted" if high < 0 else "not resolved"


def needed(sd: float, half_width: float) -> int:
    """Return the smallest number of seeds whose t interval has a half-width of at most `half_width`, 3 at the least.

    Raises:
        ValueError: `sd` is negative or `half_width` not positive.
    """
    if not sd >= 0:
        raise ValueError(f"needed: sd must not be negative, got {sd}")
    if not half_width > 0:
        raise ValueError(f"needed: half_width must be positive, got {half_width}")

    def enough(n: int) -> bool:
        return _quantile(n) * sd / math.sqrt(n) <= half_width

    high = MINIMUM_SEEDS
    while not enough(high):  # the half-width falls with n: double, then bisect
        high *= 2
    low = max(MINIMUM_SEEDS, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


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


def bootstrap(
    outcomes_a: ArrayLike, outcomes_b: ArrayLike, resamples: int = 10_000, seed: int = 0, scale: float = 1.0
) -> Bootstrap:
    """Return the paired bootstrap over test examples of the mean of `outcomes_a - outcomes_b`, times `scale`.

    Outcomes are one number per test example, higher being better (1.0 where right, 0.0 where wrong: then `scale` 100
    gives points of error rate). Resampling n differences with replacement is the same as drawing how often each
    distinct value comes, one multinomial draw; differences of right-or-wrong outcomes have three values, so 50,000
    examples cost no more than 50.

    Raises:
        ValueError: the two are not equally long vectors of finite numbers, or `resamples` is not positive.
    """
    a, b = np.asarray(outcomes_a, dtype=np.float64), np.asarray(outcomes_b, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(f"bootstrap needs two equally long vectors of outcomes, got shapes {a.shape} and {b.shape}")
    if resamples < 1:
        raise ValueError(f"bootstrap: resamples must be positive, got {resamples}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("bootstrap needs finite outcomes, got nan or inf")
    values, counts = np.unique((a - b) * scale, return_counts=True)
    generator = np.random.default_rng(seed)
    rows = max(1, _CHUNK // values.size)
    means = np.concatenate(
        [
            generator.multinomial(a.size, counts / a.size, size=min(rows, resamples - start)) @ values / a.size
            for start in range(0, resamples, rows)
        ]
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, (tail, 1 - tail))
    return Bootstrap(mean=float(values @ counts / a.size), low=float(low), high=float(high), resamples=resamples)


def between_and_within(gains: Sequence[float], bootstraps: Sequence[Bootstrap]) -> Spread:
    """Return how much of the spread of `gains` (one per seed) the test set accounts for (one bootstrap per seed).

    Raises:
        ValueError: there is not one bootstrap per gain, or none at all.
    """
    if len(gains) != len(bootstraps) or not gains:
        raise ValueError(f"between_and_within needs a bootstrap per gain, got {len(gains)} and {len(bootstraps)}")
    z = float(special.ndtri((1 + CONFIDENCE) / 2))
    errors = [(item.high - item.low) / (2 * z) for item in bootstraps]
    within = math.sqrt(math.fsum(error**2 for error in errors) / len(errors))
    between = paired(gains).sd
    return Spread(between, within, (within / between) ** 2 if between else None)


def _quantile(n: int) -> float:
    return float(special.stdtrit(n - 1, (1 + CONFIDENCE) / 2))


def _p_value(mean: float, sd: float, n: int) -> float:
    if sd == 0:  # every seed gave the same gain: t is infinite, or 0 / 0 where that gain is none
        return 1.0 if mean == 0 else 0.0
    return float(2 * special.stdtr(n - 1, -abs(mean) / (sd / math.sqrt(n))))
