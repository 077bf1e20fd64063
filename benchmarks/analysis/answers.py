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
from benchmarks.analysis.verdicts import Answer, Evidence, Reason
from benchmarks.datasets import prepared
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
        text: the gain with D2 at the learning rate in the paper's text, over a control at that rate. It has no verdict.
        beam: the gain in the metric `BEAM`, with an interval over seeds only. It has no verdict.
        outside: the number of its finished trials at small scale that are not planned.
    """

    wanted: Wanted
    group: Group | None
    records: tuple[Record, ...]
    gate: gate.Result | None
    evidence: Evidence | None
    answer: Answer
    text: Crossed | None
    beam: Paired | None
    outside: int

    @property
    def claim(self) -> Claim:
        """The paper's claim for this row."""
        return paper.claim_of(paper.ROWS[self.wanted.row])

    @property
    def have(self) -> int:
        """The number of planned seeds with a finished trial of DSD and control."""
        return sum(record.seed < self.wanted.seeds for record in self.records)

    @property
    def left(self) -> int:
        """The number of planned seeds without a finished trial of DSD and control."""
        return self.wanted.seeds - self.have

    @property
    def lacks(self) -> tuple[Reason, ...]:
        """Why there is no verdict; empty if there is one."""
        return (Reason("no gain"),) if self.group and not self.records else self.answer.missing

    @property
    def control(self) -> float | None:
        """The mean of the control's metric; None without a trial of DSD and control."""
        values = [record.arms["control"].test[record.metric] for record in self.records]
        return sum(values) / len(values) if values else None

    @property
    def hours(self) -> float | None:
        """The mean hours of the finished trials that have no other arms than the planned ones; None without such a trial."""
        found = [record.cost.seconds / 3600 for record in self.records if set(record.arms) <= set(self.wanted.arms)]
        return sum(found) / len(found) if found else None


def rows(groups: Sequence[Group]) -> dict[str, Row]:
    """Return the planned rows in the paper's order, including those without trials."""
    chosen = {name: _group(wanted, groups) for name, wanted in PLANNED.items()}
    both = {name: _both(group) for name, group in chosen.items()}
    gates = {
        name: gate_of([record for record in both[name] if record.seed < wanted.seeds], wanted)
        for name, wanted in PLANNED.items()
    }
    evidence = {
        name: Evidence(
            measured,
            paper.claim_of(paper.ROWS[name]),
            result.holds if (result := gates[name]) else None,
            frozenset(record.seed for record in both[name]),
            frozenset(range(PLANNED[name].seeds)),
            group.repeated,
        )
        for name, group in chosen.items()
        if group and (measured := summary.measured(group))
    }
    answered = verdicts.answers(evidence)
    return {
        name: Row(
            wanted=PLANNED[name],
            group=group,
            records=both[name],
            gate=gates[name],
            evidence=evidence.get(name),
            answer=answered[name],
            text=summary.crossed(group, "dsd-text", "control-text") if group else None,
            beam=summary.compare(group, "dsd", "control", BEAM) if group else None,
            outside=sum(len(one.records) for one in groups if one.key.row == name and outside(one, groups)),
        )
        for name, group in chosen.items()
    }


def wanted_of(group: Group) -> Wanted | None:
    """Return the planned group that a group's trials belong to; None if they are not in the plan."""
    return next((wanted for wanted in WANTED if group.section == "regime" and wanted.covers(group.sample)), None)


def outside(group: Group, groups: Sequence[Group]) -> bool:
    """Return whether a group at small scale is not planned: it has another recipe, or another version of the data."""
    wanted = wanted_of(group)
    return group.section == "regime" and (wanted is None or _group(wanted, groups) is not group)


def plan_beside(group: Group) -> Wanted | None:
    """Return the plan of a row, for a group of it that is at small scale and not planned; otherwise None.

    None also if the gate's thresholds are for other data. Noisy digits at another ratio of speech to noise have the same words.
    """
    plan = PLANNED.get(group.key.row)
    if plan is None or group.section != "regime" or wanted_of(group) is not None or group.key.subset != 1.0:
        return None
    made, planned = prepared(group.key.data, ""), prepared(plan.data, "")
    alike = made is not None and planned is not None and made[0] is planned[0]
    return plan if alike or group.key.data == plan.data else None


def gate_of(records: Sequence[Record], wanted: Wanted) -> gate.Result | None:
    """Return the gate's result on the trials; None without trials, or if one lacks D's curve or the control."""
    complete = all(record.dense and record.dense.curve and "control" in record.arms for record in records)
    return gate.check(records, wanted) if records and complete else None


def pooled(rows: Mapping[str, Row]) -> Pool | None:
    """Return the random-effects mean over rows with a verdict, each gain as a share of its claim; None below two rows."""
    evidence = {name: row.evidence for name, row in rows.items() if row.evidence}
    effects = verdicts.effects(evidence, {name: rows[name].answer for name in evidence})
    return random_effects.pool([effect for effect in effects if 0 < effect.error < math.inf])


def row_of(group: Group, rows: Mapping[str, Row]) -> Row | None:
    """Return the planned row of a group's trials; None if they are not in the plan."""
    return next((row for row in rows.values() if row.group is group), None)


def _group(wanted: Wanted, groups: Sequence[Group]) -> Group | None:
    """Return the planned trials. If one folder name covers two versions of the data, return the larger group."""
    covered = sorted((group for group in groups if wanted_of(group) == wanted), key=lambda group: len(group.records))
    return covered[-1] if covered else None


def _both(group: Group | None) -> tuple[Record, ...]:
    return tuple(record for record in group.records if {"dsd", "control"} <= set(record.arms)) if group else ()
