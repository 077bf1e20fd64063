"""The command `evidence`: show the plan and run its missing trials."""

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
    """Show the state of every group and, without `--plan`, run the missing trials until none is left or time is up.

    Several processes with the same `out` share the work: no two run the same trial. On a CPU each process runs at the lowest
    priority and on one thread.

    Returns 1 if a trial failed. A failure does not stop the remaining trials.

    Raises:
        ValueError: a required data set is missing, a row does not exist, or a trial left no record that counts.
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
            say("every planned trial that may start has finished" + (" or is running" if running else ""))
            return int(failures > 0)
        spent = (time.monotonic() - began) / 3600
        if given.plan or (given.hours is not None and spent + chosen.hours > given.hours):
            return int(failures > 0)
        assert chosen.next_seed is not None, "a group without a next seed is never chosen"
        if (chosen.wanted, chosen.next_seed) == last:
            raise ValueError(
                f"seed {chosen.next_seed} of {chosen.wanted.title} ran but left no record that counts in {folder}"
            )
        last = chosen.wanted, chosen.next_seed
        try:
            status = run.run(options(chosen.wanted, given.data, chosen.next_seed, out))
        except lock.TakenError as error:  # another process took it, perhaps started with other options
            say(str(error))
            refused.add(last)
            continue
        if status not in (0, 1):  # interrupted or invalid
            return status
        failures += status


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
    left = (
        f"waits: {wanted.waits}"
        if wanted.waits
        else duration(3600 * standing.hours * missing)
        if missing
        else "nothing"
    )
    return [*cells, duration(3600 * standing.hours), left]
