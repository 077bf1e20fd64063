"""What a command line names, found and checked: the row's domain, the data, the frozen network, the device, the overrides."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from typing import cast

import torch

from benchmarks.cli.options import Evaluate, Run
from benchmarks.rows import Row
from tasks.recipe import Recipe
from tasks.task import DataReport, Domain, Frozen
from tasks.weights import Weights


def domain(row: Row) -> Domain:
    """Return the module that knows the row's data and networks."""
    return cast("Domain", importlib.import_module(f"tasks.{row.domain}.task"))


def data(row: Row, given: Path | None) -> Path:
    """Return the folder `given`, or that of the generated set."""
    return given if given is not None else domain(row).embedded()


def frozen(row: Row, options: Run | Evaluate) -> Frozen | None:
    """Return what `open_data` is told of the frozen network; None where the row has none."""
    return Frozen(options.network, options.weights, str(device(options.device))) if row.frozen else None


def custom(row: Row, options: Run) -> tuple[str, ...]:
    """Return the overrides that make it another recipe than the row's own: one that is the recipe's own value does not.

    At small scale the frozen network is the user's choice: another gives another recipe hash, but is not custom.
    """
    scale = options.scale
    recipe = partial(row.recipe, scale)
    own, found = recipe().hash(), []
    if recipe(sparsity=options.sparsity).hash() != own:
        found.append(f"sparsity={options.sparsity}")
    if recipe(lr_factor=options.lr_factor).hash() != own:
        found.append(f"lr_factor={options.lr_factor}")
    if options.label_noise is not None and recipe(label_noise=options.label_noise).hash() != own:
        found.append(f"label_noise={options.label_noise}")
    if options.probe:
        found.append("probe")
    if scale == "paper" and recipe(network=options.network).hash() != own:
        found.append(f"network={options.network}")
    return tuple(found)


def require_same_data(given: Weights, report: DataReport) -> None:
    """Refuse weights that say which data they were trained on, where that is not the data at hand.

    Raises:
        ValueError: the fingerprints differ.
    """
    if given.data and given.data != report.fingerprint:
        raise ValueError(
            f"{given.source} was trained on data of fingerprint {given.data}, but {report.name} has {report.fingerprint}: "
            "its words and features would be taken for others (the fingerprint changes with the folder, --subset, "
            "--network, --weights and --scale)"
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
