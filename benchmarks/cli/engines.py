"""Run the trials of a queue in this process or by an engine, or show what would run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.table import Table

from benchmarks.campaign import local
from benchmarks.campaign import trial as trials
from benchmarks.campaign.submit import submit
from benchmarks.campaign.trial import Resources, Result, Trial
from benchmarks.cli import recorded_command, run
from benchmarks.cli.console import say, show, write_json
from benchmarks.cli.display import duration
from benchmarks.cli.options import Evidence, Run
from benchmarks.training import lock
from benchmarks.training.lock import TAKEN

_END = 2**16  # bytes of a log that are searched for an error


@dataclass(frozen=True)
class Planned:
    """A trial to run. `hours` is its expected duration; None if it is unknown."""

    options: Run
    title: str
    hours: float | None


class Queue(Protocol):
    """The trials of a plan or a campaign, in order.

    `out` is their output folder, `resources` what each needs, `slurm` further options of sbatch, `price` the cost of one
    trial-hour.
    """

    @property
    def out(self) -> Path: ...  # noqa: D102

    @property
    def resources(self) -> Resources: ...  # noqa: D102

    @property
    def slurm(self) -> Mapping[str, Any]: ...  # noqa: D102

    @property
    def price(self) -> float | None: ...  # noqa: D102

    def next(self) -> Planned | None:
        """Return the trial to start now; None if no more trials may start."""

    def ended(self, trial: Planned, status: int) -> None:
        """Update the state after a trial has ended with the exit status `status`."""

    def left(self) -> list[Planned]:
        """Return the trials that would be submitted, in order."""

    def table(self) -> Table:
        """Return the state of the plan as a table."""

    def facts(self) -> dict[str, Any]:
        """Return the state of the plan for JSON."""


def show_plan(queue: Queue, given: Evidence) -> None:
    """Print the plan, or the trials that would be submitted, and their time and cost."""
    left = queue.left()
    if given.json:
        jobs = [{"title": one.title, "hours": one.hours, "command": _command(one)} for one in left]
        write_json({**queue.facts(), "trials": jobs, "total": _total(queue, left, given.jobs)})
        return
    if given.plan:
        show(queue.table())
    if given.dry_run:
        for one in left:
            words = recorded_command.words("run", one.options, whole_paths=True)
            say(f"{one.title} ({_time(one.hours)}): python -m benchmarks {shlex.join(words)}")
    say(_sentence(queue, left, given))


def run_all(queue: Queue, given: Evidence, inline: bool) -> int:
    """Run the trials of the queue and return the exit status.

    Args:
        queue: the trials.
        given: the options of the command.
        inline: whether trials run one after another in this process, not each in its own process.
    """
    worst = 0
    failures = 0
    by_trial: dict[Trial, Planned] = {}

    def pulled() -> Iterator[Planned]:
        while not worst and (planned := queue.next()) is not None:
            yield planned

    def submitted() -> Iterator[Trial]:
        for planned in pulled():
            one = as_trial(planned, queue.resources, queue.out)
            by_trial[one] = planned
            if given.backend == "local":
                say(f"{planned.title}: starts, log {one.log}")
            yield one
            if given.backend != "local":
                queued = " or already in the queue" if given.backend == "submitit" else ""
                say(f"{planned.title}: submitted{queued}, log {one.log}")

    def engine() -> Iterator[tuple[Planned, int]]:
        gpus = gpus_for(queue.resources, given.jobs) if given.backend == "local" else []
        folder = queue.out.absolute() / "jobs"
        for result in submit(submitted(), given.backend, jobs=given.jobs, gpus=gpus, folder=folder, slurm=queue.slurm):
            say(_ending(result))
            yield by_trial[result.trial], result.status

    for planned, status in _inline(pulled()) if inline else engine():
        if status not in (0, 1, TAKEN) and status >= 0:  # interrupted or invalid: start no more trials
            worst = worst or status
            continue
        failures += status not in (0, TAKEN)
        queue.ended(planned, status)
    return worst or int(failures > 0)


def _inline(planned: Iterator[Planned]) -> Iterator[tuple[Planned, int]]:
    for one in planned:
        try:
            status = run.run(one.options)
        except lock.TakenError as error:  # another process runs it, perhaps one started with other options
            say(str(error))
            status = TAKEN
        yield one, status


def as_trial(planned: Planned, resources: Resources, out: Path) -> Trial:
    """Return the trial in the form that engines run: a command, and a log in `out`."""
    options = planned.options
    log = out.absolute() / "logs" / f"{options.row}-{options.scale}-seed{options.first_seed}.log"
    return Trial(planned.title, tuple(_command(planned)), log, resources, planned.hours)


def _command(planned: Planned) -> list[str]:
    return [*trials.PROGRAM, *recorded_command.words("run", planned.options, whole_paths=True)]


def gpus_for(resources: Resources, jobs: int) -> list[str]:
    """Return the GPUs of this machine for `jobs` trials at a time; none if they need none.

    Raises:
        ValueError: there are too few.
    """
    if resources.gpus == 0:
        return []
    count = torch.cuda.device_count()
    if jobs * resources.gpus > count:
        raise ValueError(f"--jobs {jobs}: trials that need {resources.gpus:g} GPUs each, and {count} GPUs here")
    return local.visible_gpus(count)


def _ending(result: Result) -> str:
    """Return the line about a trial that has ended."""
    ends = {0: "finished", 1: "failed", 2: "invalid input", TAKEN: "another process is running it, or has just run it"}
    status = result.status
    how = ends.get(status) or (
        f"killed by signal {-status}" if status < 0 else f"stopped by signal {status - 128}; it resumes"
    )
    where = f" on {result.host}" if result.host else ""
    starts = f", started {result.starts} times" if result.starts > 1 else ""
    what = result.reason or f"{how}{where} after {duration(result.seconds)}"
    error = _error(result.trial.log) if status in (1, 2) else None
    return f"{result.trial.title}: {what}{starts}" + (f": {error}" if error else "")


def _error(log: Path) -> str | None:
    """Return the last line in a trial's log that says why it failed; None if there is none."""
    if not log.exists():
        return None
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _END))
        lines = file.read().decode(errors="replace").splitlines()
    return next(
        (line for line in reversed(lines) if re.match(r"[\w.]*error: |seed \d+ failed: ", line, re.IGNORECASE)), None
    )


def _time(hours: float | None) -> str:
    return "time unknown" if hours is None else duration(3600 * hours)


def _total(queue: Queue, left: Sequence[Planned], jobs: int) -> dict[str, Any]:
    known = [one.hours for one in left if one.hours is not None]
    return {
        "trials": len(left),
        "trials_of_unknown_time": len(left) - len(known),
        "hours": sum(known),
        "hours_here": sum(known) / jobs,
        "gpu_hours": sum(known) * queue.resources.gpus,
        "core_hours": sum(known) * queue.resources.cpus,
        "cost": None if queue.price is None else sum(known) * queue.price,
    }


def _sentence(queue: Queue, left: Sequence[Planned], given: Evidence) -> str:
    """Return the line about the time and cost of what is left."""
    total, needs = _total(queue, left, given.jobs), queue.resources
    cores = f"{needs.cpus} core{'s' * (needs.cpus > 1)}" + (f" and {needs.gpus:g} GPU" if needs.gpus else "")
    parts = [f"left: {len(left)} trial{'s' * (len(left) != 1)}, each on {cores}"]
    if unknown := total["trials_of_unknown_time"]:
        parts.append(f"{unknown} of them of unknown time (`estimate` measures it)")
    if unknown < len(left):
        unit = f"{total['gpu_hours']:,.1f} GPU-hours" if needs.gpus else f"{total['core_hours']:,.1f} core-hours"
        parts.append(unit)
        if given.backend == "local":
            parts.append(f"{duration(3600 * total['hours_here'])} with {given.jobs} at a time")
        if total["cost"] is not None:
            parts.append(f"cost {total['cost']:,.2f}")
    return ", ".join(parts)
