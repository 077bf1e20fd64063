"""Which trials of the plan are missing, and which of them resolves most per hour.

The plan is `benchmarks.evidence_plan`. A trial is done if a record of its recipe, data set (by the folder's name), numerics and
seed has all its arms. Neither that nor one that failed is run again. First comes the trial that narrows its row's interval most per
hour, in units of half the paper's claim. Significance never stops the search: a row has the seeds of its plan.
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

_Z = 1.96  # of a normal interval of 95 %

Trial = tuple[Wanted, int]
"""Of a group, and its seed."""


@dataclass(frozen=True)
class Standing:
    """Where a wanted group stands.

    Attributes:
        have, failed, running: the planned seeds that have a trial with all arms, that broke down, that another process is at.
        found: DSD over control in the trials there are; None below one.
        target: half the claim, in the metric's points.
        hours: what one trial takes, by those on the same kind of hardware, else by the plan.
        gate: of the trials there are; None below one.
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
        """The first planned seed without a trial; None where there is none, or no trial may start yet."""
        spent = self.have | self.failed | self.running
        missing = (seed for seed in range(self.wanted.seeds) if seed not in spent)
        return None if self.wanted.waits else next(missing, None)

    @property
    def narrowing(self) -> float:
        """How much narrower one more trial makes the interval, in targets an hour.

        Without a trial the gain is as uncertain as the claim is large.
        """
        told = self.found is not None and self.found.sd is not None and self.found.n >= MINIMUM_SEEDS
        sd = self.found.sd if told and self.found and self.found.sd else self.wanted.spread
        n = len(self.have | self.running)
        before = _Z * sd / math.sqrt(n) if n else max(2 * self.target, _Z * sd)
        return (before - _Z * sd / math.sqrt(n + 1)) / self.target / self.hours


def stand(
    records: Sequence[Record], wanted: Sequence[Wanted], running: Collection[Trial] = (), gpu: str | None = None
) -> list[Standing]:
    """Return where every wanted group stands by `records`, while other processes are at the trials `running`.

    `gpu` is this machine's; trials on other hardware tell nothing of what one takes here.
    """
    return [_standing(one, records, {seed for trial, seed in running if trial == one}, gpu) for one in wanted]


def _standing(wanted: Wanted, records: Sequence[Record], running: set[int], gpu: str | None) -> Standing:
    mine = [one for one in records if wanted.covers(one)]
    # One folder's name may stand for two states of it: the table's cell is of one, here of that with more trials.
    groups = sorted(group_records(mine), key=lambda one: len(one.records))
    members = [one for one in groups[-1].everything if set(one.arms) >= set(wanted.arms)] if groups else []
    have = {one.seed for one in members} & set(range(wanted.seeds))
    failed = {one.seed for one in mine if one.status == "failed"} - have
    times = [one.cost.seconds / 3600 for one in members if one.hardware.gpu == gpu and not one.interruptions]
    used = [one for one in groups[-1].records if one.seed in have] if groups else []
    control = [one.arms["control"].test[one.metric] for one in used]
    scale = sum(control) / len(control) if control else None
    return Standing(
        wanted,
        have=frozenset(have),
        failed=frozenset(failed),
        running=frozenset(running - have),
        found=summary.compare(groups[-1], "dsd", "control") if groups else None,
        target=(wanted.claim * scale if scale else abs(paper.ROWS[wanted.row].gain)) / 2,
        hours=sum(times) / len(times) if times else wanted.hours,
        gate=gate.check(used, wanted) if used else None,
    )


def following(standings: Sequence[Standing]) -> Standing | None:
    """Return the group of which a trial is to be run next, None where there is nothing left to run."""
    left = [one for one in standings if one.next_seed is not None]
    return max(left, key=lambda one: one.narrowing, default=None)
