"""Measure the time and memory of a step, a batch, an evaluation and a checkpoint on this machine. No result of training is kept."""

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
"""Time STEPS steps. Stop earlier after SECONDS, but not before LEAST steps."""
_WARM = 2  # first steps, which allocate memory and choose kernels; they are not counted
# The number is large because loaders that read ahead are slower once the batches they had ready are used up.
_BATCHES, _LOADING_SECONDS = 48, 15.0
_PAUSES = 3  # the longest wait of several pauses counts, because a busy machine may slow down single batches
_GOLDEN = (math.sqrt(5) - 1) / 2

_Result = TypeVar("_Result")


def _unseen(what: str, done: int, total: int) -> None:
    """Ignore the progress."""


@dataclass(frozen=True)
class Probe:
    """Measured times in seconds, and sizes in bytes.

    Attributes:
        steps: the number of steps that were timed.
        dense, masked: seconds of an optimizer step of one network without and with masks, excluding loading.
        selecting: extra seconds of the first step of a sparse phase, which selects masks and scores test and training examples.
        loading: seconds to load a batch.
        ahead: whether batches are loaded while the device computes.
        curve, thorough: seconds of an evaluation within a phase and at its end.
        training: seconds to score training examples at the end of a phase.
        resampling: seconds of one arm's bootstrap.
        writing: seconds to write a byte of a checkpoint and read it back.
        model, masks: bytes of one network's weights and of its masks in a checkpoint.
        state: bytes of one network and its optimizer in a checkpoint, without masks.
        resident: bytes that each further arm keeps in memory.
        outcomes, said: bytes of one network's outcomes in a record and of its samples in the outputs file.
        networks: the number of networks in memory when the peaks were measured.
        host, device_memory: peak bytes of this process's memory and of GPU memory (0 without a GPU), data included.
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
        """Return the seconds of waiting for a batch if the networks compute for `busy` seconds per batch.

        A loader that reads ahead delays a GPU only by the loading time beyond `busy`. On a CPU, loading and training share the
        processor cores, so the whole loading time counts.
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
    """Measure some steps, spread over an epoch, of a network without masks and, if an arm has masks, also of one with masks.

    Args:
        task: the trial's task.
        arms: the trial's arms.
        start: the given network that replaces D, if any.
        stream: the seed of the trial's random streams.
        curve: whether there are evaluations within phases.
        folder: the folder for a temporary checkpoint, on the same disk as the run's checkpoints.
        progress: called after each measurement.

    Raises:
        NonFiniteError: a loss or its gradient was NaN or infinite.
        OSError: no checkpoint can be written in `folder`.
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
    """Return the seconds from one batch to the next while nothing else runs, and whether batches are loaded ahead.

    Only the second half of the batches is timed. All are batches of the second epoch, because the first may be sorted (SortaGrad).
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
    """Return the seconds of each learner's steps, and the seconds to fetch each batch on its own.

    The batches are spread evenly over the first epoch, which may be sorted by the lengths of its examples. They stay evenly spread
    if the measurement stops early.
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
    """Return the number of bytes of the tensors in `value`."""
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
    """Return the peak memory of this process in bytes. The operating system reports KiB, macOS bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
