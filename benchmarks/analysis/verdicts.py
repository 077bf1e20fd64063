"""The two answers for a row: is the paper's claim reached, and is DSD better at all? Pure functions; no table text, no files.

*Claim*: one-sided 5 %, relative to the control. The paper's gain is a share of its baseline's error, so the test is on
gain - share x control, by seed and example. Dividing the gain by a fixed mean of the control would ignore that the control is
measured too, on the same seeds and examples. *Direction*: gain against zero, two-sided 5 %, Holm-adjusted over all planned rows.
Neither answer is given unless the row's gate holds and it has exactly its planned seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.evidence_plan import PLANNED
from benchmarks.paper import Claim
from benchmarks.statistics import intervals
from benchmarks.statistics.crossed import Crossed, Measured, Relative, contrast, relative
from benchmarks.statistics.random_effects import Effect

LEAST_SEEDS = 5
"""Minimum number of planned seeds for a verdict."""

FAMILY = tuple(PLANNED)
"""The tests in Holm's correction, fixed in advance. A row without a verdict counts as p = 1."""

ClaimAnswer = Literal["reached", "not excluded", "excluded", "half excluded"]
Direction = Literal["DSD better", "DSD worse", "no difference shown"]
Lack = Literal[
    "no trial",
    "no gain",
    "gate not computed",
    "gate fails",
    "too few seeds planned",
    "seeds not run",
    "seeds not planned",
    "seeds trained more than once",
]
"""The kinds of reasons why a row has no verdict. "no gain": no trial has both DSD and the control."""


@dataclass(frozen=True)
class Reason:
    """One reason why a row has no verdict, and the seeds that it is about, in order."""

    lack: Lack
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """The evidence for a row. `gate`: whether it holds; None if not computed. `seeds`: the seeds measured in both arms.

    `repeated` are seeds that were trained more than once with different results: choosing among trials would bias the gain.

    Raises:
        ValueError: the number of gains differs from the number of seeds.
    """

    measured: Measured
    claim: Claim
    gate: bool | None
    seeds: frozenset[int]
    planned: frozenset[int]
    repeated: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.measured.gains.size != len(self.seeds):
            raise ValueError(f"evidence has {self.measured.gains.size} gains for seeds {sorted(self.seeds)}")


@dataclass(frozen=True)
class Answer:
    """The answers for a row. `missing` says why there is no verdict, or is empty. Gain and share are reported anyway.

    `p` is the two-sided p-value of "no difference", `p_holm` the adjusted one. Without a verdict both are None, and p counts as 1.
    """

    missing: tuple[Reason, ...]
    gain: Crossed | None = None
    share: Relative | None = None
    claim: ClaimAnswer | None = None
    direction: Direction | None = None
    p: float | None = None
    p_holm: float | None = None


def effects(rows: Mapping[str, Evidence], answers: Mapping[str, Answer]) -> list[Effect]:
    """Return the gains of the rows with a verdict as shares of their claims, for `benchmarks.statistics.random_effects.pool`."""
    return [
        Effect(name, answer.share.share / rows[name].claim.share, answer.share.error / rows[name].claim.share)
        for name, answer in answers.items()
        if not answer.missing and answer.share is not None
    ]


def missing(
    gate: bool | None, seeds: Collection[int], planned: Collection[int], repeated: Collection[int] = ()
) -> tuple[Reason, ...]:
    """Return what is missing for a verdict (gate, planned seeds or both); empty if nothing is."""
    found: list[Reason] = []
    if not gate:
        found.append(Reason("gate not computed" if gate is None else "gate fails"))
    if len(set(planned)) < LEAST_SEEDS:
        found.append(_reason("too few seeds planned", planned))
    elif absent := set(planned) - set(seeds):
        found.append(_reason("seeds not run", absent))
    if extra := set(seeds) - set(planned):
        found.append(_reason("seeds not planned", extra))
    if repeated:
        found.append(_reason("seeds trained more than once", repeated))
    return tuple(found)


def _reason(lack: Lack, seeds: Collection[int]) -> Reason:
    return Reason(lack, tuple(sorted(set(seeds))))


def claim_answer(measured: Measured, share: float) -> ClaimAnswer:
    """Return the answer of one-sided 95 % bounds on a claimed gain of `share` times the control's metric.

    Raises:
        ValueError: the share is not positive, or there is only one seed.
    """
    if not share > 0:
        raise ValueError(f"claim_answer needs a positive share, got {share}")
    whole, half = contrast(measured, share), contrast(measured, share / 2)
    if whole is None or half is None:
        raise ValueError("claim_answer needs at least two seeds, got 1")
    if whole.lower >= 0:
        return "reached"
    if half.upper < 0:
        return "half excluded"
    return "excluded" if whole.upper < 0 else "not excluded"


def direction(mean: float, p_holm: float) -> Direction:
    """Return which arm is better, by the Holm-adjusted p-value at 5 %."""
    if p_holm > 1 - intervals.CONFIDENCE or mean == 0:
        return "no difference shown"
    return "DSD better" if mean > 0 else "DSD worse"


def answers(rows: Mapping[str, Evidence], family: Collection[str] = FAMILY) -> dict[str, Answer]:
    """Return the answers for every row of `family`, in its order. A row missing from `rows` has no trials.

    Raises:
        ValueError: a row is not in the family.
    """
    if unknown := sorted(set(rows) - set(family)):
        raise ValueError(f"answers: {', '.join(unknown)} not among the {len(family)} tests fixed in advance")
    result = {name: _without_verdict(rows.get(name)) for name in family}
    p_values = {name: 1.0 if answer.missing or not answer.gain else answer.gain.p for name, answer in result.items()}
    adjusted = intervals.holm(list(p_values.values()))
    for (name, answer), p_holm in zip(tuple(result.items()), adjusted, strict=True):
        if not answer.missing and answer.gain is not None:
            result[name] = dataclasses.replace(
                answer,
                claim=claim_answer(rows[name].measured, rows[name].claim.share),
                direction=direction(answer.gain.mean, p_holm),
                p=p_values[name],
                p_holm=p_holm,
            )
    return result


def _without_verdict(row: Evidence | None) -> Answer:
    if row is None:
        return Answer((Reason("no trial"),))
    lacking = missing(row.gate, row.seeds, row.planned, row.repeated)
    return Answer(lacking, contrast(row.measured), relative(row.measured))
