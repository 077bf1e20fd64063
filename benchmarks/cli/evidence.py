"""The command `evidence`: shows the plan and runs its missing trials."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.analysis.planning import Standing, Trial, following, stand
from benchmarks.cli import recorded_command, run
from benchmarks.cli.console import say, show
from benchmarks.cli.display import duration
from benchmarks.cli.options import Evidence, Run
from benchmarks.evidence_plan import WANTED, Wanted
from benchmarks.records import store
from benchmarks.rows import ROWS, row
from benchmarks.training import lock

_LOWEST_PRIORITY = 19


def options(wanted: Wanted, root: Path, seed: int, out: Path | None) -> Run:
    """Return what `run` is to be told; the first seed keeps its weights."""
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
        standings = stand(store.read_all(folder) if folder.is_dir() else [], chosen_rows, running, gpu)
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
            status = run.run(options(chosen.wanted, given.data, chosen.next_seed, out))
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
        (one, seed)
        for one, seed in trials
        if recorded_command.command("run", options(one, given.data, seed, out)) in found
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
