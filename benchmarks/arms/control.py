"""The control of equal budget, which verdicts compare with."""

from __future__ import annotations

from benchmarks.arms.arm import Arm, Card

ARMS = (
    Arm(
        name="control",
        label="Control (equal budget)",
        meaning="ordinary training of equal budget: the schedule, steps and fresh optimizers of S and D2, no mask",
        rank=1,
        main=True,
        reference="equal budget",
        card=Card(
            source="none: the paper has no control of equal budget and of the same rates",
            deviations=("the paper's baselines are listed at one rate, D's; ours has DSD's rates throughout",),
        ),
    ),
)
