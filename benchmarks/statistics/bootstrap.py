"""The paired bootstrap over test examples, and the score that it resamples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from benchmarks.statistics.intervals import CONFIDENCE, Difference, Numbers, paired

OUTCOME_SCALE = 100.0
"""Factor from outcomes, which are fractions or counts that give fractions, to metrics, which are in percent."""

_CHUNK = 4_000_000  # maximum count of numbers in memory at once: 32 MB


@dataclass(frozen=True)
class Bootstrap:
    """The paired bootstrap of a gain over test examples, in points: its mean and the ends of the 95 % interval.

    It is a part of records, so validation rejects unknown fields and non-finite numbers.
    """

    __pydantic_config__: ClassVar[dict[str, bool | str]] = {"extra": "forbid", "allow_inf_nan": False}

    mean: float
    low: float
    high: float
    resamples: int


@dataclass(frozen=True)
class Spread:
    """The spread of gains by source, as standard deviations.

    `between` is the spread between seeds; None with one seed. `within` is the spread due to the finite test set alone (root mean
    square of the trials' bootstrap standard errors). `within` may exceed `between`, because the seeds share one test set.
    """

    between: float | None
    within: float


def over_test_set(gain: Bootstrap) -> Difference:
    """Return a bootstrap over test examples as a difference. p assumes normally distributed resampled means."""
    error = _standard_error(gain)
    p = float(2 * special.ndtr(-abs(gain.mean) / error)) if error else float(gain.mean == 0)
    return Difference(gain.mean, gain.low, gain.high, p)


def score(outcomes: ArrayLike) -> float:
    """Return the score of a set of examples in percent. Higher is better.

    Outcomes are a vector (n,) of hits (1.0 right, 0.0 wrong), scored by their mean, or a matrix (n, 2k) of counts. A matrix has k
    columns of hits and then k of totals. They are summed over examples and scored by the geometric mean of the k rates
    hits / totals. With n-grams of one to four words, this is corpus BLEU-4 without brevity penalty. With k = 1 it is a plain rate,
    such as (words - errors) / words. A rate without hits gives 0.

    Raises:
        ValueError: the outcomes have another shape, are not finite, or have negative counts (except hits with k = 1).
    """
    checked = _checked("score", outcomes)
    return OUTCOME_SCALE * float(checked.mean() if checked.ndim == 1 else geometric_mean(checked.sum(axis=0)))


def bootstrap(
    outcomes_a: ArrayLike, outcomes_b: ArrayLike, resamples: int = 10_000, seed: int = 0, scale: float = 1.0
) -> Bootstrap:
    """Return the paired bootstrap over test examples of the score of `outcomes_a` minus that of `outcomes_b`.

    Outcomes are those of `score`. A `scale` of 100 gives points.

    Raises:
        ValueError: the two differ in shape, are not outcomes, or `resamples` is not positive.
    """
    return interval(*resampled(outcomes_a, outcomes_b, resamples, seed, scale))


def interval(mean: float, differences: Numbers) -> Bootstrap:
    """Return the bootstrap of a mean and its resampled differences (resamples,). The ends are percentiles."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, (tail, 1 - tail))
    return Bootstrap(mean, float(low), float(high), len(differences))


def resampled(
    outcomes_a: ArrayLike, outcomes_b: ArrayLike, resamples: int, seed: int, scale: float
) -> tuple[float, Numbers]:
    """Return the difference of the scores, and those of the resamples (resamples,). Arguments and errors: see `bootstrap`."""
    a, b = _checked("bootstrap", outcomes_a), _checked("bootstrap", outcomes_b)
    if a.shape != b.shape:
        raise ValueError(f"bootstrap needs outcomes of equal shape, got {a.shape} and {b.shape}")
    if resamples < 1:
        raise ValueError(f"bootstrap: resamples must be positive, got {resamples}")
    generator = np.random.default_rng(seed)
    if a.ndim == 1:
        return _resample_means((a - b) * scale, resamples, generator)
    mean, differences = _resample_rates(a, b, resamples, generator)
    return mean * scale, differences * scale


def between_and_within(gains: Sequence[float], bootstraps: Sequence[Bootstrap]) -> Spread:
    """Return the spread of `gains` between seeds, and the spread due to the test set. Each seed has one gain and one bootstrap.

    Raises:
        ValueError: the numbers of gains and bootstraps differ, or there are none.
    """
    if len(gains) != len(bootstraps) or not gains:
        raise ValueError(f"between_and_within needs a bootstrap per gain, got {len(gains)} and {len(bootstraps)}")
    within = math.sqrt(math.fsum(_standard_error(item) ** 2 for item in bootstraps) / len(bootstraps))
    between = paired(gains).sd
    return Spread(between, within)


def _checked(name: str, outcomes: ArrayLike) -> Numbers:
    """Return `outcomes` as float64 if `score` can take them."""
    checked = np.asarray(outcomes, dtype=np.float64)
    if checked.size == 0 or checked.ndim not in (1, 2) or (checked.ndim == 2 and checked.shape[1] % 2):
        raise ValueError(
            f"{name} needs a vector of outcomes or a matrix of k hits and k totals, got shape {checked.shape}"
        )
    if not np.isfinite(checked).all():
        raise ValueError(f"{name} needs finite outcomes, got nan or inf")
    # The hits of a single rate may be negative: an utterance may have more errors than words.
    if checked.ndim == 2 and (smallest := checked[:, checked.shape[1] == 2 :].min()) < 0:
        raise ValueError(f"{name} needs counts that are not negative, got {smallest:g}")
    return checked


def geometric_mean(counts: Numbers) -> Numbers:
    """Return the geometric mean of the k rates in the last axis (k hits, then k totals); 0 if a rate has no hits."""
    hits, totals = np.split(counts, 2, axis=-1)
    rates = np.divide(hits, totals, out=np.zeros_like(hits), where=totals > 0)
    if rates.shape[-1] == 1:
        return rates[..., 0]
    return np.asarray(rates.prod(axis=-1) ** (1 / rates.shape[-1]))


def _resample_means(differences: Numbers, resamples: int, generator: np.random.Generator) -> tuple[float, Numbers]:
    """Return the mean of `differences` (n,), and the means of the resamples (resamples,).

    Resampling n examples with replacement is equivalent to one multinomial draw of the count of each distinct value.
    Differences of right-or-wrong outcomes have three values, so 50,000 examples cost as much as 50.
    """
    n = differences.size
    values, counts = np.unique(differences, return_counts=True)
    rows = max(1, _CHUNK // values.size)
    means = [
        generator.multinomial(n, counts / n, size=min(rows, resamples - start)) @ values / n
        for start in range(0, resamples, rows)
    ]
    return float(values @ counts / n), np.concatenate(means)


def _resample_rates(a: Numbers, b: Numbers, resamples: int, generator: np.random.Generator) -> tuple[float, Numbers]:
    """Return the difference of the scores of `a` and `b` (n, 2k), and the differences in the resamples (resamples,).

    A resample is represented by the number of times that each example occurs, so one matrix product gives the sums of all columns.
    Sums of whole numbers are exact in any order.
    """
    n = len(a)
    columns = np.hstack([a, b])

    def difference(sums: Numbers) -> Numbers:
        ours, theirs = np.split(sums, 2, axis=-1)
        return geometric_mean(ours) - geometric_mean(theirs)

    differences = []
    rows = max(1, _CHUNK // n)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = generator.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)  # one multinomial draw per row
        differences.append(difference(times.astype(np.float64) @ columns))
    return float(difference(columns.sum(axis=0))), np.concatenate(differences)


def _standard_error(gain: Bootstrap) -> float:
    """Return the standard error that the interval implies, if resampled means are normally distributed."""
    return (gain.high - gain.low) / (2 * float(special.ndtri((1 + CONFIDENCE) / 2)))
