"""The command `run`: run trials in sequence, write their records, and update the tables."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from benchmarks import rows
from benchmarks.analysis.results import results
from benchmarks.arms.arm import dense_schedule
from benchmarks.arms.registry import arm_plan
from benchmarks.cli import named_inputs, option_checks, recorded_command
from benchmarks.cli.console import CONSOLE, bars, counts, progress, say, show
from benchmarks.cli.display import Display, duration
from benchmarks.cli.options import Run
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.reporting import pages, results_folder, terminal
from benchmarks.rows import DEFAULT_SEEDS
from benchmarks.training import determinism, provenance
from benchmarks.training.interruption import REASONS, InterruptedTrial, Stop
from benchmarks.training.learner import NonFiniteError
from benchmarks.training.plan import Plan, ended
from benchmarks.training.provenance import Provenance
from benchmarks.training.trial import Trial
from tasks import distributed, pretrained
from tasks.mixed_precision import train_in_bfloat16
from tasks.options import PRECISION
from tasks.pretrained import Weights
from tasks.recipe import Recipe
from tasks.row import Row
from tasks.task import Source, Task


@dataclass(frozen=True)
class Outcome:
    """The result of a run: the exit status of the command, and the paths of the records of its finished trials, by seed."""

    status: int
    records: tuple[Path, ...]


def run(options: Run) -> int:
    """Train as `train` does and return the exit status."""
    return train(options).status


def train(options: Run) -> Outcome:
    """Train a row's trials, write records, tables and figures, and print the table. Works alone or under `torchrun`.

    Raises:
        ValueError: an option or the data cannot be used, or another process is running a trial (`lock.TakenError`).
        OSError: a file cannot be written, or a loader process ended.
    """
    option_checks.run(options)
    with distributed.joined(named_inputs.device(options.device)):
        CONSOLE.quiet = not distributed.is_rank_zero()
        return _train(options)


def _train(options: Run) -> Outcome:
    stop = Stop()  # before anything slow: the signal handlers must be set while the parent process still exists
    asked = ask(options)
    row, recipe, dense, device = asked.row, asked.recipe, asked.dense, asked.device
    out = option_checks.folder(options)
    origin = provenance.read(device, asked.autocast)
    _probe(out)
    if origin.warning:
        say(f"warning: {origin.warning}")
    source = open_source(options, asked)
    plans = make_plans(options, asked, origin)
    tasks = [build(options, asked, source, plan) for plan in plans]
    spe = tasks[0].steps_per_epoch()
    per_trial = (0 if dense else dense_schedule(recipe).boundaries(spe)[-1]) + sum(
        arm_plan(recipe, arm, spe).schedule.boundaries(spe)[-1] for arm in options.arms
    )
    if dense:
        dense.load_into(tasks[0].model())  # fail now if it does not fit, not hours later
    written: list[Path] = []
    try:
        shown = Display(CONSOLE, per_trial * len(plans), row.metric, recipe.batch_size)
        with determinism.demanded(device) as met, stop, shown as display:
            trials = list(zip(plans, tasks, strict=True))
            status = _trials(trials, options.fresh, per_trial, display, stop, met, written)
            return Outcome(status, tuple(written))
    finally:
        if written and distributed.is_rank_zero():
            _conclude(row, out, written)


@dataclass(frozen=True)
class Asked:
    """The checked inputs that a run's options name.

    `dense` is the given network to start from, if any; `autocast`: whether networks compute in bfloat16.
    """

    row: Row
    recipe: Recipe
    device: torch.device
    data: Path
    dense: Weights | None
    autocast: bool


def ask(options: Run) -> Asked:
    """Resolve and check the inputs that `options` name. Makes the generated data set if needed.

    Raises:
        ValueError: an option is invalid, alone or in combination.
    """
    option_checks.run(options)
    row = rows.row(options.row)
    own = option_checks.own(row, options)
    recipe = option_checks.recipe_of(row, options)
    device = named_inputs.device(options.device)
    named_inputs.require_parts(recipe, distributed.world_size())
    data = distributed.rank_zero_first(lambda: named_inputs.data(row, options.data))
    dense = pretrained.read(options.dense) if options.dense else None
    return Asked(row, recipe, device, data, dense, own.get(PRECISION.name) == "bfloat16")


def build(options: Run, asked: Asked, source: Source, plan: Plan) -> Task:
    """Return the task of one trial."""
    task = named_inputs.domain(asked.row).build(asked.recipe, source, plan.stream(), asked.device, options.workers)
    if asked.autocast:
        train_in_bfloat16(task, asked.device)
    return task


def open_source(options: Run, asked: Asked) -> Source:
    """Verify and load the data, and print a summary.

    Raises:
        ValueError: the data cannot be used, or the given dense network was trained on other data.
    """
    row, recipe = asked.row, asked.recipe
    several = f", {distributed.world_size()} processes" if distributed.world_size() > 1 else ""
    on = named_inputs.device_name(asked.device) + several
    say(f"{row.name} ({row.title}) at {options.scale} scale on {on}, data: {asked.data.name}")
    if recipe.reduction:
        say(f"reduction: {recipe.reduction}")
    with bars() as bar:
        source = named_inputs.open_data(row, recipe, asked.data, options, progress(bar))
    for warning in source.report.warnings:
        say(f"warning: {warning}")
    say(f"data verified: {counts(source.report.counts)}, fingerprint {source.report.fingerprint}")
    if source.report.features:
        say(f"features: {source.report.features}")
    if asked.dense:
        named_inputs.require_same_data(row, asked.dense, source.report)
    return source


def make_plans(options: Run, asked: Asked, origin: Provenance) -> list[Plan]:
    """Return one plan per seed."""
    return [
        Plan(
            row=asked.row,
            scale=options.scale,
            recipe=asked.recipe,
            seed=options.first_seed + number,
            arms=options.arms,
            custom=named_inputs.custom(asked.row, options),
            command=recorded_command.command("run", options),
            out=option_checks.folder(options),
            device=asked.device,
            provenance=origin,
            dense=asked.dense,
            save_weights=options.save_weights,
        )
        for number in range(options.seeds or DEFAULT_SEEDS[options.scale])
    ]


def _trials(
    trials: list[tuple[Plan, Task]],
    fresh: bool,
    arm_steps: int,
    display: Display,
    stop: Stop,
    met: set[str],
    written: list[Path],
) -> int:
    """Run the trials in sequence and add finished records to `written`; return the exit status."""
    status = 0
    for plan, task in trials:
        before = distributed.on_rank_zero(partial(ended_before, plan, task, fresh))
        if before is not None:
            path, record = before
            display.skip(arm_steps)
            if record.status == "failed":
                display.say(f"seed {plan.seed}: already failed, {path} (--fresh runs it again)")
                status = 1
                continue
            if plan.save_weights and not plan.weights(task, plan.arms[0]).exists():
                raise ValueError(f"seed {plan.seed} already finished without --save-weights, {path}; add --fresh")
            display.say(f"seed {plan.seed}: already finished, {path} (--fresh runs it again)")
            written.append(path)
            continue
        display.trial(f"seed {plan.seed}")
        trial = Trial(plan, task, display, stop, fresh, met)
        try:
            written.append(trial.run())
            display.say(f"seed {plan.seed}: record {written[-1]}")
        except InterruptedTrial as interrupted:
            same = "the same command, without --fresh," if fresh else "the same command"
            display.say(f"stopped ({interrupted.reason}); progress is saved in {trial.path}; {same} resumes from there")
            return REASONS[interrupted.reason]
        except NonFiniteError as error:
            display.say(f"seed {plan.seed} failed: {error}")
            status = 1
    return status


def ended_before(plan: Plan, task: Task, fresh: bool) -> tuple[Path, Record] | None:
    """Return the record of a trial that has ended, with its path. None if the trial must run: with `fresh` or a checkpoint."""
    return None if fresh or plan.checkpoint(task).exists() else ended(plan, task)


def _conclude(row: Row, out: Path, written: list[Path]) -> None:
    """Print the table of the trials just run, their cost, the paths of all outputs and the next steps."""
    records, _ = results_folder.publish(out)
    ids = {path.stem for path in written}
    new = [record for record in records if record.id in ids]
    CONSOLE.print()
    show(terminal.terminal(pages.end_of_run(row.name, results(new))))
    seconds, samples, steps = (
        sum(getattr(record.cost, what) for record in new) for what in ("seconds", "samples", "steps")
    )
    say(f"cost: {duration(seconds)}, {samples:,} samples in {steps:,} optimizer steps")
    say(f"saved: {out / 'records'} (records), {out / 'README.md'} and {out / 'tables'} (tables), {out / 'figures'}")
    if new[0].data.synthetic:
        more = f" {row.small_flags}" if row.small_flags else ""
        say(
            f"this run used generated data: it tests the suite, not DSD. On real data ({row.layout}):\n"
            f"  a recipe for small data:  nox -s {row.name} -- --scale small --data DIR{more}\n"
            f"  the published recipe:     nox -s {row.name} -- --scale paper --data DIR"
        )


def _probe(out: Path) -> None:
    """Check before training that the folder is writable, was made by this suite and has no bad record."""
    out.mkdir(parents=True, exist_ok=True)
    results_folder.refuse_foreign(out / "README.md")
    store.read_all(out / "records")
    for folder in (out, out / "records", out / "outputs", out / "checkpoints"):
        if folder.exists():
            with tempfile.TemporaryFile(dir=folder):
                pass
