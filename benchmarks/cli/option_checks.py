"""Checks of a command line that need neither torch nor data (standard library only)."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from pathlib import Path
from typing import Any

from benchmarks import rows
from benchmarks.arms.registry import ARMS
from benchmarks.cli.options import (
    Compare,
    Estimate,
    Evaluate,
    Evidence,
    PackageWeights,
    Report,
    Run,
    Status,
    Tables,
    Tensorboard,
    Verify,
)
from benchmarks.rows import OPTIONS, ROWS
from tasks.options import flag, require_network_file
from tasks.recipe import Recipe, Scale
from tasks.row import Row

_RUNS = Path("runs")


def check(command: Any) -> None:
    """Refuse options that are invalid for any data and hardware.

    Raises:
        ValueError: an option is invalid, alone or in combination; the message names it.
        OSError: the output folder cannot be written.
    """
    match command:
        case Run():  # Estimate too
            run(command)
        case Evaluate():
            _evaluate(command)
        case Verify():
            _verify(command)
        case Evidence():
            _evidence(command)
        case Status() | Tensorboard():
            if command.out and not command.out.is_dir():
                raise ValueError(f"--out {command.out}: no such folder")
        case PackageWeights():
            _package_weights(command)
        case Tables() | Report() | Compare():
            pass  # they load no torch, so they check their options themselves


def folder(options: Run) -> Path:
    """Return the output folder. It is never the published results folder unless `--out` names it."""
    return options.out or _RUNS


def recipe_of(row: Row, options: Run) -> Recipe:
    """Return the recipe that the options ask for.

    Raises:
        ValueError: the row has no such recipe.
    """
    return row.recipe(options.scale, options.sparsity, options.lr_factor, **own(row, options))


def run(options: Run) -> None:
    """Check the options of `run` and `estimate`.

    Raises:
        ValueError: an option is invalid, alone or in combination.
        OSError: the folder for records cannot be written.
    """
    row = rows.row(options.row)
    _check_arms(options)
    if (options.seeds is not None and options.seeds < 1) or options.first_seed < 0:
        raise ValueError(
            f"--seeds {options.seeds} --first-seed {options.first_seed}: expected at least one seed, and a first seed of 0 or more"
        )
    if options.workers is not None and options.workers < 0:
        raise ValueError(f"--workers {options.workers}: expected 0 or more processes")
    if options.lr_factor is not None and not (options.lr_factor > 0 and math.isfinite(options.lr_factor)):
        raise ValueError(f"--lr-factor {options.lr_factor}: expected a positive number")
    _check_device(options.device)
    _check_subset(options.subset)
    _check_own(row, options, options.scale)
    recipe = recipe_of(row, options)
    for arm in options.arms:
        if reason := ARMS[arm].refusal(recipe):
            raise ValueError(f"--arms {arm}: {reason} in {row.name}'s recipe")
    _check_data(row, options.data, options.scale)
    if options.dense is not None:
        require_network_file("--dense", options.dense)
    _check_names(options)
    processes = _number("WORLD_SIZE", 1)
    if isinstance(options, Estimate):
        if processes > 1:
            raise ValueError(f"WORLD_SIZE={processes}: estimate measures one process; start it without torchrun")
        return
    if recipe.batch_size % processes:
        raise ValueError(f"{processes} processes cannot share batches of {recipe.batch_size} equally")
    if options.fresh and _number("TORCHELASTIC_MAX_RESTARTS", 0) > 0:
        raise ValueError("--fresh would restart training at each torchrun restart: leave out --fresh or --max-restarts")
    _check_out(folder(options))


def _check_arms(options: Run) -> None:
    if "control" not in options.arms or len(set(options.arms)) != len(options.arms):
        raise ValueError(
            f"--arms {' '.join(options.arms)}: must include 'control' (the reference for gains) and must not repeat an arm"
        )
    for arm in options.arms:
        own = ARMS[arm].compared_with
        if own not in options.arms:
            raise ValueError(f"--arms {' '.join(options.arms)}: {arm} is compared with {own}; add {own}")


def _check_device(device: str) -> None:
    if not re.fullmatch("auto|cpu|cuda(:[0-9]{1,4})?", device):
        raise ValueError(
            f"--device {device!r}: expected one of auto, cpu, cuda, cuda:K (K: the number of a GPU, from 0)"
        )
    if ":" in device and (processes := _number("WORLD_SIZE", 1)) > 1:
        raise ValueError(
            f"--device {device}: each of {processes} processes takes the GPU of its own number; use --device cuda"
        )


def _check_subset(subset: float) -> None:
    if not 0 < subset <= 1:
        raise ValueError(f"subset={subset}: expected a share of the training set, above 0 and at most 1")


def own(row: Row, options: Run | Evaluate) -> dict[str, Any]:
    """Return the values of the row's own options in the command, by name."""
    return {one.name: getattr(options, one.name) for one in row.options if hasattr(options, one.name)}


def _check_own(row: Row, options: Run | Evaluate, scale: Scale) -> None:
    """Refuse flags of other domains' rows, and values that are invalid for any data."""
    for one in OPTIONS:
        value = getattr(options, one.name, one.default)
        if value == one.default:
            continue
        if one not in row.options:
            others = ", ".join(other.name for other in ROWS.values() if one in other.options)
            raise ValueError(f"{one.flag}: {row.name} has no such flag; rows that have it: {others}")
        if one.check is not None:
            one.check(one.flag, value, scale)


def _check_data(row: Row, given: Path | None, scale: Scale) -> None:
    if given is not None and not given.is_dir():
        raise ValueError(f"--data: {given} is not a folder; expected one with {row.layout}")
    if given is None and scale != "smoke":
        raise ValueError(f"--scale {scale} needs --data DIR with {row.layout}; only smoke generates its own data")


def _check_names(options: Run) -> None:
    """Refuse names that are not UTF-8: a record stores the command, and cannot store such names."""
    for field in dataclasses.fields(options):
        word = str(getattr(options, field.name))
        try:
            word.rpartition("/")[2].encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{flag(field.name)} {word!r}: not UTF-8, so a record cannot store it; rename it"
            ) from error


def _check_out(out: Path) -> None:
    """Check that the output folder can be written.

    Raises:
        OSError: the folder, or its nearest existing parent, is not writable.
    """
    existing = next((path for path in (out, *out.parents) if os.path.lexists(path)), Path())
    if not existing.is_dir():
        raise OSError(f"--out {out}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OSError(f"--out {out}: no permission to write to {existing.resolve()}")


def _evaluate(options: Evaluate) -> None:
    row = rows.row(options.row)
    scale: Scale = options.scale if options.data else "smoke"
    _check_own(row, options, scale)
    _check_device(options.device)
    _check_subset(options.subset)
    _check_data(row, options.data, scale)
    require_network_file("--model", options.model)


def _verify(options: Verify) -> None:
    if (options.row is None) == (not options.record):
        asked = f"{options.row} and --record" if options.row else "neither"
        raise ValueError(
            f"verify takes either ROW (to check its data) or --record FILE (to check records); got {asked}"
        )
    for path in options.record:
        if path.is_dir():
            raise ValueError(f"--record {path}: is a folder; name the records in it ({path / '*.json'})")
        if not path.is_file():
            raise ValueError(f"--record {path}: no such file")
    if options.row is not None:
        _check_subset(options.subset)
        _check_data(rows.row(options.row), options.data, "smoke")


def _evidence(options: Evidence) -> None:
    for name in options.rows:
        rows.row(name)
    if options.hours is not None and not options.hours > 0:
        raise ValueError(f"--hours {options.hours}: expected a number above 0")
    if options.jobs < 1 or (options.jobs > 1 and options.backend != "local"):
        raise ValueError(f"--jobs {options.jobs}: expected 1 or more, and 1 with --backend {options.backend}")
    if options.hours is not None and options.backend != "local":
        raise ValueError(f"--hours {options.hours}: --backend {options.backend} decides itself when a trial starts")
    if options.json and not (options.plan or options.dry_run):
        raise ValueError("--json: expected --plan or --dry-run as well")
    for name, file in (("--campaign", options.campaign), ("--resources", options.resources)):
        if file is not None and not file.is_file():
            raise ValueError(f"{name} {file}: no such file")
    if options.campaign is not None and options.resources is not None:
        raise ValueError(f"--resources {options.resources}: {options.campaign} says what its trials need")
    if options.backend != "local" and options.campaign is None and options.resources is None:
        raise ValueError(
            f"--backend {options.backend}: this machine does not tell what a trial needs elsewhere; give --resources FILE, such as "
            "benchmarks/campaign/planned.toml, or --campaign FILE"
        )
    shows = options.plan or options.dry_run
    if not shows and not options.campaign and not options.data.is_dir():
        raise ValueError(f"--data {options.data}: no such folder (--plan needs no data)")


def _package_weights(options: PackageWeights) -> None:
    _check_device(options.device)
    for name, path in (("--records", options.records), ("--weights", options.weights)):
        if not path.is_dir():
            raise ValueError(f"{name} {path}: no such folder")
    _check_out(options.out)
    if options.out.is_dir() and any(options.out.iterdir()):
        raise ValueError(f"--out {options.out}: the folder is not empty; name a new one")


def _number(variable: str, otherwise: int) -> int:
    """Return the number in an environment variable that torchrun sets; `otherwise` if it is unset."""
    text = os.environ.get(variable) or str(otherwise)
    if not text.isdigit():
        raise ValueError(f"{variable}={text}: expected a number, as torchrun sets it")
    return int(text)
