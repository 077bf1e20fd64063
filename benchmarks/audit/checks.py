"""Whether a record's numbers agree with one another and with the files beside it: everything that can be known without training.

Each check recomputes a part of the record from the rest of it: masks from the sparsity, steps and rates from the recipe,
scores from the outcomes of the test examples, the bootstrap from its seed. The rules stand here a second time on purpose.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.arms.registry import ARMS
from benchmarks.audit import bootstrap, phases, weights
from benchmarks.records import naming, outputs, store
from benchmarks.records.outcomes import unpack_outcomes
from benchmarks.records.recipes import phases_of, recipe_of, runs_of, schedules_of
from benchmarks.records.schema import Arm, Record
from benchmarks.rows import ROWS, SUITE
from benchmarks.statistics.bootstrap import OUTCOME_SCALE, score
from dsd.masks import pruned_count

_TOLERANCE = 1e-5  # of a score in percent: one test example in a million
_SHOWN = 3


@dataclass(frozen=True)
class Finding:
    """What one check found; `detail` names what is wrong, what was looked at, or why there was nothing to look at."""

    check: str
    status: Literal["holds", "fails", "not applicable"]
    detail: str


Stale = Callable[[Path, list[Record]], list[str]]
"""Results folder and its records to the names of the files in it that are not what the records give."""


def audit_files(paths: Sequence[Path], stale_files: Stale) -> Iterator[tuple[Path, list[Finding]]]:
    """Yield each file and what was found in it, in the order given: a file that is no record has one finding."""
    stale: dict[Path, list[str] | str] = {}
    for path in paths:
        try:
            record = store.read(path)
        except ValueError as error:
            yield path, [Finding("file", "fails", str(error))]
            continue
        whole = Finding("file", "holds", f"schema {record.schema_version}, content hash, name")
        yield path, [whole, *audit(record), _outputs(path, record), _tables(path, record, stale, stale_files)]


def audit(record: Record) -> list[Finding]:
    """Return what every check of the record alone found; reads no file."""
    checks = (_identity, _recipe, _schedule, _masks, _clipping, _scores, _bootstrap, _curve, _cost)
    return [check(record) for check in checks]


def _identity(record: Record) -> Finding:
    """The id tells row, scale, seed, when it finished, and a digest of what decides the outcome."""
    problems = []
    if record.started > record.finished:
        problems.append(f"it started at {record.started}, after it finished at {record.finished}")
    when = record.finished.replace("-", "").replace(":", "").removesuffix("Z")
    name, _, stamp = record.id.rpartition("-")
    if not stamp.startswith(when):
        problems.append(f"the id ends in {stamp}, but it finished at {record.finished}")
    if record.status == "finished":
        expected = naming.key(
            record.row,
            record.scale,
            record.seed,
            record.data.fingerprint,
            record.recipe_hash,
            record.arms,
            record.dense.sha256 if record.dense else None,
            record.custom,
            record.hardware.processes,
            record.precision,
        )
        if name != expected:
            problems.append(
                f"row, scale, seed, data, recipe, arms, start and overrides give {expected}, the id says {name}"
            )
    return _finding("identity", problems, name)


def _recipe(record: Record) -> Finding:
    try:
        found = recipe_of(record)
    except ValueError as error:
        return Finding("recipe", "fails" if record.suite == SUITE else "not applicable", str(error))
    problems = []
    if found.hash() != record.recipe_hash:
        problems.append(f"it hashes to {found.hash()}, not to {record.recipe_hash}")
    row = ROWS.get(record.row)
    stated = (record.metric, record.unit, record.lower_is_better)
    if row and stated != (row.metric.name, row.metric.unit, row.metric.lower_is_better):
        problems.append(f"{record.row} is judged by {row.metric}, the record says {stated}")
    return _finding("recipe", problems, f"hash {record.recipe_hash}")


def _schedule(record: Record) -> Finding:
    """Phases have the steps and rates of the recipe, and the curve's points lie where it says."""
    plans = schedules_of(record)
    if isinstance(plans, str):
        return Finding("schedule", "not applicable", plans)
    spe, schedules = plans
    problems = []
    for name, run in runs_of(record).items():
        schedule = schedules.get(name)
        if schedule is None:
            given = run is record.dense and not run.phases
            problems += [] if given else [f"{name} has {len(run.phases)} phases, but there is no such arm to train"]
            continue
        ends = [0, *schedule.boundaries(spe)]
        if len(run.phases) != len(schedule.phases):
            problems.append(f"{name} has {len(run.phases)} phases, the recipe {len(schedule.phases)}")
        for phase, rule, (start, end) in zip(run.phases, schedule, itertools.pairwise(ends), strict=False):
            rates = [schedule.at(step, spe).lr for step in (start, end - 1)]
            expected = (rule.kind, end - start, (end - start) / spe, *rates)
            found = (phase.kind, phase.steps, phase.epochs, phase.first_lr, phase.last_lr)
            if not _same(found, expected):
                problems.append(f"{name}: a phase was {found}, the recipe says {expected} (kind, steps, epochs, rates)")
        for point in run.curve:
            if not 0 < point.step <= ends[-1]:
                problems.append(f"{name}: a point of the curve stands at step {point.step} of {ends[-1]}")
                continue
            place = (point.step / spe, schedule.at(point.step - 1, spe).lr)
            if not _same((point.epoch, point.lr), place):
                problems.append(f"{name}: step {point.step} has epoch and rate {(point.epoch, point.lr)}, not {place}")
        if len(run.first_step_in_lr) != len(run.phases) or any(size < 0 for size in run.first_step_in_lr):
            problems.append(f"{name}: the first update of its {len(run.phases)} phases was {run.first_step_in_lr}")
    return _finding("schedule", problems, f"{spe} steps an epoch")


def _masks(record: Record) -> Finding:
    """Every sparse phase keeps as many weights of each tensor as the rule says and no other; all that is told of them agrees."""
    plans = schedules_of(record)
    if isinstance(plans, str):
        return Finding("masks", "not applicable", plans)
    problems, tensors = [], 0
    pruned_before: dict[str, int] = {}
    most: dict[tuple[str, str], int] = {}  # pruned of a tensor of an arm in any phase so far
    for name, phase, rule in phases_of(record, plans[1]):
        where = f"{name}, {phase.kind} phase"
        if (phase.mask is not None) != (rule.sparsity > 0):
            problems.append(f"{where}: sparsity {rule.sparsity}, but {'a' if phase.mask is not None else 'no'} mask")
        if phase.mask is None:
            continue
        shapes = {layer.name: layer.weights for layer in phase.mask}
        pruned_before = pruned_before or shapes
        if shapes != pruned_before or not shapes or len(shapes) != len(phase.mask):
            problems.append(f"{where}: it prunes other tensors than the other sparse phases, or one twice, or none")
        for layer in phase.mask:
            tensors += 1
            pruned = pruned_count(layer.weights, rule.sparsity)
            if layer.kept != layer.weights - pruned:
                kept = layer.weights - pruned
                problems.append(
                    f"{where}: {layer.name} keeps {layer.kept} of {layer.weights}, the sparsity asks for {kept}"
                )
            # One of a million kept weights may pass through zero as the phase ends. Weights of a dead unit (its gradient is zero)
            # stay at the zero from which they started: after an earlier phase, or where a mask that moves grew them.
            most[name, layer.name] = max(pruned, most.get((name, layer.name), 0))
            at_most = layer.weights if ARMS[name].moves_masks else most[name, layer.name] + layer.kept // 1_000_000
            if layer.kept == layer.weights - pruned and not pruned <= layer.zeros <= at_most:
                problems.append(f"{where}: {layer.name} has {layer.zeros} zeros, but {pruned} pruned weights")
    if not tensors and not problems:
        return Finding("masks", "not applicable", "no arm of it has a sparse phase")
    problems = problems or weights.problems(record)
    followed = ", histograms and lineage" if weights.told(record) else ""
    return _finding("masks", problems, f"{tensors} pruned tensors{followed}")


def _clipping(record: Record) -> Finding:
    plans = schedules_of(record)
    if isinstance(plans, str):
        return Finding("clipping", "not applicable", plans)
    bound = record.recipe.get("clip_norm")
    problems, told = [], 0
    for name, phase, _ in phases_of(record, plans[1]):
        found = phase.clipping
        if found is None:
            continue
        told += 1
        whole = _close(found.share * phase.steps, round(found.share * phase.steps))
        clipped = found.share > 0
        fits = 1 - found.share < found.factor < 1 if clipped else found.factor == 1
        if bound is None or not whole or not 0 <= found.share <= 1 or not fits:
            problems.append(f"{name}, {phase.kind} phase of {phase.steps} steps: {found}, with a bound of {bound}")
    if not told:
        return Finding("clipping", "not applicable", "no norm is clipped, or the record is older than the field")
    return _finding("clipping", problems, f"{told} phases")


def _scores(record: Record) -> Finding:
    """The final scores follow from the outcomes of the test examples, as far as those tell."""
    if not runs_of(record):
        return Finding("scores", "not applicable", "the trial has no finished part")
    problems = []
    for name, run in runs_of(record).items():
        try:
            found = _from_outcomes(record, run)
        except ValueError as error:
            problems.append(f"{name}: its outcomes cannot be read: {error}")
            continue
        for key, value in found.items():
            if key not in run.test or not _close(run.test[key], value):
                problems.append(f"{name}: {key} is {run.test.get(key)}, its outcomes give {value:.6g}")
        if run.test.get("top5_error", 0) > run.test.get("top1_error", math.inf):
            problems.append(f"{name}: top5_error {run.test['top5_error']} is above top1_error {run.test['top1_error']}")
        for key, value in run.test.items():
            plain, standard, _ = key.partition("_standard")
            penalty = run.test.get(plain[: plain.rfind("bleu")] + "brevity_penalty") if standard else None
            if penalty is not None and not _close(value, penalty * run.test.get(plain, math.nan)):
                problems.append(f"{name}: {key} is {value}, not the brevity penalty {penalty} times {plain}")
    return _finding("scores", problems, f"{record.metric} of {record.data.counts.get('test')} test examples")


def _from_outcomes(record: Record, run: Arm) -> dict[str, float]:
    """Return the metrics that the outcomes give; ValueError where they are not those of the test set."""
    outcomes = unpack_outcomes(run.outcomes)
    if len(outcomes) != record.data.counts.get("test"):
        raise ValueError(f"there are {len(outcomes)} of {record.data.counts.get('test')} test examples")
    value = score(outcomes)
    found = {record.metric: OUTCOME_SCALE - value if record.lower_is_better else value}
    if (
        record.metric.startswith("bleu") and outcomes.ndim == 2
    ):  # matches of one to four words, then how many such there are
        orders = outcomes.shape[1] // 2
        found |= {f"bleu{n}": score(outcomes[:, [*range(n), *range(orders, orders + n)]]) for n in range(1, orders + 1)}
        found["caption_words"] = float(outcomes[:, orders].mean())
    return found


def _bootstrap(record: Record) -> Finding:
    wanted = set(record.arms) - {"control"} if "control" in record.arms else set()
    problems = []
    if set(record.bootstrap) != wanted:
        problems.append(f"there is one of {sorted(record.bootstrap)}, not of {sorted(wanted)}")
    elif not wanted:
        return Finding("bootstrap", "not applicable", "nothing is compared with a control")
    problems += bootstrap.problems(record, sorted(wanted & set(record.bootstrap)))
    return _finding("bootstrap", problems, f"{', '.join(sorted(wanted))} over control")


def _curve(record: Record) -> Finding:
    """The end of every phase is a point of the curve, the last of all is the result, and shared phases are the same."""
    runs = {name: run for name, run in runs_of(record).items() if run.phases}  # a given network was not trained
    if not runs:
        return Finding("curve", "not applicable", "nothing was trained to its end")
    problems = []
    for name, run in runs.items():
        steps = [point.step for point in run.curve]
        if steps != sorted(set(steps)):
            problems.append(f"{name}: its points do not follow one another: {steps}")
        points = {point.step: point.test for point in run.curve}
        ends = list(itertools.accumulate(phase.steps for phase in run.phases))
        for phase, end in zip(run.phases, ends, strict=True):
            if points.get(end) != phase.test:
                problems.append(
                    f"{name}: at step {end} the curve has {points.get(end)}, the phase that ends there {phase.test}"
                )
        if steps[-1:] != ends[-1:]:
            problems.append(f"{name}: the curve ends at step {steps[-1:]}, the last phase at {ends[-1]}")
        last = run.phases[-1].test
        if set(run.test) != set(last) or not all(_close(value, last[key]) for key, value in run.test.items()):
            problems.append(f"{name}: the result is {run.test}, its last phase ended with {last}")
    problems += phases.problems(record)
    return _finding("curve", problems, f"{sum(len(run.curve) for run in runs.values())} points")


def _cost(record: Record) -> Finding:
    problems = []
    batch = record.recipe.get("batch_size")
    batch = batch if isinstance(batch, int) else None  # `_recipe` says so
    for name, run in runs_of(record).items():
        costs = [("", run.cost, sum(phase.steps for phase in run.phases))]
        costs += [(f", {phase.kind} phase", phase.cost, phase.steps) for phase in run.phases]
        for where, cost, steps in costs:
            if (cost.steps, cost.samples) != (steps, cost.samples if batch is None else steps * batch):
                problems.append(f"{name}{where}: {cost}, but {steps} steps of {batch} samples")
        if run.phases:
            problems += _seconds(name, run.cost.seconds, [phase.cost.seconds for phase in run.phases])
    if record.status == "finished":
        parts = [run.cost for run in runs_of(record).values()]
        shared = [run.shared for run in runs_of(record).values()]
        for what in ("steps", "samples"):
            total = sum(getattr(part, what) for part in parts) - sum(getattr(part, what) for part in shared)
            if getattr(record.cost, what) != total:
                problems.append(f"the trial took {getattr(record.cost, what)} {what}, its parts {total}")
        seconds = [part.seconds for part in parts] + [-part.seconds for part in shared]
        problems += _seconds("the trial", record.cost.seconds, seconds)
    return _finding("cost", problems, f"{record.cost.seconds:,.0f} s, {record.cost.steps:,} steps")


def _seconds(what: str, whole: float, parts: list[float]) -> list[str]:
    """Return what is wrong with a sum of seconds, each rounded to hundredths."""
    off = abs(whole - math.fsum(parts))
    return [] if off < 0.0051 * (len(parts) + 1) else [f"{what} took {whole} s, its parts {math.fsum(parts):.2f} s"]


def _outputs(path: Path, record: Record) -> Finding:
    folder = path.parent.parent / "outputs"
    if not record.outputs:
        return Finding("outputs", "not applicable", "the record tells of no file")
    name = f"{record.id}.csv.gz"
    if not (folder / name).is_file():
        return Finding("outputs", "not applicable", f"{folder / name} is not there")
    altered = outputs.altered(folder, {record.id: record.outputs})
    return _finding("outputs", [f"{one} has another SHA-256 than its record tells" for one in altered], name)


def _tables(path: Path, record: Record, stale: dict[Path, list[str] | str], stale_files: Stale) -> Finding:
    """The tables of its row are those that the records of its folder give. `stale` remembers what a folder's check said."""
    out = path.parent.parent
    if path.parent.name != "records" or not (out / "tables").is_dir():
        return Finding("tables", "not applicable", "there are none beside it")
    if out not in stale:
        try:
            stale[out] = stale_files(out, store.read_all(out / "records"))
        except ValueError as error:
            stale[out] = str(error)
    found = stale[out]
    if isinstance(found, str):
        return Finding("tables", "fails", f"they cannot be made: {found}")
    pages = f"tables/{record.row}.", "tables/smoke."
    mine = [f"{out / name} is not what the records give" for name in found if name.startswith(pages)]
    return _finding("tables", mine, f"{out / 'tables' / record.row}.*")


def _finding(check: str, problems: list[str], detail: str) -> Finding:
    if not problems:
        return Finding(check, "holds", detail)
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return Finding(check, "fails", "; ".join([*problems[:_SHOWN], *more]))


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=_TOLERANCE)


def _same(found: tuple[Any, ...], expected: tuple[Any, ...]) -> bool:
    """Return whether two rows of numbers (or words) agree but for what another processor's last digit may be."""
    pairs = zip(found, expected, strict=True)
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) if isinstance(a, float) else a == b for a, b in pairs)
