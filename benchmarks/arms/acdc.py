"""AC/DC: sparse and dense phases alternate throughout, at the learning rates of ordinary training."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from benchmarks.arms.arm import Arm, Card, unmasked
from dsd.schedule import Continued, Phase, PhaseKind, Schedule
from tasks.recipe import Recipe

PAIRS = 2
"""Number of (sparse, dense) pairs that each phase of the recipe is divided into."""


@dataclass(frozen=True, kw_only=True)
class AcDc(Arm):
    """Each phase of the control, divided into `PAIRS` pairs of a sparse and then a dense part of equal length."""

    def schedule(self, recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Return the phases after D, with the control's rates and the sparsity of the recipe's first sparse phase."""
        sparsity = next(phase.sparsity for phase in recipe.schedule if phase.sparsity > 0)
        return Schedule(tuple(part for phase in unmasked(recipe) for part in _cut(phase, sparsity)))

    def refusal(self, recipe: Recipe) -> str:
        """Return a reason if no phase of the recipe is sparse; otherwise empty."""
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
        meaning="alternating sparse and dense phases, four per phase of the control, at its learning rates (Peste et al., 2021)",
        short="AC/DC",
        rank=32,
        card=Card(
            source="Peste et al., AC/DC: Alternating Compressed/DeCompressed Training of Deep Neural Networks, NeurIPS 2021",
            deviations=(
                "starts after D; the authors' ResNet-50 configuration alternates every 5 of 100 epochs, from epoch 10 on",
                "ends dense; the published method ends sparse, and a dense network is fine-tuned from it",
                "uses the recipe's sparsity, at most half of the published 80 to 98 %",
                "resets the optimizer state at the start of every phase",
            ),
            unknown=("a dense network's gain over ordinary training of equal budget, in a form that we could read",),
        ),
    ),
)
