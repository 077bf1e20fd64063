"""What one step, one batch, one evaluation and one checkpoint take on this machine: measured, nothing of it kept."""

from __future__ import annotations

import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import torch
from torch import Tensor

from benchmarks.arms.arm import ArmPlan, dense_schedule
from benchmarks.arms.registry import arm_plan
from benchmarks.records import outputs
from benchmarks.records.example_outcomes import pack_outcomes
from benchmarks.statistics.bootstrap import OUTCOME_SCALE, bootstrap
from benchmarks.training import checkpoint
from benchmarks.training.learner import Learner, make_optimizer
from dsd.schedule import Schedule
from tasks.pretrained import Weights
from tasks.random_streams import derive
from tasks.task import Batch, Progress, Task

STEPS, LEAST, SECONDS = 50, 5, 60.0
"""Steps to time: so many, or fewer where they are slow: those of a minute, but no fewer than LEAST."""
_WARM = 2  # steps that allocate and choose kernels, and are not counted
_BATCHES, _LOADING_SECONDS = (
    48,
    15.0,
)  # in a row: loaders that read ahead are slower once what they had ready is used up
_PAUSES = 3  # of several, for a busy machine may stretch the time of a batch, but not shorten it
_GOLDEN = (math.sqrt(5) - 1) / 2

_Result = TypeVar("_Result")


def _unseen(what: str, done: int, total: int) -> None:
    """Show nobody how far it is."""


@dataclass(frozen=True)
class Probe:
    """What things take, in seconds and bytes.

    Attributes:
        steps: that were timed.
        dense, masked: an optimizer step of one network without masks and with them; loading is not in it.
        selecting: what the first step of a sparse phase takes beyond any other: masks are drawn, and both sets scored.
        loading: a batch.
        ahead: whether batches are made ready while the device is busy with another.
        curve, thorough: an evaluation within a phase and one at its end.
        training: scoring training examples, where a phase ends.
        resampling: one arm's bootstrap.
        writing: a byte of a checkpoint, written and read back.
        model, masks: bytes of one network's weights and of its masks in a checkpoint.
        state: bytes of one network in a checkpoint, its optimizer included, its masks not.
        resident: bytes that one more arm keeps in memory.
        outcomes, said: bytes of one network's outcomes in a record and of what it said in the outputs.
        networks: of how many the peak of memory is.
        host, device_memory: the peak of this process's memory and of the GPU's, data included; 0 without a GPU.
    """

    steps: int
    dense: float
    masked: float
    selecting: float
    loading: float
    ahead: bool
    curve: float
    thorough: float
    training: float
    resampling: float
    writing: float
    model: int
    masks: int
    state: int
    resident: int
    outcomes: int
    said: int
    networks: int
    host: int
    device_memory: int

    def waiting(self, busy: float, gpu: bool) -> float:
        """Return the seconds for which a batch is waited for after the networks were busy for so many with the last one.

        A loader that reads ahead costs a GPU only what exceeds that; on a CPU it takes the processors from the networks.
        """
        return max(0.0, self.loading - busy) if self.ahead and gpu else self.loading


def measure(
    task: Task,
    arms: tuple[str, ...],
    start: Weights | None,
    stream: int,
    curve: bool,
    folder: Path,
    progress: Progress = _unseen,
) -> Probe:
    """Train a network without masks and, if an arm has any, one with masks beside it, for some steps spread over an epoch.

    Args:
        task: of one trial.
        arms: of the trial.
        start: the network that takes the place of D.
        stream: the seed of the trial's random streams.
        curve: whether there are evaluations within phases.
        folder: where a checkpoint may be written for a moment, on the disk where the run's would be.
        progress: called as things are measured.

    Raises:
        NonFiniteError: a loss or its gradient was NaN or infinite.
        OSError: no checkpoint can be written there.
    """
    batch, ahead = _stream(task, progress)
    if cuda := next(task.model().parameters()).is_cuda:
        torch.cuda.reset_peak_memory_stats()
    learners = _learners(task, arms, start)
    taken, fetched = _steps(task, learners, stream, progress)
    dense = fmean(taken["dense"][_WARM:])
    masked = fmean(taken["masked"][_WARM:]) if "masked" in taken else dense
    model = learners["dense"].model
    progress("timing evaluations", 0, 3)
    thorough, evaluation = _timed(lambda: task.evaluate(model, True))
    progress("timing evaluations", 1, 3)
    within = _timed(lambda: task.evaluate(model, False))[0] if curve else 0.0
    progress("timing evaluations", 2, 3)
    training, _ = _timed(lambda: task.evaluate_training(model))
    progress("timing evaluations", 3, 3)
    outcomes = evaluation.outcomes.double().cpu().numpy()
    resampling, _ = _timed(lambda: bootstrap(outcomes, outcomes, seed=0, scale=OUTCOME_SCALE))
    states = {name: learner.state() for name, learner in learners.items()}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".estimate-") as temporary:
        path = Path(temporary) / "trial.pt"
        saving, _ = _timed(lambda: checkpoint.save({"learners": states}, path))
        writing = saving / path.stat().st_size
        said = Path(temporary) / "said.csv.gz"
        outputs.write({"dense": evaluation.samples}, said)
        said_bytes = said.stat().st_size if said.exists() else 0
    masks = max(_bytes(state["masks"]) for state in states.values())
    weights = _bytes(states["dense"]["model"])
    found = Probe(
        steps=len(taken["dense"]) - _WARM,
        dense=dense,
        masked=masked,
        selecting=max(0.0, taken["masked"][0] - masked) if "masked" in taken else 0.0,
        loading=batch if ahead else fmean(fetched[_WARM:]),
        ahead=ahead,
        curve=within,
        thorough=thorough,
        training=training,
        resampling=resampling,
        writing=writing,
        model=weights,
        masks=masks,
        state=_bytes({**states["dense"], "masks": {}}),
        resident=_resident(learners["masked" if "masked" in learners else "dense"]),
        outcomes=len(pack_outcomes(outcomes)),
        said=said_bytes,
        networks=len(learners),
        host=peak_of_this_process(),
        device_memory=torch.cuda.max_memory_allocated() if cuda else 0,
    )
    for learner in learners.values():
        learner.finish()
    return found


def _stream(task: Task, progress: Progress) -> tuple[float, bool]:
    """Return the seconds from one batch to the next where nothing else is done, and whether batches are made ahead.

    The second half of the batches is timed. They are those of the second epoch: the first may be sorted (SortaGrad).
    """
    begin = task.steps_per_epoch()
    batches = task.batches(begin, begin + _BATCHES + _PAUSES)
    started = time.perf_counter()
    arrived: list[float] = []
    while len(arrived) < LEAST or (len(arrived) < _BATCHES and arrived[-1] < _LOADING_SECONDS):
        next(batches)
        arrived.append(time.perf_counter() - started)
        progress("timing batches", len(arrived), _BATCHES)
    half = len(arrived) // 2
    batch = (arrived[-1] - arrived[half - 1]) / (len(arrived) - half)
    waited = []
    for _ in range(_PAUSES):
        time.sleep(min(2.0, 3 * batch))
        waited.append(_timed(partial(next, batches))[0])
    return batch, max(waited) < batch / 2


def _learners(task: Task, arms: tuple[str, ...], start: Weights | None) -> dict[str, Learner]:
    recipe = task.recipe

    def learner(name: str, schedule: Schedule) -> Learner:
        model = task.model()
        if start is not None:
            start.load_into(model)
        return Learner(ArmPlan(name, schedule), task, model, make_optimizer(recipe, model))

    found = {"dense": learner("dense", dense_schedule(recipe))}
    for arm in arms:
        phases = arm_plan(recipe, arm, task.steps_per_epoch()).schedule.phases
        sparse = [phase for phase in phases if phase.sparsity > 0]
        if sparse and "masked" not in found:
            found["masked"] = learner("masked", Schedule((sparse[0],)))
    return found


def _steps(
    task: Task, learners: dict[str, Learner], stream: int, progress: Progress
) -> tuple[dict[str, list[float]], list[float]]:
    """Return the seconds of each learner's steps and of fetching each batch, one at a time.

    The batches of any number of these steps lie evenly over the first epoch: where lengths differ, it may be sorted by them.
    """
    taken: dict[str, list[float]] = {name: [] for name in learners}
    fetched: list[float] = []
    started = time.perf_counter()
    for number in range(_WARM + STEPS):
        if number >= _WARM + LEAST and time.perf_counter() - started > SECONDS:
            break
        step = int(task.steps_per_epoch() * (_GOLDEN * (number + 0.5) % 1))
        seconds, batch = _timed(partial(_fetch, task, step))
        fetched.append(seconds)
        for name, learner in learners.items():
            seconds, _ = _timed(partial(_step, learner, batch, derive(stream, "noise", number)))
            taken[name].append(seconds)
        progress("timing steps", number + 1, _WARM + STEPS)
    return taken, fetched


def _step(learner: Learner, batch: Batch, noise_seed: int) -> None:
    learner.train_step(batch, noise_seed)
    learner.read()  # waits for the device


def _fetch(task: Task, step: int) -> Batch:
    return next(task.batches(step, step + 1))


def _timed(work: Callable[[], _Result]) -> tuple[float, _Result]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _bytes(value: Any) -> int:
    """Return how many bytes the tensors in `value` hold."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(_bytes(part) for part in value.values())
    return sum(_bytes(part) for part in value) if isinstance(value, (list, tuple)) else 0


def _resident(learner: Learner) -> int:
    """Return the bytes of weights, gradients, optimizer state and masks."""
    held = (learner.model.state_dict(), learner.optimizer.state_dict(), learner.masks)
    return sum(map(_bytes, held)) + sum(_bytes(parameter.grad) for parameter in learner.model.parameters())


def peak_of_this_process() -> int:
    """Return the most bytes that this process has had in memory, as the operating system counts (KiB, on macOS bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
