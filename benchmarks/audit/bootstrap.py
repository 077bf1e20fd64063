"""Whether a record's bootstraps over test examples follow from its outcomes and its seed."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import outcomes
from benchmarks.records.schema import Record
from benchmarks.statistics import bootstrap, intervals
from benchmarks.statistics.bootstrap import Bootstrap
from tasks.random_streams import derive

SLIPS = 5e-4
"""The share of resamples, as a distance between quantiles, that another machine may draw otherwise: a binomial draw compares with
logarithms, whose last digit is the library's. Seen: one resample of 10,000 in one of 15 bootstraps that an Intel Xeon with
numpy 2.5.2 wrote and an AMD EPYC with numpy 2.4.6 made again."""


def problems(record: Record, arms: Iterable[str]) -> list[str]:
    """Return in sentences which of the bootstraps of `arms` over the control are not what the outcomes give."""
    found = []
    for name in arms:
        told = record.bootstrap[name]
        seed = derive(derive(record.row, record.scale, record.seed), "bootstrap", name)
        try:
            arm, base = (outcomes.unpack_outcomes(record.arms[one].outcomes) for one in (name, "control"))
            mean, resampled = bootstrap.resampled(arm, base, told.resamples, seed, bootstrap.OUTCOME_SCALE)
        except ValueError as error:
            found.append(f"{name}: {error}")
            continue
        tail = (1 - intervals.CONFIDENCE) / 2
        ends = ((told.low, tail), (told.high, 1 - tail))
        if not (_close(told.mean, mean, mean) and all(_close(end, *_about(resampled, at)) for end, at in ends)):
            again = Bootstrap(mean=mean, **bootstrap.ends(resampled), resamples=told.resamples)
            found.append(f"{name}: recorded {told}, but its outcomes and seed give {again}")
    return found


def _about(resampled: NDArray[np.float64], at: float) -> tuple[float, float]:
    low, high = np.quantile(resampled, (max(0.0, at - SLIPS), min(1.0, at + SLIPS)))
    return float(low), float(high)


def _close(value: float, low: float, high: float) -> bool:
    """Return whether `value` lies from `low` to `high`, but for what another processor's last digit may be."""
    return low <= value <= high or any(math.isclose(value, end, rel_tol=1e-9, abs_tol=1e-12) for end in (low, high))
