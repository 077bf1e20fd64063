"""Check that a record's scores and bootstraps follow from the outcomes of the test examples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.audit.check import NotApplicableError, Outcome, close
from benchmarks.records.example_outcomes import unpack_outcomes
from benchmarks.records.schema import Arm, Record
from benchmarks.statistics import bootstrap
from benchmarks.statistics.bootstrap import OUTCOME_SCALE, score
from benchmarks.statistics.intervals import CONFIDENCE
from tasks.random_streams import derive

SLIPS = 5e-4
"""Tolerance for the ends of an interval, as a share of the resamples.

A binomial draw compares logarithms. Their last digit depends on the machine, so some resamples may differ on another machine.
Observed: in one of 15 bootstraps, one of 10,000 resamples differed between an Intel Xeon with numpy 2.5.2 and an AMD EPYC with
numpy 2.4.6.
"""


def scores(record: Record) -> Outcome:
    """The final scores equal those computed from the outcomes. Scores that outcomes do not give are consistent with each other."""
    if not record.runs:
        raise NotApplicableError("the trial has no finished part")
    problems = []
    for name, run in record.runs.items():
        try:
            expected = _from_outcomes(record, run)
        except ValueError as error:
            problems.append(f"{name}: its outcomes cannot be read: {error}")
            continue
        for key, value in expected.items():
            if not close(run.test.get(key, math.nan), value):
                problems.append(f"{name}: {key} is {run.test.get(key)}, its outcomes give {value:.6g}")
        if run.test.get("top5_error", 0) > run.test.get("top1_error", math.inf):
            problems.append(f"{name}: top5_error {run.test['top5_error']} is above top1_error {run.test['top1_error']}")
        for key, value in run.test.items():
            plain, standard, _ = key.partition("_standard")
            penalty = run.test.get(plain[: plain.rfind("bleu")] + "brevity_penalty") if standard else None
            if penalty is not None and not close(value, penalty * run.test.get(plain, math.nan)):
                problems.append(f"{name}: {key} is {value}, not the brevity penalty {penalty} times {plain}")
    return problems, f"{record.metric} of {record.data.counts.get('test')} test examples"


def _from_outcomes(record: Record, run: Arm) -> dict[str, float]:
    """Return the metrics that can be computed from the outcomes.

    Raises:
        ValueError: the number of outcomes differs from the number of test examples.
    """
    outcomes = unpack_outcomes(run.outcomes)
    if len(outcomes) != record.data.counts.get("test"):
        raise ValueError(f"there are {len(outcomes)} of {record.data.counts.get('test')} test examples")
    value = score(outcomes)
    expected = {record.metric: OUTCOME_SCALE - value if record.lower_is_better else value}
    if record.metric.startswith("bleu") and outcomes.ndim == 2:  # matching n-grams, n = 1 to 4, then all n-grams
        k = outcomes.shape[1] // 2
        expected |= {f"bleu{n}": score(outcomes[:, [*range(n), *range(k, k + n)]]) for n in range(1, k + 1)}
        expected["caption_words"] = float(outcomes[:, k].mean())
    return expected


def bootstraps(record: Record) -> Outcome:
    """There is a bootstrap over the control for every other arm, and it follows from the outcomes and the seed."""
    arms = sorted(set(record.arms) - {"control"}) if "control" in record.arms else []
    if not arms and not record.bootstrap:
        raise NotApplicableError("no arm is compared with a control")
    problems = []
    if sorted(record.bootstrap) != arms:
        problems.append(f"there are bootstraps of {sorted(record.bootstrap)}, expected {arms}")
    for name in arms:
        if name in record.bootstrap:
            problems += _bootstrap(record, name)
    return problems, f"{', '.join(arms)} over control"


def _bootstrap(record: Record, name: str) -> list[str]:
    recorded = record.bootstrap[name]
    seed = derive(derive(record.row, record.scale, record.seed), "bootstrap", name)
    try:
        arm, control = (unpack_outcomes(record.arms[run].outcomes) for run in (name, "control"))
        mean, resampled = bootstrap.resampled(arm, control, recorded.resamples, seed, OUTCOME_SCALE)
    except ValueError as error:
        return [f"{name}: {error}"]
    tail = (1 - CONFIDENCE) / 2
    ends = ((recorded.low, tail), (recorded.high, 1 - tail))
    if _within(recorded.mean, mean, mean) and all(_within(end, *_around(resampled, share)) for end, share in ends):
        return []
    return [f"{name}: recorded {recorded}, but its outcomes and seed give {bootstrap.interval(mean, resampled)}"]


def _around(resampled: NDArray[np.float64], share: float) -> tuple[float, float]:
    low, high = np.quantile(resampled, (max(0.0, share - SLIPS), min(1.0, share + SLIPS)))
    return float(low), float(high)


def _within(value: float, low: float, high: float) -> bool:
    """Return whether `value` is in [low, high], up to its last digits, which depend on the processor."""
    return low <= value <= high or any(math.isclose(value, end, rel_tol=1e-9, abs_tol=1e-12) for end in (low, high))
