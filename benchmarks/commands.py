"""What the commands do, once the command line is parsed."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from types import ModuleType

import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID
from rich.table import Table

from benchmarks import figures, provenance, record, registry
from benchmarks import tables as tabulate
from benchmarks.arms import arm_plan, dense_schedule
from benchmarks.display import Display, duration
from benchmarks.learner import NonFiniteError
from benchmarks.options import Evaluate, Run
from benchmarks.plan import Plan, ended
from benchmarks.provenance import ROOT
from benchmarks.record import Record
from benchmarks.registry import DEFAULT_SEEDS, ROWS, Row
from benchmarks.stop import InterruptedTrial, Stop
from benchmarks.trial import Trial
from tasks import weights
from tasks.recipe import SCALES
from tasks.seed import derive
from tasks.task import Frozen, Progress, Task

CONSOLE = Console()
CONSOLE.soft_wrap = not CONSOLE.is_terminal  # a log keeps its lines whole


def run(options: Run) -> int:
    """Train a row's trials, write their records, tables and figures, and print the table."""
    stop = Stop()  # before anything slow: whoever started this process may be gone by the end of verification
    row = registry.row(options.row)
    if (options.seeds is not None and options.seeds < 1) or options.first_seed < 0:
        raise ValueError(
            f"--seeds {options.seeds} --first-seed {options.first_seed}: at least one seed, counted from 0"
        )
    if "control" not in options.arms or len(set(options.arms)) != len(options.arms):
        raise ValueError(
            f"--arms {' '.join(options.arms)}: name control, which gains are measured against, and each arm once"
        )
    recipe = row.recipe(options.scale, options.sparsity, options.lr_factor)
    frozen = _frozen(row, options)
    out = options.out or Path("runs" if options.scale == "smoke" else "results")
    device = _device(options.device)
    data = _data(row, options.data, options.scale)
    dense = weights.read(options.dense) if options.dense else None
    origin = provenance.read(device)
    _probe(out)
    _say(f"{row.name} ({row.title}) at {options.scale} scale on {_device_name(device)}, data: {data.name}")
    if recipe.reduction:
        _say(f"reduction: {recipe.reduction}")
    domain = _domain(row)
    with ProgressBar(console=CONSOLE, transient=True) as bar:
        source = domain.open_data(recipe, data, options.subset, _progress(bar), **frozen)
    for warning in source.report.warnings:
        _say(f"warning: {warning}")
    _say(f"data verified: {_counts(source.report.counts)}, fingerprint {source.report.fingerprint}")
    if source.report.features:
        _say(f"features: {source.report.features}")
    # What is the recipe's own changes nothing, and is not custom.
    own = row.recipe(options.scale).hash()
    custom = []
    if row.recipe(options.scale, sparsity=options.sparsity).hash() != own:
        custom.append(f"sparsity={options.sparsity}")
    if row.recipe(options.scale, lr_factor=options.lr_factor).hash() != own:
        custom.append(f"lr_factor={options.lr_factor}")
    plans = [
        Plan(
            row=row,
            scale=options.scale,
            recipe=recipe,
            seed=options.first_seed + number,
            arms=options.arms,
            custom=tuple(custom),
            command=provenance.command("run", options),
            out=out,
            device=device,
            provenance=origin,
            dense=dense,
            save_weights=options.save_weights,
        )
        for number in range(options.seeds or DEFAULT_SEEDS[options.scale])
    ]
    tasks = [domain.build(recipe, source, plan.stream(), device, options.workers) for plan in plans]
    spe = tasks[0].steps_per_epoch()
    per_trial = (0 if dense else dense_schedule(recipe).boundaries(spe)[-1]) + sum(
        arm_plan(recipe, arm, spe).schedule.boundaries(spe)[-1] for arm in options.arms
    )
    if dense:
        dense.load_into(tasks[0].model())  # what does not fit is found here, not after somebody has gone home
    written: list[Path] = []
    try:
        with stop, Display(CONSOLE, per_trial * len(plans), row.metric, recipe.batch_size) as display:
            return _trials(list(zip(plans, tasks, strict=True)), options.fresh, per_trial, display, stop, written)
    finally:
        if written:
            _conclude(row, out, written)


def _trials(
    trials: list[tuple[Plan, Task]], fresh: bool, arm_steps: int, display: Display, stop: Stop, written: list[Path]
) -> int:
    """Run one trial after another, adding finished records to `written`; return the exit status."""
    status = 0
    for plan, task in trials:
        before = None if fresh or plan.checkpoint(task).exists() else ended(plan, task)
        if before is not None:
            path, found = before
            display.skip(arm_steps)
            if found.status == "failed":
                display.say(f"seed {plan.seed}: failed before, {path} (--fresh runs it again)")
                status = 1
                continue
            if plan.save_weights and not plan.weights(task, plan.arms[0]).exists():
                raise ValueError(f"seed {plan.seed} finished before, {path}, without --save-weights; add --fresh")
            display.say(f"seed {plan.seed}: finished before, {path} (--fresh runs it again)")
            written.append(path)
            continue
        display.trial(f"seed {plan.seed}")
        trial = Trial(plan, task, display, stop, fresh)
        try:
            written.append(trial.run())
            display.say(f"seed {plan.seed}: record {written[-1]}")
        except InterruptedTrial as interrupted:
            same = "the same command, without --fresh," if fresh else "the same command"
            display.say(f"stopped ({interrupted.reason}); {trial.path} holds everything: {same} goes on from there")
            return 130 if interrupted.reason == "SIGINT" else 143
        except NonFiniteError as error:
            display.say(f"seed {plan.seed} failed: {error}")
            status = 1
    return status


def tables(folder: Path, check: bool) -> int:
    """Make (or, with `check`, compare) everything that follows from the records in `folder`."""
    if folder.name != "records" or not folder.is_dir():
        raise ValueError(f"--records {folder}: expected a folder called records; the tables are written beside it")
    out = folder.parent
    found = record.read_all(folder)
    if not check:
        drawn = _publish(out, found)
        _say(f"{len(found)} records: wrote {out / 'README.md'}, {out / 'tables'}, {drawn} figures")
        return 0
    stale = [str(out / name) for name in tabulate.check(out, found)]
    front = _front_page(out)
    if front is not None and front.read_text(encoding="utf-8") != _with_headline(front, found):
        stale.append(front.name)
    for name in stale:
        _say(f"stale: {name}")
    _say("run `nox -s tables` and commit what changes" if stale else f"{len(found)} records: the tables are theirs")
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
    with ProgressBar(console=CONSOLE, transient=True) as bar:
        report = _domain(row).verify(_data(row, data, "smoke"), subset, _progress(bar))
    for kind, sentences in (("problem", report.problems), ("warning", report.warnings)):
        for sentence in sentences:
            _say(f"{kind}: {sentence}")
    _say(f"{report.name}: {_counts(report.counts)}; fingerprint {report.fingerprint}")
    full = {"train": row.train_examples, "test": row.test_examples}
    # Of speech, the folders that a set has are checked one by one.
    whole = {"imagenet": report.counts.get("classes") == 1000, "flickr8k": not report.synthetic}.get(row.domain, False)
    if whole and subset == 1 and any(report.counts[key] != full[key] for key in full):
        _say(f"warning: {row.dataset} has {_counts(full)}; some files are missing or extra")
    _say("not usable" if report.problems else f"usable for {row.name}")
    return 1 if report.problems else 0


def status(out: Path | None) -> int:
    """Print what there is of every row: finished seeds, failures, and checkpoints from which a run goes on."""
    folders = [out] if out else [Path("results"), Path("runs")]
    table = Table("row", "scale", "data", "finished seeds", "failed", "unfinished", box=None, padding=(0, 2, 0, 0))
    found = [one for folder in folders for one in record.read_all(folder / "records")]
    unfinished = [path.parent.name for folder in folders for path in sorted(folder.glob("checkpoints/*/trial.pt"))]
    for name in ROWS:
        for scale in SCALES:
            trials = [one for one in found if (one.row, one.scale) == (name, scale)]
            waiting = [key for key in unfinished if key.startswith(f"{name}-{scale}-")]
            for data in sorted({one.data.name for one in trials}) or ([""] if waiting else []):
                mine = [one for one in trials if one.data.name == data]
                seeds = sorted({one.seed for one in mine if one.status == "finished"})
                failed = sum(one.status == "failed" for one in mine)
                cells = (", ".join(map(str, seeds)) or "-", str(failed), ", ".join(waiting) or "-")
                table.add_row(name, scale, escape(data), *cells)
        if not any(one.row == name for one in found) and not any(key.startswith(name) for key in unfinished):
            table.add_row(name, "-", "-", "-", "-", "-")
    CONSOLE.print(table)
    return 0


def evaluate(options: Evaluate) -> int:
    """Print a network's scores under a row's protocol."""
    row = registry.row(options.row)
    given = weights.read(options.model)
    scale = options.scale if options.data else "smoke"
    frozen = _frozen(row, options)
    recipe = row.recipe(scale)
    domain = _domain(row)
    with ProgressBar(console=CONSOLE, transient=True) as bar:
        data = _data(row, options.data, scale)
        source = domain.open_data(recipe, data, 1.0, _progress(bar), train=False, **frozen)
    task = domain.build(recipe, source, derive(row.name, scale, 0), _device(options.device), None)
    model = task.model()
    given.load_into(model)
    result = task.evaluate(model, True)
    for name, value in result.metrics.items():
        _say(f"{name} {value:.3f}")
    _say(f"{given.source} (SHA-256 {given.sha256[:12]}) on {len(result.outcomes):,} test examples, {scale} protocol")
    return 0


def _conclude(row: Row, out: Path, written: list[Path]) -> None:
    """Print the table of the trials just run, where everything is, what it cost and what to do next."""
    found = record.read_all(out / "records")
    _publish(out, found)
    ids = {path.stem for path in written}
    mine = [one for one in found if one.id in ids]
    CONSOLE.print()
    CONSOLE.print(tabulate.terminal(mine, row.name))
    seconds, samples, steps = (sum(getattr(one.cost, what) for one in mine) for what in ("seconds", "samples", "steps"))
    _say(f"cost: {duration(seconds)}, {samples:,} samples seen by {steps:,} optimizer steps")
    _say(f"saved: {out / 'records'} (records), {out / 'README.md'} and {out / 'tables'} (tables), {out / 'figures'}")
    if mine[0].data.synthetic:
        frozen = " --network NAME --weights FILE" if row.frozen else ""
        _say(
            f"this was generated data: it shows that the suite runs, not what DSD does. On real data ({row.layout}):\n"
            f"  a recipe for small data:  nox -s {row.name} -- --scale small --data DIR{frozen}\n"
            f"  the published recipe:     nox -s {row.name} -- --scale paper --data DIR"
        )


def _say(text: str) -> None:
    """Print a line as it is: file names may hold what rich would take for markup."""
    CONSOLE.print(text, highlight=False, markup=False)


def _probe(out: Path) -> None:
    """Find out now, not after training, that the folder cannot be written, is somebody else's or holds a bad record."""
    out.mkdir(parents=True, exist_ok=True)
    tabulate.refuse_foreign(out / "README.md")
    record.read_all(out / "records")
    with tempfile.TemporaryFile(dir=out):
        pass


def _domain(row: Row) -> ModuleType:
    return importlib.import_module(f"tasks.{row.domain}.task")


def _frozen(row: Row, options: Run | Evaluate) -> dict[str, Frozen]:
    """Return what `open_data` is told of the frozen network, where the row has one."""
    if row.frozen:
        return {"frozen": Frozen(options.network, options.weights, str(_device(options.device)))}
    if options.network or options.weights:
        with_one = ", ".join(one.name for one in ROWS.values() if one.frozen)
        raise ValueError(
            f"--weights and --network name a frozen network, and {row.name} has none; rows with one: {with_one}"
        )
    return {}


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
