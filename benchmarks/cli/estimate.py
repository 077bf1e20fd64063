"""The command `estimate`: what a run would take in time, disk and memory, from a probe, before anything is started."""

from __future__ import annotations

import time
from pathlib import Path

from rich import filesize
from rich.table import Table

from benchmarks.cli import named_inputs, option_checks, run
from benchmarks.cli.console import bars, progress, say, show
from benchmarks.cli.display import PHASES, duration
from benchmarks.cli.options import Estimate
from benchmarks.training import determinism, provenance, timing
from benchmarks.training.cost import Total, phases, trial
from benchmarks.training.learner import NonFiniteError
from benchmarks.training.timing import Probe
from tasks.data.cache import cache_dir


def estimate(options: Estimate) -> int:
    """Print what `run` with these options would take; return 1 where training breaks down in the probe.

    Raises:
        ValueError: an option or the data cannot be used.
    """
    asked = run.ask(options)
    before = _size(cache_dir())
    run.open_source(options, asked)
    if (grown := _size(cache_dir()) - before) > 0:
        say(f"left in the cache, where the run finds it: {filesize.decimal(grown)} in {cache_dir()}")
    started = time.perf_counter()  # again: this time as the run will find it, verified and with its features extracted
    with bars() as bar:
        source = named_inputs.open_data(asked.row, asked.recipe, asked.data, options, progress(bar))
    opening = time.perf_counter() - started
    plans = run.make_plans(options, asked, provenance.read(asked.device, asked.autocast))
    task = run.build(options, asked, source, plans[0])
    left = [plan for plan in plans if run.ended_before(plan, task, options.fresh) is None]
    if len(left) < len(plans):
        say(f"{len(plans) - len(left)} of {len(plans)} trials ended before and are not counted (--fresh counts them)")
    if not left:
        return 0
    if any(plan.checkpoint(task).exists() for plan in left):
        say("a trial that would go on from its checkpoint is counted from its beginning")
    out = option_checks.folder(options).absolute()
    existing = next(parent for parent in (out, *out.parents) if parent.is_dir())
    inner = any(evaluations > 1 for _, evaluations in phases(task, asked.recipe.schedule))
    say(
        f"timing batches, {timing.STEPS} steps, evaluations, a checkpoint and a bootstrap: minutes, where steps are slow"
    )
    try:
        with determinism.demanded(asked.device), bars() as bar:
            found = timing.measure(task, options.arms, asked.dense, plans[0].stream(), inner, existing, progress(bar))
    except NonFiniteError as error:
        say(f"the probe failed: {error}")
        return 1
    one = trial(found, task, options.arms, given=asked.dense is not None, save_weights=options.save_weights)
    show(table(one))
    for line in sentences(found, one, len(left), opening, named_inputs.device_name(asked.device)):
        say(line)
    return 0


def table(one: Total) -> Table:
    """Return the table of a trial's parts, at most 80 columns wide."""
    found = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("phase", "arm", "steps", "evaluations", "time"):
        found.add_column(heading, justify="left" if heading in ("phase", "arm") else "right", no_wrap=True)
    for part in one.parts:
        found.add_row(PHASES[part.phase], part.arm, f"{part.steps:,}", f"{part.evaluations:,}", duration(part.seconds))
    found.add_row("checkpoints", "", "", "", duration(one.checkpoints))
    found.add_row("bootstrap", "", "", "", duration(one.resampling))
    found.add_row("one trial", "", "", "", duration(one.seconds))
    return found


def sentences(found: Probe, one: Total, trials: int, opening: float, where: str) -> list[str]:
    """Return what is said below the table: what was measured, and the total of so many trials."""
    milliseconds = [f"{1000 * seconds:,.1f} ms" for seconds in (found.dense, found.masked, found.loading)]
    memory = f"{filesize.decimal(one.host)} of memory, about"
    if one.device_memory:
        memory = f"{filesize.decimal(one.device_memory)} of GPU memory, {memory}"
    disk = 2 * one.checkpoint + trials * one.kept
    return [
        f"from {found.steps} steps: {milliseconds[0]} a step, {milliseconds[1]} with masks, {milliseconds[2]} to load a batch"
        + (" (ahead of its use)" if found.ahead else ""),
        f"disk: {filesize.decimal(one.checkpoint)} the checkpoint, twice while it is replaced; "
        f"{filesize.decimal(one.kept)} kept of a trial",
        f"total: {trials} trial{'s' * (trials > 1)} and {duration(opening)} to open the data: "
        f"about {duration(opening + trials * one.seconds)} on this machine ({where}), "
        f"{filesize.decimal(disk)} of disk, {memory}",
    ]


def _size(folder: Path) -> int:
    """Return the bytes of all files in `folder`; 0 where it is absent."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
