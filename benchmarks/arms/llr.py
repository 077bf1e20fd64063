"""Continued training at a low learning rate, which the paper compares DSD with."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from benchmarks.arms.arm import Arm, Card, dense_schedule, unmasked
from dsd.schedule import Constant, Schedule
from tasks.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class LowLearningRate(Arm):
    """Continued training at a tenth of the rate at the start of D's last epoch.

    The rate of D's very last step is not used, because polynomial decay ends at zero.
    """

    def schedule(self, recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Return the control's phases at that constant rate."""
        dense = dense_schedule(recipe)
        steps = dense.boundaries(steps_per_epoch)[-1]
        rate = dense.at(max(0, steps - steps_per_epoch), steps_per_epoch).lr / 10
        phases = unmasked(recipe).phases
        return Schedule(tuple(dataclasses.replace(phase, lr=rate, decay=Constant()) for phase in phases))


ARMS = (
    LowLearningRate(
        name="llr",
        label="LLR",
        meaning="the paper's comparison with a lower rate: as many more epochs without a mask, at a tenth of D's last rate",
        short="LLR",
        rank=2,
        main=True,
        card=Card(
            source="Han et al. (ICLR 2017), Section 4: continued dense training at a lower learning rate",
            deviations=("trains for as many epochs as S and D2 together",),
            unknown=("how long the paper trains it, and whether its learning rate decays",),
        ),
    ),
)
