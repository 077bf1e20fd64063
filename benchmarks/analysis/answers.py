"""The state of each planned row: its gate, its two answers, and what is missing for them. Pure functions.

A row is judged by the outcomes of `dsd` and `control` in its planned group of trials. Everything here is computed from records.
Rows of suite 0.1, custom recipes and the published recipe at full size are not in the plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import paper
from benchmarks.analysis import gate, summary, verdicts
from benchmarks.analysis.groups import Group
from benchmarks.analysis.verdicts import Answer, Evidence
from benchmarks.evidence_plan import PLANNED, WANTED, Wanted
from benchmarks.paper import Claim
from benchmarks.records.schema import Record
from benchmarks.statistics import random_effects
from benchmarks.statistics.crossed import Crossed
from benchmarks.statistics.intervals import Paired
from benchmarks.statistics.random_effects import Pool

BEAM = "beam20_bleu4"
"""BLEU-4 of captions from beam search of width 20. Records do not store those captions."""


@dataclass(frozen=True)
class Row:
    """A planned row.

    Attributes:
        group: its trials; None if there are none.
        records: the records with DSD and control, one per seed.
        gate: the gate's result on the planned seeds among these; None if there are none.
        evidence: the measurements; None without a gain.
        answer: the two answers, or what is missing for them.
        text: the gain with D2 at the rate in the paper's text, over a control at that rate. No verdict.
        beam: the gain in the metric `BEAM`, with an interval over seeds only. No verdict.
    """

    wanted: Wanted
    group: Group | None
    records: tuple[Record, ...]
    gate: gate.Result | None
    evidence: Evidence | None
    answer: Answer
    text: Crossed | None
    beam: Paired | None

    @property
    def claim(self) -> Claim:
        """The paper's claim for this row."""
        return paper.claim_of(paper.ROWS[self.wanted.row])

    @property
    def have(self) -> int:
        """The number of planned seeds with a finished trial of DSD and control."""
        return sum(record.seed < self.wanted.seeds for record in self.records)

    @property
    def lacks(self) -> str | None:
        """What is missing for a verdict; None if there is a verdict."""
        if self.group is None:
            return f"no trial yet ({self.wanted.waits})" if self.wanted.waits else "no trial yet"
        return self.answer.missing if self.records else summary.missing(self.group)


def rows(groups: Sequence[Group]) -> dict[str, Row]:
    """Return the planned rows in the paper's order, including those without trials."""
    chosen = {name: _group(wanted, groups) for name, wanted in PLANNED.items()}
    evidence = {name: found for name, one in chosen.items() if (found := _evidence(PLANNED[name], one))}
    answered = verdicts.answers(evidence)
    return {
        name: Row(
            wanted=PLANNED[name],
            group=one,
            records=_both(one),
            gate=_gate(PLANNED[name], one),
            evidence=evidence.get(name),
            answer=answered[name],
            text=summary.crossed(one, "dsd-text", "control-text") if one else None,
            beam=summary.compare(one, "dsd", "control", BEAM) if one else None,
        )
        for name, one in chosen.items()
    }


def wanted_of(group: Group) -> Wanted | None:
    """Return the planned group that a group's trials belong to; None if they are not in the plan."""
    return next((one for one in WANTED if group.section == "regime" and one.covers(group.sample)), None)


def gate_of(records: Sequence[Record], wanted: Wanted) -> gate.Result | None:
    """Return the gate's result on the trials; None without trials, or if one lacks D's curve or the control."""
    complete = all(record.dense and record.dense.curve and "control" in record.arms for record in records)
    return gate.check(records, wanted) if records and complete else None


def pooled(found: Mapping[str, Row]) -> Pool | None:
    """Return the random-effects mean over rows with a verdict, each gain as a share of its claim; None below two rows."""
    evidence = {name: row.evidence for name, row in found.items() if row.evidence}
    effects = verdicts.effects(evidence, {name: found[name].answer for name in evidence})
    return random_effects.pool([one for one in effects if 0 < one.error < math.inf])


def row_of(group: Group, found: Mapping[str, Row]) -> Row | None:
    """Return the planned row of a group's trials; None if they are not in the plan."""
    return next((row for row in found.values() if row.group is group), None)


def standing(group: Group, found: Mapping[str, Row]) -> str:
    """Return the verdict on a group in a few words, or why it has none."""
    if group.section == "smoke":
        return "smoke test only"
    if group.section == "custom":
        return "custom recipe: none"
    if group.section == "small":
        return "superseded: none"
    row = row_of(group, found)
    if row is None:
        return "not in the plan: none"
    answer = row.answer
    return f"claim {answer.claim}; {answer.direction}" if row.lacks is None else f"none: {row.lacks}"


def _group(wanted: Wanted, groups: Sequence[Group]) -> Group | None:
    """Return the planned trials. If one folder name covers two versions of the data, return the larger group."""
    found = sorted((one for one in groups if wanted_of(one) == wanted), key=lambda one: len(one.records))
    return found[-1] if found else None


def _both(group: Group | None) -> tuple[Record, ...]:
    return tuple(one for one in group.records if {"dsd", "control"} <= set(one.arms)) if group else ()


def _gate(wanted: Wanted, group: Group | None) -> gate.Result | None:
    return gate_of([record for record in _both(group) if record.seed < wanted.seeds], wanted)


def _evidence(wanted: Wanted, group: Group | None) -> Evidence | None:
    measured = summary.measured(group) if group else None
    if group is None or measured is None:
        return None
    found = _gate(wanted, group)
    return Evidence(
        measured,
        paper.claim_of(paper.ROWS[wanted.row]),
        found.holds if found else None,
        frozenset(record.seed for record in _both(group)),
        frozenset(range(wanted.seeds)),
        group.repeated,
    )
