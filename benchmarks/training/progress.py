"""What a trial tells while it runs, to whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from benchmarks.training.learner import Learner


class Progress(Protocol):
    """Shows the progress of a trial. A step of one arm is an arm-step."""

    def skip(self, arm_steps: int) -> None:
        """Count arm-steps that need not be taken."""

    def step(self, learners: Mapping[str, Learner], numbers: Mapping[str, Mapping[str, float]]) -> None:
        """Show the learners after one step of each, with the numbers that it gave."""
