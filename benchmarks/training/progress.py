"""The interface through which a running trial reports progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from benchmarks.training.learner import Learner


class Progress(Protocol):
    """Shows the progress of a trial. A step of one arm is an arm-step."""

    def skip(self, arm_steps: int) -> None:
        """Count arm-steps that were already taken."""

    def step(self, learners: Mapping[str, Learner], numbers: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
        """Show the learners after one step of each, with all step numbers that were read since the last call."""
