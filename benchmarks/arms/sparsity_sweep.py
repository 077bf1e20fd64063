"""DSD at sparsities other than the recipe's."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.arms.arm import Arm, Card, masked
from dsd.schedule import Schedule
from tasks.recipe import Recipe, at_sparsity


@dataclass(frozen=True, kw_only=True)
class AtSparsity(Arm):
    """DSD with `sparsity` percent pruned in every sparse phase."""

    def schedule(self, recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Return the phases after D."""
        assert self.sparsity is not None
        return at_sparsity(masked(recipe), self.sparsity / 100)


_CARD = Card(
    source="Han et al. (ICLR 2017), Section 4: the authors tried sparsities of 25 to 50 %",
    deviations=("0 % equals the control bit for bit, which tests the harness",),
)

ARMS = tuple(
    AtSparsity(
        name=f"dsd-{percent}",
        label=f"DSD at {percent} %",
        meaning="DSD at that sparsity in every sparse phase, instead of the recipe's",
        listed="DSD at 50 %, and so on",
        rank=12,
        sparsity=percent,
        card=_CARD,
    )
    for percent in (0, 10, 25, 30, 50, 70, 80, 90)
)
