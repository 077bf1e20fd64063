"""The arms: ways to spend the budget after D, each a schedule and a few rules of training."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from benchmarks.arms.names import ARMS
from dsd.schedule import Constant, Phase, Schedule
from tasks.recipe import Recipe, at_sparsity, scaled

AVERAGED = 0.25
"""The share of an arm's steps, its last, over which `swa` averages (Izmailov et al. 2018 take the last quarter of training)."""

RADIUS = 0.05
"""How far `sam` looks for the worst nearby weights: the default of Foret et al. (2021), and theirs for ImageNet."""


@dataclass(frozen=True)
class ArmPlan:
    """What an arm does after D.

    Attributes:
        select: how its sparse phases draw their masks.
        state: what becomes of the optimizer's state where a phase starts (see `dsd.restart`); None is as the recipe says.
        averaged: over how many of its last steps its weights are averaged; 0 takes the last ones.
        radius: of sharpness-aware minimisation; 0 is plain descent.
    """

    name: str
    schedule: Schedule
    select: Literal["magnitude", "random"] = "magnitude"
    state: Literal["fresh", "keep"] | None = None
    averaged: int = 0
    radius: float = 0.0

    def shared_phases(self, other: ArmPlan, steps_per_epoch: int) -> int:
        """Return how many phases `other` begins with that are those of this arm, so that one of them may train for both.

        It is never all of them. Masks drawn at random are each arm's own, and averages begin where they are shared no more.
        """
        if (self.select, self.state, self.radius) != (other.select, other.state, other.radius):
            return 0
        ends = self.schedule.boundaries(steps_per_epoch)
        first_averaged = ends[-1] - max(self.averaged, other.averaged)
        found = 0
        for mine, theirs, end in zip(self.schedule.phases[:-1], other.schedule.phases[:-1], ends, strict=False):
            if mine != theirs or end > first_averaged or (mine.sparsity > 0 and self.select == "random"):
                break
            found += 1
        return found


def dense_schedule(recipe: Recipe) -> Schedule:
    """Return the D phase alone."""
    return Schedule(recipe.schedule.phases[:1])


def arm_plan(recipe: Recipe, name: str, steps_per_epoch: int) -> ArmPlan:
    """Return the plan of the arm called `name`. All arms have as many steps, in phases that start a fresh optimizer.

    The main ones: `dsd`; `control` keeps the rates and drops the masks; `llr` trains dense at a tenth of the rate with which
    D's last epoch began, the paper's control (a polynomial decay ends at zero: a tenth of its very last rate trains nothing);
    `random` is `dsd` with as many weights of each layer drawn at random.

    The text's reading of D2: `dsd-text` and its own `control-text` start D2 at a tenth of D's rate (Section 3 of the paper),
    where the tables have a tenth of S's.

    Of sensitivity: `dsd-50` is `dsd` at 50 % sparsity in every sparse phase, and so on; `dsd-twice` goes through all phases
    twice, each half as long; `dsd-keep` and `control-keep` keep the optimizer's state where a phase starts; `swa` is
    `control`, its weights averaged over its last quarter of steps, at its own falling rates (as published the rate stays high
    there, which is another schedule); `sam` is `control` by sharpness-aware minimisation, twice
    the arithmetic a step.

    Raises:
        ValueError: there is no such arm, or it would be another one: the text's reading of D2 says something of its own only
            where S runs at a tenth of D's rate and D2 at less.
    """
    if name not in ARMS:
        raise ValueError(f"there is no arm {name!r}; arms: {', '.join(ARMS)}")
    if name in ("dsd-text", "control-text") and not has_text_reading(recipe):
        rates = ", ".join(f"{phase.lr:g}" for phase in recipe.schedule)
        raise ValueError(f"arm {name!r}: with phases at rates {rates}, D2 at a tenth of D's is no reading of its own")
    dense, *rest = recipe.schedule.phases
    masked = Schedule(tuple(rest))
    unmasked = Schedule(tuple(_unmasked(phase) for phase in rest))
    if name in ("dsd", "random"):
        return ArmPlan(name, masked, "random" if name == "random" else "magnitude")
    if name == "control":
        return ArmPlan(name, unmasked)
    if name == "llr":
        steps = dense_schedule(recipe).boundaries(steps_per_epoch)[-1]
        last = Schedule((dense,)).at(max(0, steps - steps_per_epoch), steps_per_epoch).lr
        return ArmPlan(
            name, Schedule(tuple(dataclasses.replace(phase, lr=last / 10, decay=Constant()) for phase in unmasked))
        )
    if name in ("dsd-text", "control-text"):
        return ArmPlan(name, _as_in_text(dense, masked if name == "dsd-text" else unmasked))
    if name == "dsd-twice":
        half = scaled(masked, 0.5, 1.0).phases
        return ArmPlan(name, Schedule((*half, *half)))
    if name in ("dsd-keep", "control-keep"):
        return ArmPlan(name, masked if name == "dsd-keep" else unmasked, state="keep")
    if name == "swa":
        return ArmPlan(name, unmasked, averaged=round(AVERAGED * unmasked.boundaries(steps_per_epoch)[-1]))
    if name == "sam":
        return ArmPlan(name, unmasked, radius=RADIUS)
    return ArmPlan(name, at_sparsity(masked, int(name.removeprefix("dsd-")) / 100))


def has_text_reading(recipe: Recipe) -> bool:
    """Return whether the text's rate of D2, a tenth of D's, is another than the recipe's, and not above that of S."""
    dense, *rest = recipe.schedule.phases
    return len(rest) == 2 and math.isclose(rest[0].lr, dense.lr / 10) and not math.isclose(rest[1].lr, dense.lr / 10)


def _as_in_text(dense: Phase, schedule: Schedule) -> Schedule:
    return Schedule((*schedule.phases[:-1], dataclasses.replace(schedule.phases[-1], lr=dense.lr / 10)))


def _unmasked(phase: Phase) -> Phase:
    return dataclasses.replace(phase, kind="dense", sparsity=0.0)
