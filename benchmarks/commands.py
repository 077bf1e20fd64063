"""What the commands do, once the command line is parsed."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import torch
from rich.console import Console
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID
from rich.table import Table

from benchmarks import figures, record, registry
from benchmarks import tables as tabulate
from benchmarks.arms import arm_plan, dense_schedule
from benchmarks.display import Display, duration
from benchmarks.learner import NonFiniteLossError
from benchmarks.options import Evaluate, Run
from benchmarks.provenance import ROOT
from benchmarks.provenance import command as command_line
from benchmarks.record import Record
from benchmarks.registry import DEFAULT_SEEDS, ROWS, Row
from benchmarks.stop import InterruptedTrial, Stop
from benchmarks.trial import Plan, Trial, finished
from tasks import weights
from tasks.recipe import SCALES
from tasks.seed import derive
from tasks.task import Progress

CONSOLE = Console(soft_wrap=True)


def run(options: Run, words: list[str]) -> int:
    """Train a row's trials, write their records, tables and figures, and print the table."""
    row = registry.row(options.row)
    if (options.seeds is not None and options.seeds < 1) or options.first_seed < 0:
        raise ValueError(
            f"--seeds {options.seeds} --first-seed {options.first_seed}: at least one seed, counted from 0"
        )
    if "control" not in options.arms or len(set(options.arms)) != len(options.arms):
        raise ValueError(
            f"--arms {' '.join(options.arms)}: name control, which gains are measured against, and each arm once"
        )
    recipe = row.recipe(options.scale, options.sparsity)
    out = options.out or Path("runs" if options.scale == "smoke" else "results")
    device = _device(options.device)
    data = _data(row, options.data, options.scale)
    dense = weights.read(options.dense) if options.dense else None
    count = options.seeds or DEFAULT_SEEDS[options.scale]
    seeds = range(options.first_seed, options.first_seed + count)
    arms = tuple(dict.fromkeys(options.arms))
    CONSOLE.print(
        f"[bold]{row.name}[/] ({row.title}) at {options.scale} scale on {_device_name(device)}, data: {data.name}"
    )
    if recipe.reduction:
        CONSOLE.print(f"reduction: {recipe.reduction}", highlight=False)
    domain = _domain(row)
    custom = (f"sparsity={options.sparsity}",) if options.sparsity is not None else ()
    plans = [
        Plan(
            row=row,
            scale=options.scale,
            recipe=recipe,
            seed=seed,
            arms=arms,
            custom=custom,
            command=command_line(words),
            out=out,
            device=device,
            dense=dense,
            save_weights=options.save_weights,
        )
        for seed in seeds
    ]
    with ProgressBar(console=CONSOLE, transient=True) as bar:
        source = domain.open_data(recipe, data, options.subset, _progress(bar))
    for warning in source.report.warnings:
        CONSOLE.print(f"[yellow]warning:[/] {warning}", highlight=False)
    CONSOLE.print(
        f"data verified: {_counts(source.report.counts)}, fingerprint {source.report.fingerprint}", highlight=False
    )
    tasks = [domain.build(recipe, source, plan.stream(), device, options.workers) for plan in plans]
    spe = tasks[0].steps_per_epoch()
    per_trial = (0 if dense else dense_schedule(recipe).boundaries(spe)[-1]) + sum(
        arm_plan(recipe, arm, spe).schedule.boundaries(spe)[-1] for arm in arms
    )
    written: list[Path] = []
    with Stop() as stop, Display(CONSOLE, per_trial * len(plans), row.metric, recipe.batch_size) as display:
        for plan, task in zip(plans, tasks, strict=True):
            done = finished(plan, task)
            if done is not None and not options.fresh:
                display.skip(per_trial)
                display.say(f"seed {plan.seed}: finished before, {done} (--fresh runs it again)")
                written.append(done)
                continue
            if options.fresh:
                plan.checkpoint(task).unlink(missing_ok=True)
            display.trial(f"seed {plan.seed}")
            trial = Trial(plan, task, display, stop)
            try:
                written.append(trial.run())
            except InterruptedTrial as interrupted:
                display.say(
                    f"stopped ({interrupted.reason}); {trial.path} holds everything: the same command goes on from there"
                )
                return 130 if interrupted.reason == "SIGINT" else 143
            except NonFiniteLossError as error:
                display.say(f"[red]seed {plan.seed} failed:[/] {error}")
                return 1
            display.say(f"seed {plan.seed}: record {written[-1]}")
    return _conclude(row, out, written)


def tables(folder: Path, check: bool) -> int:
    """Make (or, with `check`, compare) everything that follows from the records in `folder`."""
    out = folder.parent
    found = record.read_all(folder)
    if not check:
        drawn = _publish(out, found)
        CONSOLE.print(
            f"{len(found)} records: wrote {out / 'README.md'}, {out / 'tables'}, {drawn} figures", highlight=False
        )
        return 0
    stale = [str(out / name) for name in tabulate.check(out, found)]
    front = _front_page(out)
    if front is not None and front.read_text(encoding="utf-8") != _with_headline(front, found):
        stale.append(front.name)
    for name in stale:
        CONSOLE.print(f"stale: {name}", highlight=False)
    CONSOLE.print(
        "run `nox -s tables` and commit what changes" if stale else f"{len(found)} records: the tables are theirs"
    )
    return 1 if stale else 0


def _publish(out: Path, found: list[Record]) -> int:
    """Write tables, figures and, for the checkout's own results, the headline in its README; return the number of figures."""
    tabulate.write(out, found)
    front = _front_page(out)
    if front is not None:
        front.write_text(_with_headline(front, found), encoding="utf-8")
    return len(figures.write(out, found))


def _front_page(out: Path) -> Path | None:
    return ROOT / "README.md" if out.resolve() == ROOT / "results" else None


def _with_headline(front: Path, found: list[Record]) -> str:
    return tabulate.embed(front.read_text(encoding="utf-8"), tabulate.headline(found))


def verify(name: str, data: Path | None, subset: float) -> int:
    """Print what verification finds and return 1 if training would not start."""
    row = registry.row(name)
    recipe = row.recipe("small" if data else "smoke")
    with ProgressBar(console=CONSOLE, transient=True) as bar:
        report = _domain(row).verify(_data(row, data, "smoke"), subset, _progress(bar))
    for kind, sentences in (("problem", report.problems), ("warning", report.warnings)):
        for sentence in sentences:
            CONSOLE.print(f"{kind}: {sentence}", highlight=False)
    CONSOLE.print(f"{report.name}: {_counts(report.counts)}; fingerprint {report.fingerprint}", highlight=False)
    full = {"train": row.train_examples, "test": row.test_examples}
    if report.counts.get("classes") == 1000 and subset == 1 and any(report.counts[key] != full[key] for key in full):
        CONSOLE.print(f"warning: {row.dataset} has {_counts(full)}; some files are missing or extra", highlight=False)
    CONSOLE.print("not usable" if report.problems else f"usable for {row.name} ({recipe.network})", highlight=False)
    return 1 if report.problems else 0


def status(out: Path) -> int:
    """Print what there is of every row: finished seeds, failures, and checkpoints from which a run goes on."""
    found = record.read_all(out / "records")
    unfinished = [path.parent.name for path in sorted((out / "checkpoints").glob("*/trial.pt"))]
    table = Table("row", "scale", "data", "finished seeds", "failed", "unfinished", box=None, padding=(0, 2, 0, 0))
    for name in ROWS:
        for scale in SCALES:
            trials = [one for one in found if (one.row, one.scale) == (name, scale)]
            waiting = [key for key in unfinished if key.startswith(f"{name}-{scale}-")]
            for data in sorted({one.data.name for one in trials}) or ([""] if waiting else []):
                mine = [one for one in trials if one.data.name == data]
                seeds = sorted({one.seed for one in mine if one.status == "finished"})
                failed = sum(one.status == "failed" for one in mine)
                table.add_row(
                    name, scale, data, ", ".join(map(str, seeds)) or "-", str(failed), ", ".join(waiting) or "-"
                )
        if not any(one.row == name for one in found) and not any(key.startswith(name) for key in unfinished):
            table.add_row(name, "-", "-", "-", "-", "-")
    CONSOLE.print(table)
    return 0


def evaluate(options: Evaluate) -> int:
    """Print a network's scores under a row's protocol."""
    row = registry.row(options.row)
    given = weights.read(options.weights)
    scale = options.scale if options.data else "smoke"
    recipe = row.recipe(scale)
    domain = _domain(row)
    with ProgressBar(console=CONSOLE, transient=True) as bar:
        source = domain.open_data(recipe, _data(row, options.data, scale), 1.0, _progress(bar))
    task = domain.build(recipe, source, derive(row.name, scale, 0), _device(options.device), None)
    model = task.model()
    given.load_into(model)
    result = task.evaluate(model)
    for name, value in result.metrics.items():
        CONSOLE.print(f"{name} {value:.3f}", highlight=False)
    CONSOLE.print(
        f"{given.source} (SHA-256 {given.sha256[:12]}) on {len(result.outcomes):,} test examples", highlight=False
    )
    return 0


def _conclude(row: Row, out: Path, written: list[Path]) -> int:
    """Print the table of the trials just run, where everything is, what it cost and what to do next."""
    everything = record.read_all(out / "records")
    _publish(out, everything)
    mine = [record.read(path) for path in written]
    CONSOLE.print()
    CONSOLE.print(tabulate.terminal(mine, row.name))
    seconds = sum(one.cost.seconds for one in mine)
    samples = sum(one.cost.samples for one in mine)
    CONSOLE.print(
        f"cost: {duration(seconds)}, {samples:,} samples seen by {sum(one.cost.steps for one in mine):,} optimizer steps",
        highlight=False,
    )
    CONSOLE.print(
        f"saved: {out / 'records'} (records), {out / 'README.md'} and {out / 'tables'} (tables), {out / 'figures'}",
        highlight=False,
    )
    if mine[0].data.synthetic:
        CONSOLE.print(
            f"this was generated data: it shows that the suite runs, not what DSD does. On real data ({row.layout}):\n"
            f"  nox -s {row.name} -- --scale small --data DIR --seeds 5     64-pixel pictures, the recipe scaled down\n"
            f"  nox -s {row.name} -- --scale paper --data DIR               {row.dataset}, the published recipe",
            highlight=False,
        )
    return 0


def _domain(row: Row) -> ModuleType:
    return importlib.import_module(f"tasks.{row.domain}.task")


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def _data(row: Row, data: Path | None, scale: str) -> Path:
    if data is not None:
        return data
    if scale != "smoke":
        raise ValueError(f"--scale {scale} needs --data DIR with {row.layout}; only smoke makes its own data")
    embedded = _domain(row).embedded()
    assert isinstance(embedded, Path)
    return embedded


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _progress(bar: ProgressBar) -> Progress:
    """Return a callback (what, done, total) that drives `bar`."""
    ids: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in ids:
            ids[what] = bar.add_task(what, total=total)
        bar.update(ids[what], completed=done)

    return show
