"""Two iterations of DSD within the budget of one."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.arms.arm import Arm, Card, masked
from dsd.schedule import Schedule
from tasks.recipe import Recipe, scaled


@dataclass(frozen=True, kw_only=True)
class Twice(Arm):
    """All phases after D, run twice, with each phase half as long."""

    def schedule(self, recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Return the phases after D."""
        half = scaled(masked(recipe), 0.5, 1.0).phases
        return Schedule((*half, *half))


ARMS = (
    Twice(
        name="dsd-twice",
        label="DSD twice, phases half as long",
        meaning="two iterations of S and D2, each phase half as long",
        listed="DSD twice",
        short="DSD twice,\nphases half as long",
        rank=20,
        card=Card(
            source="Han et al. (ICLR 2017), Tables 7 and 9, iterate on speech",
            deviations=("the paper adds the second iteration to the first, so its budget is larger",),
        ),
    ),
)
