"""The random-effects mean of the rows' gains, each as a share of the paper's claim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from benchmarks.statistics.intervals import CONFIDENCE

NOTE = "The interval treats rows as independent, but the CNN rows share test pictures."
"""The note to print beside the mean."""


@dataclass(frozen=True)
class Effect:
    """A row's gain as a share of its claim (1: as claimed, 0: no gain), with its standard error."""

    row: str
    share: float
    error: float


@dataclass(frozen=True)
class Pool:
    """The mean share of the claim over similar rows, its 95 % interval, and the spread `tau` between rows' true shares."""

    mean: float
    low: float
    high: float
    tau: float
    rows: tuple[str, ...]


def pool(effects: Sequence[Effect]) -> Pool | None:
    """Return the random-effects mean; None for fewer than two rows.

    The variance between rows is estimated by the method of Paule and Mandel. The interval is that of Hartung and Knapp: Student's t
    with (rows - 1) degrees of freedom. Its scale factor is at least 1 (Röver et al. 2015). Otherwise, rows that agree by chance
    would make the interval narrower than their errors allow.

    Raises:
        ValueError: a share is not finite, or an error is not a positive number.
    """
    for effect in effects:
        if not (math.isfinite(effect.share) and 0 < effect.error < math.inf):
            raise ValueError(f"pool needs finite shares with positive errors, got {effect}")
    k = len(effects)
    if k < 2:
        return None
    shares = np.array([effect.share for effect in effects])
    variances = np.array([effect.error for effect in effects]) ** 2
    between = _between(shares, variances)
    mean, scatter, weight = _weighted(shares, variances + between)
    error = math.sqrt(max(1.0, scatter / (k - 1)) / weight)
    half = -float(special.stdtrit(k - 1, (1 - CONFIDENCE) / 2)) * error
    return Pool(mean, mean - half, mean + half, math.sqrt(between), tuple(effect.row for effect in effects))


def _weighted(shares: NDArray[np.float64], variances: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the precision-weighted mean, the weighted sum of squared deviations from it, and the sum of the weights."""
    weights = 1 / variances
    mean = float(weights @ shares / weights.sum())
    return mean, float(weights @ (shares - mean) ** 2), float(weights.sum())


def _between(shares: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """Return the variance between rows for which the weighted sum of squares equals its expectation, k - 1; at least 0."""

    def excess(between: float) -> float:
        return _weighted(shares, variances + between)[1] - (len(shares) - 1)

    if excess(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, float(np.ptp(shares)) ** 2 * len(shares)))
