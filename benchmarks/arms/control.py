"""The equal-budget control, with which verdicts compare DSD."""

from __future__ import annotations

from benchmarks.arms.arm import Arm, Card

ARMS = (
    Arm(
        name="control",
        label="Control (equal budget)",
        meaning="ordinary training with equal budget: the schedule, steps and optimizer resets of S and D2, without a mask",
        rank=1,
        main=True,
        reference="equal budget",
        card=Card(
            source="none: the paper has no control with equal budget and the same learning rates",
            deviations=("the paper lists its baselines at one learning rate, D's; ours uses DSD's rates throughout",),
        ),
    ),
)
