"""The command `estimate`: estimate the time, disk space and memory of a run from a short probe."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from rich import filesize
from rich.table import Table

from benchmarks.cli import named_inputs, option_checks, run
from benchmarks.cli.console import bars, progress, quiet, say, show, write_json
from benchmarks.cli.display import PHASES, duration
from benchmarks.cli.options import Estimate
from benchmarks.training import determinism, provenance, timing
from benchmarks.training.cost import Total, phases, trial
from benchmarks.training.learner import NonFiniteError
from benchmarks.training.timing import Probe
from tasks.data.cache import cache_dir


def estimate(options: Estimate) -> int:
    """Print the estimated cost of `run` with these options; return 1 if the probe meets a loss or gradient that is not finite.

    Raises:
        ValueError: an option or the data cannot be used.
    """
    with quiet(options.json):
        return _estimate(options)


def _estimate(options: Estimate) -> int:
    asked = run.ask(options)
    before = _size(cache_dir())
    run.open_source(options, asked)
    if (grown := _size(cache_dir()) - before) > 0:
        say(f"cached for the run: {filesize.decimal(grown)} in {cache_dir()}")
    started = time.perf_counter()  # time a second opening: the run will find the data verified and features cached
    with bars() as bar:
        source = named_inputs.open_data(asked.row, asked.recipe, asked.data, options, progress(bar))
    opening = time.perf_counter() - started
    plans = run.make_plans(options, asked, provenance.read(asked.device, asked.autocast))
    task = run.build(options, asked, source, plans[0])
    left = [plan for plan in plans if run.ended_before(plan, task, options.fresh) is None]
    if len(left) < len(plans):
        say(
            f"{len(plans) - len(left)} of {len(plans)} trials have already ended and are not counted (--fresh counts them)"
        )
    if not left:
        if options.json:
            write_json({"trials": 0, "seconds": 0.0})
        return 0
    if any(plan.checkpoint(task).exists() for plan in left):
        say("trials that would resume from a checkpoint are counted in full")
    out = option_checks.folder(options).absolute()
    existing = next(parent for parent in (out, *out.parents) if parent.is_dir())
    inner = any(evaluations > 1 for _, evaluations in phases(task, asked.recipe.schedule))
    say(
        f"timing batches, {timing.STEPS} steps, evaluations, a checkpoint and a bootstrap (takes minutes if steps are slow)"
    )
    try:
        with determinism.demanded(asked.device), bars() as bar:
            probe = timing.measure(task, options.arms, asked.dense, plans[0].stream(), inner, existing, progress(bar))
    except NonFiniteError as error:
        say(f"the probe failed: {error}")
        return 1
    total = trial(probe, task, options.arms, given=asked.dense is not None, save_weights=options.save_weights)
    if options.json:
        write_json(facts(probe, total, len(left), opening, named_inputs.device_name(asked.device)))
        return 0
    show(table(total))
    for line in sentences(probe, total, len(left), opening, named_inputs.device_name(asked.device)):
        say(line)
    return 0


def facts(probe: Probe, total: Total, trials: int, opening: float, where: str) -> dict[str, Any]:
    """Return the estimate for JSON: seconds and bytes. `trial` is one trial, the rest is for all `trials`."""
    return {
        "trials": trials,
        "seconds": opening + trials * total.seconds,
        "disk": 2 * total.checkpoint + trials * total.kept,
        "opening_seconds": opening,
        "device": where,
        "trial": {**dataclasses.asdict(total), "seconds": total.seconds},
        "probe": dataclasses.asdict(probe),
    }


def table(total: Total) -> Table:
    """Return a table of the parts of one trial and their times, at most 80 columns wide."""
    grid = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("phase", "arm", "steps", "evaluations", "time"):
        grid.add_column(heading, justify="left" if heading in ("phase", "arm") else "right", no_wrap=True)
    for part in total.parts:
        grid.add_row(PHASES[part.phase], part.arm, f"{part.steps:,}", f"{part.evaluations:,}", duration(part.seconds))
    grid.add_row("checkpoints", "", "", "", duration(total.checkpoints))
    grid.add_row("bootstrap", "", "", "", duration(total.resampling))
    grid.add_row("one trial", "", "", "", duration(total.seconds))
    return grid


def sentences(probe: Probe, total: Total, trials: int, opening: float, where: str) -> list[str]:
    """Return the lines below the table: what the probe measured, and the total for `trials` trials."""
    milliseconds = [f"{1000 * seconds:,.1f} ms" for seconds in (probe.dense, probe.masked, probe.loading)]
    memory = f"{filesize.decimal(total.host)} of memory, about"
    if total.device_memory:
        memory = f"{filesize.decimal(total.device_memory)} of GPU memory, {memory}"
    disk = 2 * total.checkpoint + trials * total.kept
    return [
        f"from {probe.steps} steps: {milliseconds[0]} per step, {milliseconds[1]} with masks, {milliseconds[2]} to load a batch"
        + (" (prefetched)" if probe.ahead else ""),
        f"disk: {filesize.decimal(total.checkpoint)} per checkpoint, twice that while it is replaced; "
        f"{filesize.decimal(total.kept)} kept per trial",
        f"total: {trials} trial{'s' * (trials > 1)} and {duration(opening)} to open the data: "
        f"about {duration(opening + trials * total.seconds)} on this machine ({where}), "
        f"{filesize.decimal(disk)} of disk, {memory}",
    ]


def _size(folder: Path) -> int:
    """Return the size in bytes of all files in `folder`; 0 if it does not exist."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
