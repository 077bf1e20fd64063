"""Random-effects mean over rows of the gains, each as a share of the paper's claim. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from benchmarks.statistics.intervals import CONFIDENCE

NOTE = "The CNN rows share test pictures: their gains do not err independently, as this interval takes them to do."
"""The note to print beside the mean."""


@dataclass(frozen=True)
class Effect:
    """A row's gain as a share of its claim (1: as claimed, 0: no gain), with its standard error."""

    row: str
    share: float
    error: float


@dataclass(frozen=True)
class Pool:
    """The mean share of the claim over rows such as these, its 95 % interval, and `tau`: the spread between rows' true shares."""

    mean: float
    low: float
    high: float
    tau: float
    rows: tuple[str, ...]
    note: str = NOTE


def pool(effects: Sequence[Effect]) -> Pool | None:
    """Return the random-effects mean, None below two rows.

    The variance between rows is Paule and Mandel's. The interval is Hartung and Knapp's: t with (rows - 1) degrees of freedom.
    Its scale is at least 1, so that rows that happen to agree do not make it narrower than their errors allow
    (Röver et al. 2015).

    Raises:
        ValueError: a share is not finite, or an error is not a positive number.
    """
    for one in effects:
        if not (math.isfinite(one.share) and 0 < one.error < math.inf):
            raise ValueError(f"pool needs finite shares with positive errors, got {one}")
    k = len(effects)
    if k < 2:
        return None
    shares = np.array([one.share for one in effects])
    variances = np.array([one.error for one in effects]) ** 2
    between = _between(shares, variances)
    mean, scatter, weight = _weighted(shares, variances + between)
    error = math.sqrt(max(1.0, scatter / (k - 1)) / weight)
    half = -float(special.stdtrit(k - 1, (1 - CONFIDENCE) / 2)) * error
    return Pool(mean, mean - half, mean + half, math.sqrt(between), tuple(one.row for one in effects))


def _weighted(shares: NDArray[np.float64], variances: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean weighted by precision, the weighted squares about it, and the sum of the weights."""
    weights = 1 / variances
    mean = float(weights @ shares / weights.sum())
    return mean, float(weights @ (shares - mean) ** 2), float(weights.sum())


def _between(shares: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """Return the variance between rows with which the weighted squares are what is expected of them, k - 1; else 0."""

    def excess(between: float) -> float:
        return _weighted(shares, variances + between)[1] - (len(shares) - 1)

    if excess(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, float(np.ptp(shares)) ** 2 * len(shares)))
