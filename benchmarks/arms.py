"""The arms: ways to spend the budget after D, each a schedule and a rule for its masks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from benchmarks.registry import ARMS
from dsd.schedule import Constant, Phase, Schedule
from tasks.recipe import Recipe


@dataclass(frozen=True)
class ArmPlan:
    """What an arm does after D."""

    name: str
    schedule: Schedule
    select: Literal["magnitude", "random"]


def dense_schedule(recipe: Recipe) -> Schedule:
    """Return the D phase alone."""
    return Schedule(recipe.schedule.phases[:1])


def arm_plan(recipe: Recipe, name: str, steps_per_epoch: int) -> ArmPlan:
    """Return the plan of the arm called `name`. All arms have phases of the same lengths, each with a fresh optimizer.

    `control` keeps the rates and drops the masks; `llr` trains dense at a tenth of the rate with which D's
    last epoch began, the paper's control (a polynomial decay ends at zero: a tenth of its very last rate trains nothing);
    `random` is `dsd` with as many weights of each layer drawn at random.

    Raises:
        ValueError: there is no such arm.
    """
    dense, *rest = recipe.schedule.phases
    if name in ("dsd", "random"):
        return ArmPlan(name, Schedule(tuple(rest)), "random" if name == "random" else "magnitude")
    if name == "control":
        return ArmPlan(name, Schedule(tuple(_unmasked(phase) for phase in rest)), "magnitude")
    if name == "llr":
        steps = dense_schedule(recipe).boundaries(steps_per_epoch)[-1]
        last = Schedule((dense,)).at(max(0, steps - steps_per_epoch), steps_per_epoch).lr
        low = tuple(dataclasses.replace(_unmasked(phase), lr=last / 10, decay=Constant()) for phase in rest)
        return ArmPlan(name, Schedule(low), "magnitude")
    raise ValueError(f"there is no arm {name!r}; arms: {', '.join(ARMS)}")


def _unmasked(phase: Phase) -> Phase:
    return dataclasses.replace(phase, kind="dense", sparsity=0.0)
