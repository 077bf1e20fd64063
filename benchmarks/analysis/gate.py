"""Whether a row's networks are in the regime of the paper's claim, from D, `control` and `llr` only. Pure functions.

The gate reads no masked arm: a gate on S or D2 would favour DSD by dropping its bad rows. The thresholds are in
`benchmarks.evidence_plan`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.analysis import metrics, summary
from benchmarks.evidence_plan import Gate, Wanted
from benchmarks.records.schema import Dense, Record

_PLATEAU = 0.75
"""The share of D after which the test metric must have reached its plateau."""
_NEAR = 0.02
"""Allowed distance, as a share of D, between `_PLATEAU` and the nearest point of the curve."""


@dataclass(frozen=True)
class Condition:
    """One condition on the mean of a quantity over the trials.

    Attributes:
        name: its name in tables.
        holds: whether the mean is within its bounds.
        counts: whether it counts for the gate.
        quantity: what is averaged, in words.
        told: its numbers in words. Even positions are words, odd ones measured numbers.
        values: the quantity in each trial; empty if a trial lacks it.
        low, high: the bounds on the mean. Those that depend on the control or the test score use the trials' own.
    """

    name: str
    holds: bool
    counts: bool
    quantity: str
    told: tuple[str, ...]
    values: tuple[float, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    @property
    def detail(self) -> str:
        """Its numbers in words."""
        return "".join(self.told)

    def others(self, planned: int) -> tuple[float, float]:
        """Return the bounds on the mean over the other seeds, with which the mean over all `planned` seeds is within its bounds.

        Raises:
            ValueError: no value is known, or no seed is left.
        """
        if not 0 < len(self.values) < planned:
            raise ValueError(f"{self.name}: {len(self.values)} of {planned} seeds have run")
        low, high = ((planned * end - sum(self.values)) / (planned - len(self.values)) for end in (self.low, self.high))
        return low, high


@dataclass(frozen=True)
class Result:
    """The gate's result on some trials."""

    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        """Whether every condition that counts holds."""
        return all(condition.holds for condition in self.conditions if condition.counts)

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the failed conditions that count."""
        return tuple(condition.name for condition in self.conditions if condition.counts and not condition.holds)


def check(records: Sequence[Record], wanted: Wanted) -> Result:
    """Return the gate's result on finished trials of the row of `wanted`. All figures are means over the trials.

    Raises:
        ValueError: there is no trial, or a trial lacks D or the control.
    """
    if not records:
        raise ValueError(f"the gate of {wanted.row} needs a trial")
    starts = [record.dense for record in records if record.dense and record.dense.curve and "control" in record.arms]
    if len(starts) < len(records):
        raise ValueError(f"the gate of {wanted.row} needs a trained D and the control in every trial")
    pairs = list(zip(records, starts, strict=True))
    controls = tuple(record.arms["control"].test[record.metric] for record in records)
    control = fmean(controls)
    claim = wanted.claim * control
    conditions = [_fit(starts, wanted.gate), _plateau(pairs, claim), _trained(pairs, wanted, claim)]
    limit = wanted.gate.saturated
    if limit is not None:
        told = ("the control's error is ", f"{control:.2f}", f" %, must be above {limit:g} % to leave room for a gain")
        conditions.append(
            Condition("not saturated", control > limit, True, "control's error", told, controls, low=limit)
        )
    return Result(tuple(conditions))


def _fit(starts: Sequence[Dense], gate: Gate) -> Condition:
    clean = [dense.phases[-1].train if dense.phases else None for dense in starts]
    scores = [dense.curve[-1].train if known is None else known for known, dense in zip(clean, starts, strict=True)]
    quantity = f"training {metrics.label(gate.fit)} after D"
    if not all(gate.fit in of for of in scores):
        return Condition("fit", False, True, quantity, (f"no {metrics.label(gate.fit)} on training examples after D",))
    values = tuple(of[gate.fit] for of in scores)
    train, test = fmean(values), fmean(dense.test[gate.beside] for dense in starts)
    limit = gate.chance / 2
    running = " (during training: older records have no clean score)" if None in clean else ""
    held_out = "test" if gate.beside == gate.fit else metrics.label(gate.beside)
    told = (
        f"{quantity} ",
        f"{train:.2f}",
        f"{running}, must be at most {limit:.2f} and below the {held_out}'s ",
        f"{test:.2f}",
    )
    return Condition("fit", train <= limit and train < test, True, quantity, told, values, high=min(limit, test))


def _plateau(pairs: Sequence[tuple[Record, Dense]], claim: float) -> Condition:
    moved, quantity = [], "test's gain in the last quarter of D"
    for record, dense in pairs:
        end = dense.curve[-1].step
        at = min(dense.curve, key=lambda point: abs(point.step - _PLATEAU * end))
        if at.test is None or abs(at.step / end - _PLATEAU) > _NEAR:
            return Condition("plateau", False, True, quantity, (f"no test at {_PLATEAU:.0%} of D",))
        moved.append(summary.gain(record, at.test, dense.test))
    change = fmean(moved)
    word = "better" if change > 0 else "worse"
    told = (
        "the test gets ",
        f"{abs(change):.2f}",
        f" {word} in the last quarter of D, must be less than half the claim (",
        f"{claim / 2:.2f}",
        ")",
    )
    return Condition("plateau", abs(change) < claim / 2, True, quantity, told, tuple(moved), -claim / 2, claim / 2)


def _trained(pairs: Sequence[tuple[Record, Dense]], wanted: Wanted, claim: float) -> Condition:
    counts = wanted.gate.undertrained
    gains = [
        summary.gain(record, dense.test, record.arms["llr"].test) for record, dense in pairs if "llr" in record.arms
    ]
    quantity = "gain of LLR over D"
    if not gains:
        return Condition("trained", False, counts, quantity, ("no LLR arm",))
    gain = fmean(gains)
    told = ("LLR gains ", f"{gain:+.2f}", " over D, must be less than the claim (", f"{claim:.2f}", ")")
    values = tuple(gains) if len(gains) == len(pairs) else ()
    return Condition("trained", gain < claim, counts, quantity, told, values, high=claim)
