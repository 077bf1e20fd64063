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
"""Outcomes are fractions (of right answers, for classification) or counts that give one, metrics are percent."""

_CHUNK = 4_000_000  # numbers held at once by the bootstrap: 32 MB


@dataclass(frozen=True)
class Bootstrap:
    """The paired bootstrap over test examples of a gain, in points: its mean and the ends of the 95 % interval.

    Records hold it, and so refuse fields that are not here, and numbers that are none.
    """

    __pydantic_config__: ClassVar[dict[str, bool | str]] = {"extra": "forbid", "allow_inf_nan": False}

    mean: float
    low: float
    high: float
    resamples: int


@dataclass(frozen=True)
class Spread:
    """Where the spread of gains comes from, as standard deviations.

    `between` is the spread between seeds. `within` is the spread due to the finite test set alone (root mean square of the trials'
    bootstrap standard errors). `share` is `within` squared over `between` squared. It is above 1 if the seeds, which share one
    test set, agree more closely than the test set alone would suggest.
    """

    between: float | None
    within: float
    share: float | None


def over_test_set(found: Bootstrap) -> Difference:
    """Return a bootstrap over test examples as a difference. p assumes normally distributed resampled means."""
    error = _standard_error(found)
    p = float(2 * special.ndtr(-abs(found.mean) / error)) if error else float(found.mean == 0)
    return Difference(found.mean, found.low, found.high, p)


def score(outcomes: ArrayLike) -> float:
    """Return the score of a set of examples in percent, higher being better: what `bootstrap` resamples.

    Outcomes are a vector (n,) of hits (1.0 right, 0.0 wrong), scored by their mean, or a matrix (n, 2k) of counts (k columns of
    hits, then k of totals), scored by the geometric mean of the k rates hits / totals, each summed over examples first. With
    n-grams of one to four words this is corpus BLEU-4 without brevity penalty. With k = 1 it is a plain rate, such as
    (words - errors) / words. A rate without hits gives 0.

    Raises:
        ValueError: the outcomes have another shape, or numbers that no count can be.
    """
    checked = _checked("score", outcomes)
    return OUTCOME_SCALE * float(checked.mean() if checked.ndim == 1 else geometric_mean(checked.sum(axis=0)))


def bootstrap(
    outcomes_a: ArrayLike, outcomes_b: ArrayLike, resamples: int = 10_000, seed: int = 0, scale: float = 1.0
) -> Bootstrap:
    """Return the paired bootstrap over test examples of the score of `outcomes_a` less that of `outcomes_b`.

    Outcomes are those of `score`; `scale` 100 gives its points. Matrices of several seeds may be stacked (seeds, n, 2k):
    every resample draws the same examples for all of them, and what counts is the mean of the seeds' differences. (The
    scores of vectors are means, so several seeds' vectors are averaged by the caller, at no loss.)

    Raises:
        ValueError: the two differ in shape, are not outcomes, or `resamples` is not positive.
    """
    mean, found = resampled(outcomes_a, outcomes_b, resamples, seed, scale)
    return Bootstrap(mean=mean, **ends(found), resamples=resamples)


def ends(found: Numbers) -> dict[str, float]:
    """Return the `low` and `high` end of the 95 % interval of resampled numbers (n,): percentiles."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    return {"low": float(low), "high": float(high)}


def resampled(
    outcomes_a: ArrayLike, outcomes_b: ArrayLike, resamples: int, seed: int, scale: float
) -> tuple[float, Numbers]:
    """Return the difference of scores that `bootstrap` is of, and that of every resample, (resamples,).

    Raises:
        ValueError: as `bootstrap`.
    """
    a, b = _checked("bootstrap", outcomes_a, stacked=True), _checked("bootstrap", outcomes_b, stacked=True)
    if a.shape != b.shape:
        raise ValueError(f"bootstrap needs two equally long vectors of outcomes, got shapes {a.shape} and {b.shape}")
    if resamples < 1:
        raise ValueError(f"bootstrap: resamples must be positive, got {resamples}")
    generator = np.random.default_rng(seed)
    if a.ndim == 1:
        mean, found = _resample_means((a - b) * scale, resamples, generator)
    else:
        mean, found = _resample_rates(a, b, resamples, generator)
        mean, found = mean * scale, found * scale
    return mean, found


def between_and_within(gains: Sequence[float], bootstraps: Sequence[Bootstrap]) -> Spread:
    """Return how much of the spread of `gains` (one per seed) the test set accounts for (one bootstrap per seed).

    Raises:
        ValueError: there is not one bootstrap per gain, or none at all.
    """
    if len(gains) != len(bootstraps) or not gains:
        raise ValueError(f"between_and_within needs a bootstrap per gain, got {len(gains)} and {len(bootstraps)}")
    errors = [_standard_error(item) for item in bootstraps]
    within = math.sqrt(math.fsum(error**2 for error in errors) / len(errors))
    between = paired(gains).sd
    return Spread(between, within, (within / between) ** 2 if between else None)


def _checked(name: str, outcomes: ArrayLike, stacked: bool = False) -> Numbers:
    """Return `outcomes` as float64 if they are what `score` (or, `stacked`, `bootstrap`) takes."""
    found = np.asarray(outcomes, dtype=np.float64)
    if (
        found.size == 0
        or found.ndim not in ((1, 2, 3) if stacked else (1, 2))
        or (found.ndim > 1 and found.shape[-1] % 2)
    ):
        raise ValueError(
            f"{name} needs a vector of outcomes or a matrix of k hits and k totals, got shape {found.shape}"
        )
    if not np.isfinite(found).all():
        raise ValueError(f"{name} needs finite outcomes, got nan or inf")
    if found.ndim > 1:
        k = found.shape[-1] // 2
        counts = found if k > 1 else found[..., k:]  # a single rate may have more errors than words
        if counts.min() < 0:
            raise ValueError(f"{name} needs counts that are not negative, got {counts.min():g}")
    return found


def geometric_mean(counts: Numbers) -> Numbers:
    """Return the geometric mean of the k rates in the last axis (k hits, then k totals); 0 where one has no hits."""
    hits, totals = np.split(counts, 2, axis=-1)
    rates = np.divide(hits, totals, out=np.zeros_like(hits), where=totals > 0)
    if rates.shape[-1] == 1:
        return rates[..., 0]
    return np.asarray(rates.prod(axis=-1) ** (1 / rates.shape[-1]))


def _resample_means(differences: Numbers, resamples: int, generator: np.random.Generator) -> tuple[float, Numbers]:
    """Return the mean of `differences` (n,), and their means in every resample.

    Resampling n of them with replacement is the same as drawing how often each distinct value comes, one multinomial
    draw; differences of right-or-wrong outcomes have three values, so 50,000 examples cost no more than 50.
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
    """Return the difference of the scores of `a` and `b` (n, 2k) or (seeds, n, 2k), seeds averaged, and every resample's.

    A resample is how often each example comes, and its sums one matrix product with all columns of all seeds; sums of
    whole numbers are exact, in whatever order a library adds them.
    """
    both = np.stack([a, b]).reshape(2, -1, *a.shape[-2:])  # (2, seeds, n, 2k)
    n = both.shape[2]
    columns = np.moveaxis(both, 2, 0).reshape(n, -1)

    def differences(sums: Numbers) -> Numbers:
        scores = geometric_mean(sums.reshape(-1, *both.shape[:2], both.shape[3]))
        return np.asarray((scores[:, 0] - scores[:, 1]).mean(axis=1))

    found = []
    rows = max(1, _CHUNK // n)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = generator.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)  # one multinomial draw a line
        found.append(differences(times.astype(np.float64) @ columns))
    return float(differences(columns.sum(axis=0))[0]), np.concatenate(found)


def _standard_error(found: Bootstrap) -> float:
    """Return the standard error that an interval of normal resampled means has."""
    return (found.high - found.low) / (2 * float(special.ndtri((1 + CONFIDENCE) / 2)))
