"""Resolve what a command line names: the row's domain, the data, the device and the overrides."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from typing import cast

import torch

from benchmarks.cli.options import Evaluate, Run
from tasks.options import flag
from tasks.pretrained import Weights
from tasks.recipe import Recipe
from tasks.row import Row
from tasks.task import DataReport, Domain, Progress, Source


def domain(row: Row) -> Domain:
    """Return the module that implements the row's data and networks."""
    return cast("Domain", importlib.import_module(f"tasks.{row.domain}.task"))


def data(row: Row, given: Path | None) -> Path:
    """Return the folder `given`, or the folder of the generated set."""
    return given if given is not None else domain(row).embedded()


def open_data(
    row: Row, recipe: Recipe, data: Path, options: Run | Evaluate, progress: Progress, train: bool = True
) -> Source:
    """Verify and load the data. The domain gets only those of its own options that affect how data is opened.

    Raises:
        ValueError: the data cannot be used; the message names the files.
    """
    own = {one.name: getattr(options, one.name) for one in row.options if one.opens}
    return domain(row).open_data(
        recipe, data, options.subset, progress, train=train, device=device(options.device), **own
    )


def custom(row: Row, options: Run) -> tuple[str, ...]:
    """Return the overrides that change the row's recipe. Passing a recipe's own value changes nothing."""
    recipe = partial(row.recipe, options.scale)
    own, overrides = recipe().hash(), []
    if recipe(sparsity=options.sparsity).hash() != own:
        overrides.append(f"sparsity={options.sparsity}")
    if recipe(lr_factor=options.lr_factor).hash() != own:
        overrides.append(f"lr_factor={options.lr_factor}")
    for one in row.options:
        value = getattr(options, one.name)
        if options.scale in one.custom and recipe(**{one.name: value}).hash() != own:
            overrides.append(one.name if value is True else f"{one.name}={value}")
    return tuple(overrides)


def require_same_data(row: Row, given: Weights, report: DataReport) -> None:
    """Refuse weights whose recorded training data is not the given data.

    Raises:
        ValueError: the fingerprints differ.
    """
    if given.data and given.data != report.fingerprint:
        flags = ", ".join(map(flag, ["subset", *(one.name for one in row.options if one.opens)]))
        raise ValueError(
            f"{given.source} was trained on data with fingerprint {given.data}, but {report.name} has {report.fingerprint}: "
            f"its words and features would not match (the fingerprint depends on the folder, {flags} and --scale)"
        )


def require_parts(recipe: Recipe, processes: int) -> None:
    """Check that the processes can share a batch equally.

    Raises:
        ValueError: their number does not divide the batch size.
    """
    if recipe.batch_size % processes:
        raise ValueError(f"{processes} processes cannot share batches of {recipe.batch_size} equally")


def device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is a GPU if one is available. A GPU with a number becomes the current device.

    Raises:
        ValueError: torch does not see the GPU that `name` asks for.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    found = torch.device(name)
    if found.type == "cuda" and not gpus:
        raise ValueError(f"--device {name}: torch sees no GPU here")
    if found.type == "cuda" and found.index is not None:
        if found.index >= gpus:
            raise ValueError(f"--device {name}: torch sees {gpus} GPUs here, numbered from 0")
        torch.cuda.set_device(found)  # CUDA events and memory counts use the current device
    return found


def device_name(of: torch.device) -> str:
    """Return the display name of a device."""
    if of.type == "cuda":
        return torch.cuda.get_device_name(of)
    return f"CPU, {torch.get_num_threads()} threads"
