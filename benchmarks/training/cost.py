"""Estimate the time, disk space and memory of a trial from a probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.arms.arm import ArmPlan, dense_schedule
from benchmarks.arms.registry import arm_plan
from benchmarks.training.learner import evaluations
from benchmarks.training.timing import Probe
from benchmarks.training.trial import CHECKPOINT_EVERY_SECONDS, CHECKPOINT_SHARE, forks
from dsd.schedule import PhaseKind, Schedule
from tasks.task import Task

# Approximate bytes of a record: per curve point, and for everything except curves and outcomes.
_POINT, _REST = 400, 12_000


@dataclass(frozen=True)
class Part:
    """The cost of one arm ("shared" for D) in one phase. `seconds` includes loading and evaluations.

    `until` is the arm's step at which the phase ends, counted from the fork; 0 for D.
    """

    phase: PhaseKind
    arm: str
    until: int
    steps: int
    evaluations: int
    seconds: float


@dataclass(frozen=True)
class Total:
    """The cost of one trial: its parts, seconds for checkpoints and resampling, and bytes.

    Attributes:
        checkpoint: the size of the largest checkpoint. While a checkpoint is replaced, the disk holds two.
        kept: the size of the files of a finished trial: record, outputs and, if requested, weights.
        host, device_memory: peak memory of the process and of the GPU.
    """

    parts: tuple[Part, ...]
    checkpoints: float
    resampling: float
    checkpoint: int
    kept: int
    host: int
    device_memory: int

    @property
    def seconds(self) -> float:
        """The total time of the trial."""
        return sum(part.seconds for part in self.parts) + self.checkpoints + self.resampling


def trial(found: Probe, task: Task, arms: tuple[str, ...], given: bool, save_weights: bool) -> Total:
    """Return the cost of a trial, computed from the probe's measurements.

    Args:
        found: the measurements of a probe of `task`.
        task: the trial's task.
        arms: the trial's arms.
        given: whether a given network replaces D.
        save_weights: whether weights are saved.
    """
    spe, recipe = task.steps_per_epoch(), task.recipe
    plans = [arm_plan(recipe, name, spe) for name in arms]
    on_gpu = found.device_memory > 0
    saved = sum(plan.costs.networks_saved for plan in plans)
    held = sum(plan.costs.networks_held for plan in plans)
    checkpoint = len(arms) * found.state + sum(_masked(plan, 0) for plan in plans) * found.masks + saved * found.model
    points = 0
    parts: list[Part] = []
    saving = 0.0

    def testing(count: int) -> float:
        return (count - 1) * found.curve + found.thorough + found.training

    def saves(seconds: float, size: int) -> int:
        """Return the number of periodic checkpoints of `size` bytes written in `seconds`."""
        return int(seconds / max(CHECKPOINT_EVERY_SECONDS, size * found.writing / CHECKPOINT_SHARE))

    if given:
        parts.append(Part("dense", "shared", 0, 0, 1, found.thorough))
    else:
        ((steps, count),) = phases(task, dense_schedule(recipe))
        seconds = steps * (found.dense + found.waiting(found.dense, on_gpu)) + testing(count)
        parts.append(Part("dense", "shared", 0, steps, count, seconds))
        saving += saves(seconds, found.state) * found.state * found.writing
        points += count
    saving += checkpoint * found.writing  # at the fork of the arms
    shared = forks(plans, spe)
    arm_parts = [part for plan in plans for part in _parts(found, task, plan, plans, shared, on_gpu, testing)]
    # A checkpoint is written at the end of each phase of the first arm except the last. The last phase ends with the record.
    ends = plans[0].schedule.boundaries(spe)
    between = [sum(part.seconds for part in arm_parts if a < part.until <= b) for a, b in pairwise((0, *ends))]
    timed = sum(saves(seconds, checkpoint) for seconds in between)
    saving += (len(ends) - 1 + timed) * checkpoint * found.writing
    parts += sorted(arm_parts, key=lambda part: part.until)
    points += sum(part.evaluations for part in arm_parts)
    networks = len(arms) + 1
    more = len(arms) - found.networks
    return Total(
        parts=tuple(parts),
        checkpoints=saving,
        resampling=(len(arms) - 1) * found.resampling,
        checkpoint=checkpoint,
        kept=_REST
        + networks * (found.outcomes + found.said)
        + points * _POINT
        + save_weights * _networks_kept(plans, shared, given) * found.model,
        # `save` reads every checkpoint back into host memory.
        host=found.host
        + more * (found.state + (0 if on_gpu else found.resident))
        + held * (0 if on_gpu else found.model),
        device_memory=found.device_memory + more * found.resident + held * found.model if on_gpu else 0,
    )


def _networks_kept(plans: Sequence[ArmPlan], shared: dict[str, tuple[str, int]], given: bool) -> int:
    """Return the number of saved networks: D unless given, the end of every S, and the end of every arm."""
    sparse = sum(
        phase.sparsity > 0
        for plan in plans
        for phase in plan.schedule.phases[shared[plan.name][1] if plan.name in shared else 0 :]
    )
    return (not given) + sparse + len(plans)


def _parts(
    found: Probe,
    task: Task,
    plan: ArmPlan,
    plans: Sequence[ArmPlan],
    shared: dict[str, tuple[str, int]],
    on_gpu: bool,
    testing: Callable[[int], float],
) -> Iterator[Part]:
    """Yield the phases of one arm that no other arm trains, with the recipe's names if the number of phases is equal."""
    spe = task.steps_per_epoch()

    def awake(one: ArmPlan, step: int) -> bool:
        return one.name not in shared or step >= one.schedule.boundaries(spe)[shared[one.name][1] - 1]

    called = [phase.kind for phase in task.recipe.schedule.phases[1:]]
    if len(called) != len(plan.schedule.phases):
        called = [phase.kind for phase in plan.schedule]
    until = 0
    for index, (steps, count) in enumerate(phases(task, plan.schedule)):
        middle = until + steps // 2
        until += steps
        if not awake(plan, middle):
            continue
        training = [one for one in plans if awake(one, middle)]
        together = sum(_step(found, one, one.schedule.at(middle, spe).index) for one in training)
        step = _step(found, plan, index) + found.waiting(together, on_gpu) / len(training)
        seconds = steps * step + testing(count) + _masked(plan, index) * found.selecting
        if index + 1 == len(called):
            seconds += plan.costs.closing_epochs * spe * found.dense
        yield Part(called[index], plan.name, until, steps, count, seconds)


def _step(found: Probe, plan: ArmPlan, index: int) -> float:
    """Return the seconds per step of an arm in its phase `index`."""
    return (found.masked if _masked(plan, index) else found.dense) + (plan.costs.gradients_per_step - 1) * found.dense


def _masked(plan: ArmPlan, index: int) -> bool:
    return plan.schedule.phases[index].sparsity > 0


def phases(task: Task, schedule: Schedule) -> list[tuple[int, int]]:
    """Return (steps, evaluations) of every phase, as a learner would make them."""
    spe = task.steps_per_epoch()
    tested = evaluations(schedule, spe, task.recipe.evaluate_every)
    return [
        (end - start, sum(start < step <= end for step in tested))
        for start, end in pairwise((0, *schedule.boundaries(spe)))
    ]
