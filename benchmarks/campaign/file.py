"""TOML files: a campaign (rows, scale, arms, seeds, data, resources), such as `paper.toml`, and the resources of planned trials."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks import rows
from benchmarks.arms.registry import DEFAULT_ARMS, ArmName
from benchmarks.campaign.trial import Resources
from tasks.recipe import Scale

T = TypeVar("T", bound=BaseModel)
Seeds = Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=0)], ...]
"""The number of seeds, counted from seed 0, or the list of seeds."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)  # a misspelt key must not be ignored


class RowPlan(_Table):
    """The settings of one row in a campaign.

    Attributes:
        data: the data set's folder, inside the folder given by `--data`; absent for generated data (smoke scale).
        arms, seeds: replace the campaign's arms and seeds for this row.
        expected_hours: the expected time of a trial, used until a record from the same kind of hardware gives it.
        options: further flags of `run` by field name: `{ precision = "bfloat16" }`. Files are inside the folder given by `--data`.
    """

    data: str | None = None
    arms: tuple[ArmName, ...] | None = None
    seeds: Seeds | None = None
    expected_hours: Annotated[float, Field(gt=0)] | None = None
    options: dict[str, Any] = {}


class Needs(_Table):
    """The resources of one trial, and their price. `planned.toml` beside this module is such a file.

    Attributes:
        resources: the resources of each trial.
        gpu: the GPU whose records give the expected time, as named in a record's `hardware.gpu`; by default this machine's GPU.
        price: the price of one hour of `resources`, in any currency.
        slurm: further options of sbatch, as submitit names them: `{ partition = "gpu", account = "me" }`.
    """

    resources: Resources = Resources()
    gpu: str | None = None
    price: Annotated[float, Field(ge=0)] | None = None
    slurm: dict[str, Any] = {}


class Campaign(Needs):
    """Trials of several rows at one scale, and the resources of each trial.

    Attributes:
        scale: the scale of all rows.
        seeds, arms: the seeds and arms of all rows that do not set their own.
        rows: row name to the settings of the row.
    """

    scale: Scale
    seeds: Seeds = 5
    arms: tuple[ArmName, ...] = DEFAULT_ARMS
    rows: dict[str, RowPlan]

    def seeds_of(self, name: str) -> tuple[int, ...]:
        """Return the seeds of a row."""
        own = self.rows[name].seeds
        seeds = self.seeds if own is None else own
        return tuple(range(seeds)) if isinstance(seeds, int) else seeds


def read(path: Path) -> Campaign:
    """Return the campaign in the file at `path`.

    Raises:
        ValueError: the file is not TOML, a key is unknown or has a wrong value, or a row does not exist; the message names it.
        OSError: the file cannot be read.
    """
    campaign = _read(path, Campaign)
    for name in campaign.rows:
        rows.row(name)
    return campaign


def read_needs(path: Path) -> Needs:
    """Return the resources of a trial from the file at `path`.

    Raises:
        ValueError: the file is not TOML, or a key is unknown or has a wrong value; the message names it.
        OSError: the file cannot be read.
    """
    return _read(path, Needs)


def _read(path: Path, kind: type[T]) -> T:
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:  # from tomllib, or text that is not UTF-8
        raise ValueError(f"{path}: {error}") from error
