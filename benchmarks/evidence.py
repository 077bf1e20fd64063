"""The command `evidence`: which trials of the plan are missing, what they take, and the missing ones in the best order.

The plan is `benchmarks.wanted`. A trial is there if a record of its recipe, data set (by the folder's name), arithmetic and seed
has all its arms; it is not run again, nor is one that failed. First comes the trial that narrows its row's interval most per
hour, in units of half the paper's claim. No result stops the search: a row has as many seeds as the plan says.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.table import Table

from benchmarks import commands, gate, group, lock, paper, provenance, record, summary
from benchmarks.console import say, show
from benchmarks.display import duration
from benchmarks.options import Evidence, Run
from benchmarks.record import Record
from benchmarks.registry import ROWS, row
from benchmarks.statistics import MINIMUM_SEEDS, Paired
from benchmarks.wanted import WANTED, Wanted

_Z = 1.96  # of a normal interval of 95 %
_LOWEST_PRIORITY = 19

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
    groups = sorted(group.group_records(mine), key=lambda one: len(one.records))
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


def options(wanted: Wanted, root: Path, seed: int, out: Path | None) -> Run:
    """Return what `run` is to be told; the first seed keeps its weights."""
    return Run(
        row=wanted.row,
        scale="small",
        data=root / wanted.data,
        seeds=1,
        first_seed=seed,
        arms=wanted.arms,
        weights=str(root / wanted.weights) if wanted.weights else None,
        label_noise=wanted.label_noise,
        save_weights=seed == 0,
        out=out,
    )


def following(standings: Sequence[Standing]) -> Standing | None:
    """Return the group of which a trial is to be run next, None where there is nothing left to run."""
    left = [one for one in standings if one.next_seed is not None]
    return max(left, key=lambda one: one.narrowing, default=None)


def evidence(given: Evidence, wanted: Sequence[Wanted] | None = None) -> int:
    """Show where every group stands and, but for `--plan`, run what is missing until all is there or the time is up.

    Several such processes with one `out` share the work: none takes a trial that another is at. On a CPU each gives way to
    any other work and computes on one thread.

    Returns 1 if a trial failed; the others are run all the same.

    Raises:
        ValueError: a data set that is wanted is not there, or there is no such row.
    """
    out = given.out or Path("results")
    names = {row(name).name for name in given.rows} or set(ROWS)
    chosen_rows = [one for one in (WANTED if wanted is None else wanted) if one.row in names]
    began = time.monotonic()
    last: Trial | None = None
    refused: set[Trial] = set()
    failures = 0
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    if not given.plan:
        require(given.data, [one for one in chosen_rows if not one.waits])
        _give_way(gpu)
    while True:
        folder = out / "records"
        running = refused | running_elsewhere(given, out, chosen_rows)
        standings = stand(record.read_all(folder) if folder.is_dir() else [], chosen_rows, running, gpu)
        chosen = following(standings)
        show(plan_table(standings, chosen))
        if chosen is None:
            say("every trial of the plan that may start is there" + (", or is being run" if running else ""))
            return int(failures > 0)
        spent = (time.monotonic() - began) / 3600
        if given.plan or (given.hours is not None and spent + chosen.hours > given.hours):
            return int(failures > 0)
        assert chosen.next_seed is not None, "a group without one is never chosen"
        if (chosen.wanted, chosen.next_seed) == last:
            raise ValueError(
                f"seed {chosen.next_seed} of {chosen.wanted.title} was run and left no record in {folder} that counts"
            )
        last = chosen.wanted, chosen.next_seed
        try:
            status = commands.run(options(chosen.wanted, given.data, chosen.next_seed, out))
        except lock.TakenError as error:  # it was faster, or was told by other words
            say(str(error))
            refused.add(last)
            continue
        if status not in (0, 1):  # stopped, or told wrongly
            return status
        failures += status


def _give_way(gpu: str | None) -> None:
    if gpu is None:
        os.nice(max(0, _LOWEST_PRIORITY - os.nice(0)))
        torch.set_num_threads(1)


def running_elsewhere(given: Evidence, out: Path, wanted: Sequence[Wanted]) -> set[Trial]:
    """Return which trials other processes are at, by the commands that hold a lock in `out`."""
    found = lock.commands(out / "checkpoints")
    trials = ((one, seed) for one in wanted for seed in range(one.seeds)) if found else ()
    return {
        (one, seed) for one, seed in trials if provenance.command("run", options(one, given.data, seed, out)) in found
    }


def require(root: Path, wanted: Sequence[Wanted]) -> None:
    """Find out before the first trial whether all data sets are there.

    Raises:
        ValueError: one is not; all that are not are named.
    """
    names = dict.fromkeys(name for one in wanted for name in (one.data, one.weights) if name)
    absent = [str(root / name) for name in names if not (root / name).exists()]
    if absent:
        raise ValueError(f"--data {root}: not there: {', '.join(absent)}")


def plan_table(standings: Sequence[Standing], chosen: Standing | None) -> Table:
    """Return the plan: trials there are and wanted, what was found, the gate, and what is left to run."""
    found = Table(box=None, padding=(0, 2, 0, 0))
    words = ("", "group", "gate", "left")
    for heading in ("", "group", "n", "gain over control", "half the claim", "gate", "a trial", "left"):
        found.add_column(heading, justify="left" if heading in words else "right")
    for one in standings:
        found.add_row("next" if one is chosen else "", *_cells(one))
    return found


def _cells(one: Standing) -> list[str]:
    wanted, gain = one.wanted, one.found
    others = [f", {len(of)} {what}" for of, what in ((one.failed, "failed"), (one.running, "running")) if of]
    cells = [wanted.title, f"{len(one.have)} of {wanted.seeds}{''.join(others)}"]
    spread = "" if gain is None or gain.sd is None else f" ± {gain.sd:.2f}"
    cells += ["-" if gain is None else f"{gain.mean:+.2f}{spread}", f"{one.target:.2f}"]
    cells.append("-" if one.gate is None else "holds" if one.gate.holds else f"fails: {', '.join(one.gate.failed)}")
    missing = wanted.seeds - len(one.have | one.failed)
    left = f"waits: {wanted.waits}" if wanted.waits else duration(3600 * one.hours * missing) if missing else "nothing"
    return [*cells, duration(3600 * one.hours), left]
