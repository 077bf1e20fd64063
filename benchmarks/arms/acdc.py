"""AC/DC: sparse and dense phases alternate all along, at the rates of ordinary training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from benchmarks.arms.arm import Arm, Card, unmasked
from dsd.schedule import Continued, Phase, PhaseKind, Schedule
from tasks.recipe import Recipe

PAIRS = 2
"""How often every phase of the recipe is cut into a sparse and a dense half."""


@dataclass(frozen=True, kw_only=True)
class AcDc(Arm):
    """Every phase of the control, cut into `PAIRS` pairs of a sparse and a dense half; the last one is dense."""

    def schedule(self, recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Return the phases after D: the control's rates throughout, the sparsity of the recipe's first sparse phase."""
        sparsity = next(phase.sparsity for phase in recipe.schedule if phase.sparsity > 0)
        return Schedule(tuple(part for phase in unmasked(recipe) for part in _cut(phase, sparsity)))

    def refusal(self, recipe: Recipe) -> str:
        """Return why there is nothing to alternate, where no phase of the recipe is sparse."""
        return "" if any(phase.sparsity > 0 for phase in recipe.schedule) else "the recipe has no sparse phase"


def _cut(phase: Phase, sparsity: float) -> list[Phase]:
    count = 2 * PAIRS
    kinds: list[PhaseKind] = ["sparse", "redense"] * PAIRS
    return [
        dataclasses.replace(
            phase,
            kind=kind,
            epochs=phase.epochs / count,
            sparsity=sparsity if kind == "sparse" else 0.0,
            decay=Continued(phase.decay, number * phase.epochs / count, phase.epochs),
        )
        for number, kind in enumerate(kinds)
    ]


ARMS = (
    AcDc(
        name="acdc",
        label="AC/DC",
        meaning="sparse and dense phases alternate, four to a phase of the control, at its rates (Peste et al., 2021)",
        short="AC/DC",
        rank=32,
        card=Card(
            source="Peste et al., AC/DC: Alternating Compressed/DeCompressed Training of Deep Neural Networks, NeurIPS 2021",
            deviations=(
                "begins after D; the authors' configuration for ResNet-50 alternates every 5 of 100 epochs, from epoch 10 on",
                "ends dense; theirs ends sparse, and a dense network is fine-tuned from it",
                "the recipe's sparsity, half or less of theirs (80 to 98 %)",
                "the optimizer's state starts fresh in every phase",
            ),
            unknown=("a dense network's gain over ordinary training of equal budget, in figures that we could read",),
        ),
    ),
)
