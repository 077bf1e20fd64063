"""What a command line names, found and checked: the row's domain, the data, the device, the overrides."""

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
    """Return the module that knows the row's data and networks."""
    return cast("Domain", importlib.import_module(f"tasks.{row.domain}.task"))


def data(row: Row, given: Path | None) -> Path:
    """Return the folder `given`, or that of the generated set."""
    return given if given is not None else domain(row).embedded()


def open_data(
    row: Row, recipe: Recipe, data: Path, options: Run | Evaluate, progress: Progress, train: bool = True
) -> Source:
    """Verify and load the data, telling the domain those of its own options that it wants to know.

    Raises:
        ValueError: the data cannot be used; the message names the files.
    """
    own = {one.name: getattr(options, one.name) for one in row.options if one.opens}
    return domain(row).open_data(
        recipe, data, options.subset, progress, train=train, device=device(options.device), **own
    )


def custom(row: Row, options: Run) -> tuple[str, ...]:
    """Return the overrides that make it another recipe than the row's own: one that is the recipe's own value does not."""
    recipe = partial(row.recipe, options.scale)
    own, found = recipe().hash(), []
    if recipe(sparsity=options.sparsity).hash() != own:
        found.append(f"sparsity={options.sparsity}")
    if recipe(lr_factor=options.lr_factor).hash() != own:
        found.append(f"lr_factor={options.lr_factor}")
    for one in row.options:
        value = getattr(options, one.name)
        if options.scale in one.custom and recipe(**{one.name: value}).hash() != own:
            found.append(one.name if value is True else f"{one.name}={value}")
    return tuple(found)


def require_same_data(row: Row, given: Weights, report: DataReport) -> None:
    """Refuse weights that say which data they were trained on, where that is not the data at hand.

    Raises:
        ValueError: the fingerprints differ.
    """
    if given.data and given.data != report.fingerprint:
        flags = ", ".join(map(flag, ["subset", *(one.name for one in row.options if one.opens)]))
        raise ValueError(
            f"{given.source} was trained on data of fingerprint {given.data}, but {report.name} has {report.fingerprint}: "
            f"its words and features would be taken for others (the fingerprint changes with the folder, {flags} and --scale)"
        )


def require_parts(recipe: Recipe, processes: int) -> None:
    """Refuse a number of processes that cannot share a batch.

    Raises:
        ValueError: it does not divide the batch.
    """
    if recipe.batch_size % processes:
        raise ValueError(f"{processes} processes cannot share batches of {recipe.batch_size} equally")


def device(name: str) -> torch.device:
    """Return the device called `name`; "auto" is a GPU if there is one.

    Raises:
        ValueError: there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(of: torch.device) -> str:
    """Return what a reader calls the device."""
    if of.type == "cuda":
        return torch.cuda.get_device_name(of)
    return f"CPU, {torch.get_num_threads()} threads"
