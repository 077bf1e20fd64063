"""Whether a row's networks are in the regime of the paper's claim, from D, `control` and `llr` only. Pure functions.

The gate reads no masked arm: a gate on S or D2 would favour DSD by dropping its bad rows. The thresholds are in
`benchmarks.evidence_plan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.analysis import summary
from benchmarks.evidence_plan import Wanted
from benchmarks.records.schema import Arm, Dense, Record

_PLATEAU = 0.75
"""The share of D after which the test metric must have reached its plateau."""
_NEAR = 0.02
"""Allowed distance, as a share of D, between `_PLATEAU` and the nearest point of the curve."""


@dataclass(frozen=True)
class Condition:
    """One condition: whether it holds, whether it counts for the gate, and its numbers as text."""

    name: str
    holds: bool
    counts: bool
    detail: str


@dataclass(frozen=True)
class Result:
    """The gate's result on some trials."""

    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        """Whether every condition that counts holds."""
        return all(one.holds for one in self.conditions if one.counts)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the failed conditions that count."""
        return tuple(one.name for one in self.conditions if one.counts and not one.holds)


def check(records: Sequence[Record], wanted: Wanted) -> Result:
    """Return the gate's result on finished trials of the row of `wanted`. All figures are means over the trials.

    Raises:
        ValueError: there is no trial, or a trial lacks D or the control.
    """
    if not records:
        raise ValueError(f"the gate of {wanted.row} needs a trial")
    for record in records:
        if record.dense is None or not record.dense.curve or "control" not in record.arms:
            raise ValueError(f"record {record.id}: the gate needs a trained D and the control")
    claim = wanted.claim * fmean(_test(record.arms["control"], record.metric) for record in records)
    found = [_fit(records, wanted), _plateau(records, claim), _trained(records, wanted, claim)]
    if wanted.gate.saturated is not None:
        found.append(_saturated(records, wanted.gate.saturated))
    return Result(tuple(found))


def _fit(records: Sequence[Record], wanted: Wanted) -> Condition:
    gate = wanted.gate
    scores = [_on_training(_dense(record), gate.fit) for record in records]
    values = [value for value, _ in scores if value is not None]
    if len(values) < len(records):
        return Condition("fit", False, True, f"no {gate.fit} on training examples after D")
    train, test = fmean(values), fmean(_test(_dense(record), gate.beside) for record in records)
    limit = gate.chance / 2
    running = "" if all(clean for _, clean in scores) else " (during training: older records have no clean score)"
    detail = (
        f"training {gate.fit} after D {train:.2f}{running}, must be at most {limit:.2f} and below the test's {test:.2f}"
    )
    return Condition("fit", train <= limit and train < test, True, detail)


def _plateau(records: Sequence[Record], claim: float) -> Condition:
    moved = []
    for record in records:
        curve = _dense(record).curve
        at = min(curve, key=lambda point: abs(point.step - _PLATEAU * curve[-1].step))
        if at.test is None or abs(at.step / curve[-1].step - _PLATEAU) > _NEAR:
            return Condition("plateau", False, True, f"no test at {_PLATEAU:.0%} of D")
        moved.append(summary.gain(record, at.test, _dense(record).test))
    change = fmean(moved)
    word = "better" if change > 0 else "worse"
    detail = f"the test gets {abs(change):.2f} {word} in the last quarter of D, must be less than half the claim ({claim / 2:.2f})"
    return Condition("plateau", abs(change) < claim / 2, True, detail)


def _trained(records: Sequence[Record], wanted: Wanted, claim: float) -> Condition:
    counts = wanted.gate.undertrained
    with_llr = [record for record in records if "llr" in record.arms]
    if not with_llr:
        return Condition("trained", False, counts, "no LLR arm")
    gain = fmean(summary.gain(one, _dense(one).test, one.arms["llr"].test) for one in with_llr)
    return Condition(
        "trained", gain < claim, counts, f"LLR gains {gain:+.2f} over D, must be less than the claim ({claim:.2f})"
    )


def _saturated(records: Sequence[Record], limit: float) -> Condition:
    control = fmean(_test(record.arms["control"], record.metric) for record in records)
    return Condition(
        "not saturated", control > limit, True, f"the control's error is {control:.2f} %, must be above {limit:g} %"
    )


def _dense(record: Record) -> Dense:
    assert record.dense is not None, "checked"
    return record.dense


def _on_training(dense: Dense, metric: str) -> tuple[float | None, bool]:
    """Return the score on training examples after D, and whether it is clean (no augmentation or dropout)."""
    clean = dense.phases[-1].train if dense.phases else None
    if clean is not None:
        return clean.get(metric), True
    return dense.curve[-1].train.get(metric), False


def _test(run: Arm, metric: str) -> float:
    return run.test[metric]
