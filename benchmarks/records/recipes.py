"""A record's recipe as typed data, and the schedule of every run in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.arms.arm import dense_schedule
from benchmarks.arms.registry import ARMS, arm_plan
from benchmarks.records.schema import Arm, PhaseResult, Record
from dsd.schedule import Constant, Phase, PolynomialDecay, Schedule, StepDecay
from tasks.recipe import Recipe, RmsProp, Sgd

_TYPES = {one.__name__: one for one in (Recipe, Schedule, Phase, Constant, StepDecay, PolynomialDecay, Sgd, RmsProp)}


def recipe_of(record: Record) -> Recipe:
    """Return the recorded recipe. The task's own settings stay plain values.

    Raises:
        ValueError: its format is not that of this version.
    """
    try:
        found = _built(record.recipe)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the recipe is of another form than this version's: {error}") from error
    if not isinstance(found, Recipe) or not isinstance(found.schedule, Schedule) or found.as_dict() != record.recipe:
        raise ValueError("the recipe is of another form than this version's: it lacks fields")
    if not isinstance(found.batch_size, int) or found.batch_size < 1:
        raise ValueError(f"the recipe has batches of {found.batch_size!r} examples")
    return found


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_built, value))
    if isinstance(value, dict) and value.get("type") in _TYPES:
        return _TYPES[value["type"]](**{key: _built(item) for key, item in value.items() if key != "type"})
    return value


def schedules_of(record: Record) -> tuple[int, dict[str, Schedule]] | str:
    """Return the steps per epoch and the schedule of each run, or the reason why they are unknown."""
    try:
        recipe = recipe_of(record)
    except ValueError as error:
        return str(error)
    spe = record.data.counts.get("train", 0) // recipe.batch_size
    if not spe:
        return f"{record.data.counts} make no batch of {recipe.batch_size}"
    schedules: dict[str, Schedule] = {
        name: arm_plan(recipe, name, spe).schedule for name in record.arms if name in ARMS
    }
    if record.dense is not None and record.dense.source == "trained":
        schedules["dense"] = dense_schedule(recipe)
    return (spe, schedules) if schedules else "nothing was trained to its end"


def phases_of(record: Record, schedules: dict[str, Schedule]) -> Iterator[tuple[str, PhaseResult, Phase]]:
    """Yield every phase of every run with its phase in the recipe, as far as both go."""
    for name, run in runs_of(record).items():
        if name in schedules:
            for phase, rule in zip(run.phases, schedules[name], strict=False):
                yield name, phase, rule


def runs_of(record: Record) -> dict[str, Arm]:
    """Return the dense start, if any, and the arms by name."""
    return ({"dense": record.dense} if record.dense else {}) | record.arms
