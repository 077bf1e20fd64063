"""A record's recipe as typed data, and the schedule of every run in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.arms.arm import dense_schedule
from benchmarks.arms.registry import ARMS, arm_plan
from benchmarks.audit.check import NotApplicableError
from benchmarks.records.schema import PhaseResult, Record
from dsd.schedule import Constant, MultiStepDecay, Phase, PolynomialDecay, Schedule, StepDecay
from tasks.recipe import Recipe, RmsProp, Sgd

_DECAYS = (Constant, StepDecay, MultiStepDecay, PolynomialDecay)
_TYPES = {kind.__name__: kind for kind in (Recipe, Schedule, Phase, *_DECAYS, Sgd, RmsProp)}


def recipe_of(record: Record) -> Recipe:
    """Return the recorded recipe. The task's own settings stay plain values.

    Raises:
        ValueError: the recipe's format differs from that of this version.
    """
    try:
        recipe = _built(record.recipe)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the recipe has another format than this version's: {error}") from error
    if not isinstance(recipe, Recipe) or not isinstance(recipe.schedule, Schedule) or recipe.as_dict() != record.recipe:
        raise ValueError("the recipe has another format than this version's: it lacks fields")
    if not isinstance(recipe.batch_size, int) or recipe.batch_size < 1:
        raise ValueError(f"the recipe's batch size is {recipe.batch_size!r}; it must be a positive whole number")
    return recipe


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_built, value))
    if isinstance(value, dict) and value.get("type") in _TYPES:
        return _TYPES[value["type"]](**{key: _built(item) for key, item in value.items() if key != "type"})
    return value


def schedules_of(record: Record) -> tuple[int, dict[str, Schedule]]:
    """Return the steps per epoch and the schedule of each run that was trained.

    Raises:
        NotApplicableError: the schedules are unknown.
    """
    try:
        recipe = recipe_of(record)
    except ValueError as error:
        raise NotApplicableError(str(error)) from error
    spe = record.data.counts.get("train", 0) // recipe.batch_size
    if not spe:
        raise NotApplicableError(f"{record.data.counts} give no batch of {recipe.batch_size}")
    schedules = {name: arm_plan(recipe, name, spe).schedule for name in record.arms if name in ARMS}
    if record.dense is not None and record.dense.source == "trained":
        schedules["dense"] = dense_schedule(recipe)
    if not schedules:
        raise NotApplicableError("no run was trained to its end")
    return spe, schedules


def phases_of(record: Record) -> Iterator[tuple[str, PhaseResult, Phase]]:
    """Yield (run name, recorded phase, phase in the recipe) for every phase that both the run and the recipe have.

    Raises:
        NotApplicableError: the schedules are unknown.
    """
    _, schedules = schedules_of(record)
    for name, run in record.runs.items():
        if name in schedules:
            for phase, rule in zip(run.phases, schedules[name], strict=False):
                yield name, phase, rule
