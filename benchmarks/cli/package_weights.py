"""The command `package-weights`: a trial's networks, masks and model card, checked against its record, in a folder for release."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors.torch import save

from benchmarks import rows
from benchmarks.cli import option_checks
from benchmarks.cli.console import say
from benchmarks.cli.evaluate import network, open_task
from benchmarks.cli.options import Evaluate, PackageWeights, Run
from benchmarks.cli.prepare import whole
from benchmarks.evidence_plan import WANTED
from benchmarks.records import store
from benchmarks.records.networks import Network, main_networks
from benchmarks.records.schema import Record
from benchmarks.reporting import model_card
from benchmarks.training import saved_weights
from tasks import command_line, pretrained
from tasks.data.cache import sha256

_HALF_A_DIGIT = 0.0005  # of the last digit that `evaluate` prints


def package_weights(options: PackageWeights) -> int:
    """Write one folder for each trial; `--out` appears complete or not at all.

    Raises:
        ValueError: a record or a file is missing, or weights do not have the scores and masks of their record.
        OSError: the folder cannot be written.
    """
    if options.ids:
        records = [store.read(options.records / f"{name}.json") for name in dict.fromkeys(options.ids)]
    else:
        records = list(_planned(options))
    if not records:
        raise ValueError(f"--weights {options.weights}: no weights of seed 0 of a planned row in {options.records}")
    files = [options.weights / one.file for record in records for one in main_networks(record)]
    if absent := [path.name for path in files if not path.is_file()]:
        raise ValueError(f"--weights {options.weights}: missing {', '.join(absent)}")
    asked = [(record, _evaluation(record, options)) for record in records]

    def make(target: Path) -> None:
        for record, evaluation in asked:
            _write(record, evaluation, options, target / record.id)

    whole(options.out.absolute(), make)
    say(f"made {options.out}")
    return 0


def _planned(options: PackageWeights) -> Iterator[Record]:
    """Yield the newest finished trial of seed 0 of each planned row that has a saved network."""
    records = [one for one in store.read_all(options.records) if one.seed == 0 and one.status == "finished"]
    for wanted in WANTED:
        found = [record for record in records if wanted.covers(record) and set(wanted.arms) <= set(record.arms)]
        saved = [one for one in found if any((options.weights / of.file).exists() for of in main_networks(one))]
        if saved:
            yield max(saved, key=lambda record: record.finished)


def _evaluation(record: Record, options: PackageWeights) -> Evaluate:
    """Return the options of `evaluate` that score the trial's networks, taken from its command; `model` is left empty.

    Raises:
        ValueError: this checkout has other flags, another recipe or other numerics than the trial, or the data is missing.
    """
    words = shlex.split(record.command)
    run: Run = command_line.parse(Run, words[words.index("benchmarks") + 2 :], "run")
    row = rows.row(run.row)
    values = option_checks.own(row, run)
    recipe = option_checks.recipe_of(row, run)
    if (recipe.hash(), row.numerics) != (record.recipe_hash, record.numerics):
        raise ValueError(f"{record.id}: this checkout has another recipe or other numerics; use commit {record.commit}")
    for name, value in values.items():  # commands contain only the last part of a path
        if isinstance(value, str) and (options.data / value).is_file():
            values[name] = str(options.data / value)
    data = options.data / run.data if run.data else None
    if data and not data.is_dir():
        raise ValueError(f"--data {options.data}: missing {run.data}")
    scoring = {one.name: values[one.name] for one in row.options if one.scores}
    return Evaluate(run.row, "", data=data, subset=run.subset, scale=run.scale, device=options.device, **scoring)


def _write(record: Record, evaluation: Evaluate, options: PackageWeights, target: Path) -> None:
    """Write the folder of one trial."""
    target.mkdir(parents=True)
    networks = main_networks(record)
    task = open_task(evaluation, train=True)
    if task.report.fingerprint != record.data.fingerprint:
        at_hand = task.report.fingerprint
        raise ValueError(f"{record.id}: trained on data {record.data.fingerprint}, but {task.report.name} is {at_hand}")
    dense = None
    for one in networks:
        path = target / f"{one.name}.safetensors"
        shutil.copyfile(options.weights / one.file, path)
        given = pretrained.read(str(path))
        _require_scores(one, task.evaluate(network(evaluation, task, given), True).metrics)
        if one.name == "dense":
            dense = given.state
        if one.mask is not None:
            first = one.name.endswith("-sparse1")  # drawn from D
            try:
                masks = saved_weights.masks(given.state, one.mask, dense if first else None)
            except ValueError as error:
                raise ValueError(f"{one.file}: {error}") from error
            (target / f"{one.name}.mask.safetensors").write_bytes(save(masks, {"record": record.id}))
        say(f"{record.id}: {one.name} has its recorded scores{' and mask' if one.mask else ''}")
    shutil.copyfile(options.records / f"{record.id}.json", target / f"{record.id}.json")
    (target / "README.md").write_text(model_card.card(record, networks, *_usage(evaluation)), encoding="utf-8")
    files = sorted(target.iterdir())
    (target / "SHA256SUMS").write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files))


def _require_scores(one: Network, scores: dict[str, float]) -> None:
    """Check that the scores are the recorded ones.

    Raises:
        ValueError: one differs, or is missing.
    """
    for name, recorded in one.test.items():
        score = scores.get(name)
        if score is None or not abs(score - recorded) < _HALF_A_DIGIT:
            raise ValueError(
                f"{one.file}: {name} is {score}, the record says {recorded}: these are not the trial's weights, or --device "
                "is not the hardware it was trained on"
            )


def _usage(evaluation: Evaluate) -> tuple[str, str]:
    """Return the flags of `evaluate`, and the arguments of `Evaluate` in Python, after row and model."""
    flags, arguments = [], []
    for field in dataclasses.fields(evaluation):
        value = getattr(evaluation, field.name)
        if field.name in ("row", "model", "device") or value in (field.default, None):
            continue
        word = Path(value).name if isinstance(value, Path) or Path(str(value)).is_file() else str(value)
        flags += ["--" + field.name.replace("_", "-"), word]
        quoted = json.dumps(word) if isinstance(value, str | Path) else repr(value)
        arguments.append(f"{field.name}=" + (f"Path({quoted})" if isinstance(value, Path) else quoted))
    return shlex.join(flags), ", ".join(arguments)
