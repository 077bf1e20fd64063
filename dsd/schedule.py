"""Phases and schedules of Dense-Sparse-Dense training, as pure data (standard library only).

A schedule gives the phase and the learning rate of every optimizer step. Phases may have any length (VGG-16's sparse phase takes
1.25 epochs), without accumulated rounding errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Literal, get_args

PhaseKind = Literal["dense", "sparse", "redense"]


@dataclass(frozen=True)
class Constant:
    """Constant learning rate."""

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor of the phase's rate: 1."""
        return 1.0


@dataclass(frozen=True)
class StepDecay:
    """The rate is multiplied by `factor_each` after every `every` epochs of the phase."""

    every: float
    factor_each: float = 0.1

    def __post_init__(self) -> None:
        if self.every <= 0:
            raise ValueError(f"StepDecay.every must be positive, got {self.every}")

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor of the phase's rate at `epoch` (since the start of the phase)."""
        # 1e-9 corrects rounding errors. Without it, the third drop may come one step after 3 x every.
        return float(self.factor_each ** int(epoch / self.every + 1e-9))


@dataclass(frozen=True)
class MultiStepDecay:
    """The rate is multiplied by `factor_each` at every milestone, in epochs since the start of the phase."""

    milestones: tuple[float, ...]
    factor_each: float = 0.1

    def __post_init__(self) -> None:
        ascending = all(first < second for first, second in pairwise((0.0, *self.milestones)))
        if not self.milestones or not ascending:
            raise ValueError(f"MultiStepDecay.milestones must be positive and ascending, got {self.milestones}")

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor of the phase's rate at `epoch` (since the start of the phase)."""
        # 1e-9: see StepDecay
        return float(self.factor_each ** sum(epoch / milestone >= 1 - 1e-9 for milestone in self.milestones))


@dataclass(frozen=True)
class PolynomialDecay:
    """The rate falls to zero as (1 - progress) ** power over the phase (Caffe's "poly" policy)."""

    power: float = 0.5

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor of the phase's rate at `epoch` of a phase of `epochs`."""
        return float(max(0.0, 1.0 - epoch / epochs) ** self.power)


@dataclass(frozen=True)
class Continued:
    """A part of a longer decay: the rate decays as from epoch `start` of a phase of `whole` epochs."""

    decay: Decay
    start: float
    whole: float

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor of the phase's rate at `epoch` (since the start of the part)."""
        return self.decay.factor(self.start + epoch, self.whole)


Decay = Constant | StepDecay | MultiStepDecay | PolynomialDecay | Continued


@dataclass(frozen=True)
class Phase:
    """One phase of a `Schedule`, as pure data: kind, length, learning rate and sparsity. `Phases` runs sparse phases on a model.

    Raises:
        ValueError: `kind` is unknown, `epochs` or `lr` is not positive and finite, `sparsity` is outside [0, 1], or is not 0
            in a phase that is not sparse.
    """

    kind: PhaseKind
    epochs: float
    lr: float
    decay: Decay = field(default_factory=Constant)
    sparsity: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(PhaseKind):
            raise ValueError(f"a phase's kind must be one of {get_args(PhaseKind)}, got {self.kind!r}")
        if not 0 < self.epochs < math.inf:
            raise ValueError(f"{self.kind} phase: epochs must be positive, got {self.epochs}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"{self.kind} phase: lr must be positive, got {self.lr}")
        if not 0 <= self.sparsity <= 1:
            raise ValueError(f"{self.kind} phase: sparsity must lie in [0, 1], got {self.sparsity}")
        if self.sparsity and self.kind != "sparse":
            raise ValueError(f"{self.kind} phase: only a sparse phase has a sparsity, got {self.sparsity}")


@dataclass(frozen=True)
class Position:
    """The position of a step: phase and its index, step within the phase (from 0), number of steps in the phase, learning rate."""

    index: int
    phase: Phase
    step: int
    steps: int
    lr: float

    @property
    def first(self) -> bool:
        """Whether this is the first step of its phase."""
        return self.step == 0


@dataclass(frozen=True)
class Schedule:
    """A sequence of phases: dense, then any number of (sparse, redense) iterations.

    A schedule with dense phases only is ordinary training.

    Raises:
        ValueError: there is no phase, or a `redense` phase does not follow a `sparse` one.
    """

    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        if not self.phases:
            raise ValueError("a schedule needs at least one phase")
        for before, phase in zip((None, *self.phases), self.phases, strict=False):
            if phase.kind == "redense" and (before is None or before.kind != "sparse"):
                raise ValueError("a redense phase must follow a sparse one")

    @property
    def epochs(self) -> float:
        """Total length in epochs."""
        return float(sum(Fraction(phase.epochs) for phase in self.phases))

    def boundaries(self, steps_per_epoch: int) -> tuple[int, ...]:
        """Return the step at which each phase ends (exclusive); the last is the total.

        Each end is rounded from the exact sum of epochs so far, so rounding errors do not accumulate. Each phase has at least one
        step.

        Raises:
            ValueError: `steps_per_epoch` is not positive.
        """
        if steps_per_epoch <= 0:
            raise ValueError(f"steps_per_epoch must be positive, got {steps_per_epoch}")
        ends: list[int] = []
        total = Fraction(0)
        for phase in self.phases:
            total += Fraction(phase.epochs)
            ends.append(max(round(total * steps_per_epoch), (ends[-1] if ends else 0) + 1))
        return tuple(ends)

    def at(self, step: int, steps_per_epoch: int) -> Position:
        """Return the position of `step`, counted from 0 over the whole schedule.

        Raises:
            ValueError: `step` is outside the schedule.
        """
        start = 0
        for index, (phase, end) in enumerate(zip(self.phases, self.boundaries(steps_per_epoch), strict=True)):
            if start <= step < end:
                steps = end - start
                epoch = (step - start) / steps_per_epoch
                lr = phase.lr * phase.decay.factor(epoch, steps / steps_per_epoch)
                return Position(index, phase, step - start, steps, lr)
            start = end
        raise ValueError(f"step {step} lies outside the schedule of {start} steps")

    def __iter__(self) -> Iterator[Phase]:
        return iter(self.phases)
