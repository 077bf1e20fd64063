"""The command `evidence`: show the plan and run its missing trials."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from benchmarks.analysis.trial_priority import Standing, Trial, following, stand
from benchmarks.campaign import file
from benchmarks.campaign.trial import Resources
from benchmarks.cli import engines, recorded_command
from benchmarks.cli.campaign import CampaignQueue
from benchmarks.cli.console import say, show
from benchmarks.cli.display import duration
from benchmarks.cli.engines import Planned, Queue
from benchmarks.cli.options import Evidence, Run
from benchmarks.evidence_plan import SECONDARY, WANTED, Wanted
from benchmarks.records import store
from benchmarks.rows import ROWS, row
from benchmarks.training import lock

_LOWEST_PRIORITY = 19


def options(wanted: Wanted, root: Path, seed: int, out: Path | None) -> Run:
    """Return the options of `run` for one trial of the plan. Only seed 0 keeps its weights."""
    own = wanted.changes | ({"weights": str(root / wanted.weights)} if wanted.weights else {})
    return Run(
        row=wanted.row,
        scale="small",
        data=root / wanted.data,
        seeds=1,
        first_seed=seed,
        arms=wanted.arms,
        save_weights=seed == 0,
        out=out,
        **own,
    )


def evidence(given: Evidence, wanted: Sequence[Wanted] | None = None) -> int:
    """Show the state of every group and, without `--plan` and `--dry-run`, run the missing trials until none is left or time is up.

    Several processes with the same `out` share the work: no two run the same trial. On a CPU each process runs at the lowest
    priority and on one thread.

    Returns 1 if a trial failed. A failure does not stop the remaining trials.

    Raises:
        ValueError: a required data set is missing, a row does not exist, or a trial ended without a record for the plan.
    """
    if given.campaign is not None:
        campaign = CampaignQueue(given)
        if _shown(campaign, given):
            return 0
        campaign.require()
        return engines.run_all(campaign, given, inline=False)
    queue = PlanQueue(given, (*WANTED, *SECONDARY) if wanted is None else wanted)
    if _shown(queue, given):
        return 0
    require(given.data, queue.wanted)
    if given.backend == "local":
        _give_way(queue.gpu)
    inline = given.backend == "local" and given.jobs == 1 and given.resources is None
    return engines.run_all(queue, given, inline)


def _shown(queue: Queue, given: Evidence) -> bool:
    """Show the plan if `--plan` or `--dry-run` asks for it, and return whether one does."""
    if given.plan or given.dry_run:
        engines.show_plan(queue, given)
    return given.plan or given.dry_run


class PlanQueue:
    """The planned trials. Which one is next depends on the records (see `benchmarks.analysis.trial_priority`).

    Without `--resources`, a trial gets one of this machine's GPUs, or an equal share if there are fewer GPUs than jobs.

    Raises:
        ValueError: the file of resources is wrong.
    """

    def __init__(self, given: Evidence, wanted: Sequence[Wanted]) -> None:
        self.out = given.out or Path("results")
        names = {row(name).name for name in given.rows} or set(ROWS)
        self.wanted = [one for one in wanted if one.row in names]
        here = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        share = min(1.0, torch.cuda.device_count() / given.jobs) if here else 0.0
        needs = file.read_needs(given.resources) if given.resources else file.Needs(resources=Resources(gpus=share))
        self.resources, self.price = needs.resources, needs.price
        self.slurm: Mapping[str, Any] = needs.slurm
        self.gpu = (needs.gpu or here) if self.resources.gpus else None
        self._given = given
        self._began = time.monotonic()
        self._running: set[Trial] = set()  # started here, or found locked by another process
        self._ran: set[Trial] = set()

    def next(self) -> Planned | None:
        """Return the trial that narrows its row's interval most per hour; None if none is left or time is up.

        Raises:
            ValueError: it has already run and ended without a record for the plan.
        """
        standings = self._standings(self._running)
        chosen = following(standings)
        if self._given.backend == "local" or not self._running:
            show(plan_table(standings, chosen))
        if chosen is None:
            running = any(one.running for one in standings)
            say("every planned trial that may start has finished" + (" or is running" if running else ""))
            return None
        spent = (time.monotonic() - self._began) / 3600
        if self._given.hours is not None and spent + chosen.hours > self._given.hours:
            return None
        planned = self._planned(chosen)
        if (chosen.wanted, planned.options.first_seed) in self._ran:
            folder = self.out / "records"
            raise ValueError(
                f"seed {chosen.next_seed} of {chosen.wanted.title} ran but left no record that counts in {folder}"
            )
        self._running.add((chosen.wanted, planned.options.first_seed))
        return planned

    def ended(self, trial: Planned, status: int) -> None:
        """Update the state. A trial that failed without a record, or that another process holds, is not run again."""
        one = self._trial(trial)
        others = self._running - {one}
        recorded = any(one == (of.wanted, seed) for of in self._standings(others) for seed in of.failed)
        if status == 0 or recorded:
            self._running = others
        if status == 0:
            self._ran.add(one)

    def left(self) -> list[Planned]:
        """Return the missing trials in the order in which they would start if no further results came in."""
        found: list[Planned] = []
        standings = self._standings(())
        while (chosen := following(standings)) is not None:
            found.append(self._planned(chosen))
            started = dataclasses.replace(chosen, running=chosen.running | {found[-1].options.first_seed})
            standings[standings.index(chosen)] = started
        return found

    def table(self) -> Table:
        """Return the plan as a table."""
        standings = self._standings(())
        return plan_table(standings, following(standings))

    def facts(self) -> dict[str, Any]:
        """Return the state of every group."""
        return {"plan": "evidence", "gpu": self.gpu, "groups": [_facts(one) for one in self._standings(())]}

    def _standings(self, running: Collection[Trial]) -> list[Standing]:
        folder = self.out / "records"
        elsewhere = running_elsewhere(self._given, self.out, self.wanted)
        return stand(store.read_all(folder), self.wanted, elsewhere | set(running), self.gpu)

    def _planned(self, chosen: Standing) -> Planned:
        assert chosen.next_seed is not None, "a group without a next seed is never chosen"
        given = options(chosen.wanted, self._given.data, chosen.next_seed, self.out)
        return Planned(given, f"{chosen.wanted.title} seed {chosen.next_seed}", chosen.hours)

    def _trial(self, planned: Planned) -> Trial:
        seed = planned.options.first_seed
        return next(
            (one, seed) for one in self.wanted if options(one, self._given.data, seed, self.out) == planned.options
        )


def _give_way(gpu: str | None) -> None:
    if gpu is None:
        os.nice(max(0, _LOWEST_PRIORITY - os.nice(0)))
        torch.set_num_threads(1)


def running_elsewhere(given: Evidence, out: Path, wanted: Sequence[Wanted]) -> set[Trial]:
    """Return the trials that other processes are running, judged by the commands that hold a lock in `out`."""
    held = lock.commands(out / "checkpoints")
    trials = ((group, seed) for group in wanted for seed in range(group.seeds)) if held else ()
    return {
        (group, seed)
        for group, seed in trials
        if recorded_command.command("run", options(group, given.data, seed, out)) in held
    }


def require(root: Path, wanted: Sequence[Wanted]) -> None:
    """Check before the first trial that all data sets exist.

    Raises:
        ValueError: data sets are missing; the message names them all.
    """
    names = dict.fromkeys(name for one in wanted for name in (one.data, one.weights) if name)
    absent = [str(root / name) for name in names if not (root / name).exists()]
    if absent:
        raise ValueError(f"--data {root}: missing {', '.join(absent)}")


def plan_table(standings: Sequence[Standing], chosen: Standing | None) -> Table:
    """Return the plan as a table: finished and planned trials, the gain so far, the gate, and the time left."""
    grid = Table(box=None, padding=(0, 2, 0, 0))
    words = ("", "group", "gate", "left")
    for heading in ("", "group", "n", "gain over control", "half the claim", "gate", "a trial", "left"):
        grid.add_column(heading, justify="left" if heading in words else "right")
    for standing in standings:
        grid.add_row("next" if standing is chosen else "", *_cells(standing))
    return grid


def _cells(standing: Standing) -> list[str]:
    wanted, gain = standing.wanted, standing.found
    others = [f", {len(of)} {what}" for of, what in ((standing.failed, "failed"), (standing.running, "running")) if of]
    cells = [wanted.title, f"{len(standing.have)} of {wanted.seeds}{''.join(others)}"]
    spread = "" if gain is None or gain.sd is None else f" ± {gain.sd:.2f}"
    cells += ["-" if gain is None else f"{gain.mean:+.2f}{spread}", f"{standing.target:.2f}"]
    cells.append(
        "-"
        if standing.gate is None
        else "holds"
        if standing.gate.holds
        else f"fails: {', '.join(standing.gate.failed)}"
    )
    missing = wanted.seeds - len(standing.have | standing.failed)
    left = duration(3600 * standing.hours * missing) if missing else "nothing"
    return [*cells, duration(3600 * standing.hours), left]


def _facts(standing: Standing) -> dict[str, Any]:
    """Return the state of a group for JSON."""
    wanted, gain = standing.wanted, standing.found
    return {
        "title": wanted.title,
        "row": wanted.row,
        "data": wanted.data,
        "arms": list(wanted.arms),
        "seeds": wanted.seeds,
        "finished": sorted(standing.have),
        "failed": sorted(standing.failed),
        "running": sorted(standing.running),
        "next_seed": standing.next_seed,
        "gain": None if gain is None else {"mean": gain.mean, "sd": gain.sd, "n": gain.n},
        "half_the_claim": standing.target,
        "gate": None if standing.gate is None else {"holds": standing.gate.holds, "failed": list(standing.gate.failed)},
        "hours_per_trial": standing.hours,
    }
