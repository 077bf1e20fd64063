"""Collects one learner's results for the record: its curve, its phases and their cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.records.example_outcomes import pack_outcomes
from benchmarks.records.schema import Clipping, Cost, Histograms, LayerMask, PhaseResult, Point, Regrown, Scores
from dsd.schedule import Position, Schedule
from tasks.random_streams import derive
from tasks.task import Evaluation

SAMPLES = 12
"""Number of test examples whose outputs a record stores."""


class Journal:
    """Collects the results of a learner. `batch_size` is the number of samples per optimizer step.

    Attributes:
        seconds: time so far, including evaluations and the learner's share of loading.
        pruned: the scores right after pruning in a sparse phase.
        forked_from, shared_phases: the arm that trained its first phases, and their number.
    """

    def __init__(self, schedule: Schedule, steps_per_epoch: int, batch_size: int) -> None:
        self.phases: list[PhaseResult] = []
        self.curve: list[Point] = []
        self.first_step_in_lr: list[float] = []
        self.seconds = 0.0
        self.pruned: Scores | None = None
        self.forked_from, self.shared_phases = "", 0
        self._schedule, self._steps_per_epoch, self._batch_size = schedule, steps_per_epoch, batch_size
        self._ends = schedule.boundaries(steps_per_epoch)
        self._sums: dict[str, float] = {}  # of the training numbers since the last point
        self._summed = 0
        self._unread: list[Mapping[str, float]] = []  # the training numbers not yet returned by take_unread
        self._phase_seconds = 0.0
        self._clipped, self._factors = 0, 0.0  # of this phase: number of clipped steps, sum of factors over steps

    def spend(self, seconds: float) -> None:
        """Count time."""
        self.seconds += seconds
        self._phase_seconds += seconds

    def step(self, numbers: Mapping[str, float]) -> None:
        """Count the training numbers of one step."""
        for key, number in numbers.items():
            self._sums[key] = self._sums.get(key, 0.0) + number
        self._summed += 1
        self._unread.append(numbers)

    def take_unread(self) -> list[Mapping[str, float]]:
        """Return the training numbers of the steps counted since the last call."""
        unread, self._unread = self._unread, []
        return unread

    def clip(self, norm: float, bound: float) -> None:
        """Count a step whose gradient norm was `norm`, with clipping at `bound`."""
        self._clipped += norm > bound
        self._factors += bound / max(norm, bound)

    def evaluated(self, step: int, lr: float, test: dict[str, float]) -> None:
        """Add a point to the curve after `step` steps."""
        train = {key: total / self._summed for key, total in self._sums.items()}
        self._sums, self._summed = {}, 0
        self.curve.append(Point(step=step, epoch=step / self._steps_per_epoch, lr=lr, train=train, test=test))

    def end_phase(
        self,
        position: Position,
        test: dict[str, float],
        train: dict[str, float],
        mask: list[LayerMask] | None,
        regrown: list[Regrown] | None,
        clips: bool,
    ) -> None:
        """Add the result of the phase whose last step is at `position`. `clips`: whether gradient norms are clipped."""
        start = self._ends[position.index - 1] if position.index else 0
        steps = position.steps
        self.phases.append(
            PhaseResult(
                kind=position.phase.kind,
                steps=steps,
                epochs=steps / self._steps_per_epoch,
                first_lr=self._schedule.at(start, self._steps_per_epoch).lr,
                last_lr=position.lr,
                test=test,
                mask=mask,
                cost=self._cost(steps, self._phase_seconds),
                clipping=Clipping(share=self._clipped / steps, factor=self._factors / steps) if clips else None,
                regrown=regrown,
                train=train,
                pruned=self.pruned,
            )
        )
        self._phase_seconds, self.pruned = 0.0, None
        self._clipped, self._factors = 0, 0.0

    def results(self, final: Evaluation, step: int, histograms: Histograms | None) -> dict[str, Any]:
        """Return the fields of a record's `Arm` after `step` steps."""
        return {
            "phases": self.phases,
            "test": final.metrics,
            "curve": self.curve,
            "outcomes": pack_outcomes(final.outcomes.double().cpu().numpy()),
            "first_step_in_lr": self.first_step_in_lr,
            "samples": sorted(final.samples, key=_lot)[:SAMPLES],
            "cost": self._cost(step, self.seconds),
            "histograms": histograms,
            "forked_from": self.forked_from,
            "shared_phases": self.shared_phases,
        }

    def spent(self, step: int) -> Cost:
        """Return the cost of `step` steps, without phases that another arm trained."""
        shared = [phase.cost for phase in self.phases[: self.shared_phases]]
        return self._cost(step - sum(one.steps for one in shared), self.seconds - sum(one.seconds for one in shared))

    def _cost(self, steps: int, seconds: float) -> Cost:
        return Cost(seconds=round(seconds, 2), steps=steps, samples=steps * self._batch_size)

    def state(self) -> dict[str, Any]:
        """Return the state needed to resume, as plain values."""
        return {
            "phases": [phase.model_dump() for phase in self.phases],
            "curve": [point.model_dump() for point in self.curve],
            "first_step_in_lr": self.first_step_in_lr,
            "seconds": self.seconds,
            "phase_seconds": self._phase_seconds,
            "sums": self._sums,
            "summed": self._summed,
            "clipped": self._clipped,
            "factors": self._factors,
            "pruned": self.pruned.model_dump() if self.pruned else None,
            "forked_from": self.forked_from,
            "shared_phases": self.shared_phases,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from `state`."""
        self.phases = [PhaseResult.model_validate(phase) for phase in state["phases"]]
        self.curve = [Point.model_validate(point) for point in state["curve"]]
        self.first_step_in_lr = list(state["first_step_in_lr"])
        self.seconds, self._phase_seconds = state["seconds"], state["phase_seconds"]
        self._sums, self._summed = dict(state["sums"]), state["summed"]
        self._clipped, self._factors = state["clipped"], state["factors"]
        self.pruned = Scores.model_validate(state["pruned"]) if state["pruned"] else None
        self.forked_from, self.shared_phases = state["forked_from"], state["shared_phases"]


def _lot(sample: dict[str, str]) -> int:
    """Return a sort key that selects the same test examples for all arms, seeds and machines."""
    return derive("sample", next(iter(sample.values())))
