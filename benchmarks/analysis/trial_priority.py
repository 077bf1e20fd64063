"""Which planned trials are missing, and which to run first.

The plan is `benchmarks.evidence_plan`. A trial is done if a record with its recipe, data set (by folder name), numerics and seed
has all its arms. Finished and failed trials are not run again. The first trial to run is the one that narrows its row's interval
most per hour, in units of half the paper's claim. Each row gets exactly its planned seeds. It is not stopped early when its
interval excludes zero, because such intervals would cover the true gain less often than the stated 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from benchmarks import paper
from benchmarks.analysis import gate, summary
from benchmarks.analysis.groups import group_records
from benchmarks.evidence_plan import Wanted
from benchmarks.records.schema import Record
from benchmarks.statistics.intervals import MINIMUM_SEEDS, Paired

_Z = 1.96  # for a normal 95 % interval

Trial = tuple[Wanted, int]
"""A planned group and a seed."""


@dataclass(frozen=True)
class Standing:
    """The state of a planned group.

    Attributes:
        have, failed, running: the planned seeds that are finished with all arms, that failed, that another process is running.
        found: DSD's gain over the control in the finished trials; None without one.
        target: half the claim, in the metric's points.
        hours: the expected hours per trial, from trials on the same kind of hardware, otherwise from the plan.
        gate: the gate's result on the finished trials; None without one.
    """

    wanted: Wanted
    have: frozenset[int]
    failed: frozenset[int]
    running: frozenset[int]
    found: Paired | None
    target: float
    hours: float
    gate: gate.Result | None

    @property
    def next_seed(self) -> int | None:
        """The first planned seed without a trial; None if there is none."""
        spent = self.have | self.failed | self.running
        missing = (seed for seed in range(self.wanted.seeds) if seed not in spent)
        return next(missing, None)

    @property
    def narrowing(self) -> float:
        """How much one more trial narrows the interval per hour, in units of the target.

        Without a trial, the half-width of the interval is assumed to be the claim, or that of one trial if it is larger.
        """
        measured = self.found is not None and self.found.sd is not None and self.found.n >= MINIMUM_SEEDS
        sd = self.found.sd if measured and self.found and self.found.sd else self.wanted.spread
        n = len(self.have | self.running)
        before = _Z * sd / math.sqrt(n) if n else max(2 * self.target, _Z * sd)
        return (before - _Z * sd / math.sqrt(n + 1)) / self.target / self.hours


def stand(
    records: Sequence[Record], wanted: Sequence[Wanted], running: Collection[Trial] = (), gpu: str | None = None
) -> list[Standing]:
    """Return the state of every planned group, given `records` and the trials `running` in other processes.

    `gpu` is this machine's GPU. Times of trials on other hardware are not used.
    """
    return [_standing(group, records, {seed for trial, seed in running if trial == group}, gpu) for group in wanted]


def _standing(wanted: Wanted, records: Sequence[Record], running: set[int], gpu: str | None) -> Standing:
    covered = [record for record in records if wanted.covers(record)]
    # One folder name may cover two versions of the data. As in the tables, use the group with more trials.
    groups = sorted(group_records(covered), key=lambda group: len(group.records))
    members = [record for record in groups[-1].everything if set(record.arms) >= set(wanted.arms)] if groups else []
    have = {record.seed for record in members} & set(range(wanted.seeds))
    failed = {record.seed for record in covered if record.status == "failed"} - have
    used = [record for record in groups[-1].records if record.seed in have] if groups else []
    control = [record.arms["control"].test[record.metric] for record in used]
    scale = sum(control) / len(control) if control else None
    return Standing(
        wanted,
        have=frozenset(have),
        failed=frozenset(failed),
        running=frozenset(running - have - failed),
        found=summary.compare(groups[-1], "dsd", "control") if groups else None,
        target=(wanted.claim * scale if scale else abs(paper.ROWS[wanted.row].gain)) / 2,
        hours=mean_hours(members, gpu) or wanted.hours,
        gate=gate.check(used, wanted) if used else None,
    )


def mean_hours(records: Sequence[Record], gpu: str | None) -> float | None:
    """Return the mean hours of uninterrupted trials on `gpu` (None: on a CPU); None if there is none."""
    times = [
        record.cost.seconds / 3600 for record in records if record.hardware.gpu == gpu and not record.interruptions
    ]
    return sum(times) / len(times) if times else None


def following(standings: Sequence[Standing]) -> Standing | None:
    """Return the group whose trial should run next, secondary groups last; None if nothing is left to run."""
    left = [standing for standing in standings if standing.next_seed is not None]
    return max(left, key=lambda standing: (not standing.wanted.secondary, standing.narrowing), default=None)
