"""The time of each stage of a training step, in a sparse phase of the `small` recipe.

    python -m benchmarks.perf.profile

prints a table for README.md. If one stage calls another, the time counts only for the inner stage. So the time of masks is neither
in the backward pass, whose hooks zero gradients, nor in the optimizer's step, whose hook zeroes weights.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

import dsd.holding
from benchmarks.perf import workloads
from benchmarks.rows import ROWS
from benchmarks.training.learner import Learner
from tasks.librispeech import spectrogram

PROFILED = ("imagenet_resnet18", "flickr8k_neuraltalk", "librispeech_deepspeech", "librispeech_deepspeech2")
STEPS = 7
STAGES = ("batch", "features", "forward", "backward", "norm, clipping", "optimizer", "masks", "accounting")


class Stopwatch:
    """Adds up the processor seconds of functions by stage, without the time of other stages called inside."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inner = [0.0]  # one entry per active call: seconds spent in other stages

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that calls `function` and adds its time to `stage`."""

        def run(*arguments: Any, **options: Any) -> Any:
            self._inner.append(0.0)
            started = time.process_time()
            result = function(*arguments, **options)
            taken = time.process_time() - started
            self.seconds[stage] += taken - self._inner.pop()
            self._inner[-1] += taken
            return result

        return run


@contextmanager
def watched(learner: Learner) -> Iterator[Stopwatch]:
    """Time the stages of `learner`'s steps while the body runs."""
    watch = Stopwatch()
    stages: list[tuple[str, Any, str]] = [
        ("batch", workloads, "batch"),
        ("features", spectrogram, "features"),
        ("forward", learner.task, "loss"),
        ("backward", torch.Tensor, "backward"),
        ("norm, clipping", torch.nn.utils, "get_total_norm"),
        ("norm, clipping", torch.nn.utils, "clip_grads_with_norm_"),
        ("norm, clipping", torch.nn.utils, "clip_grad_value_"),
        ("optimizer", learner.optimizer, "zero_grad"),
        ("optimizer", learner.optimizer, "step"),
        ("masks", dsd.holding, "zero_pruned_"),
        ("accounting", learner, "train_step"),
    ]
    with ExitStack() as stack:
        for stage, owner, name in stages:
            stack.enter_context(mock.patch.object(owner, name, watch.timed(stage, getattr(owner, name))))
        yield watch


def profile(row: str, folder: Path) -> dict[str, float]:
    """Return each stage's time per step in milliseconds: medians over `STEPS` steps."""
    task = workloads.task(row, folder)
    learner = workloads.learner(task, masked=True)
    learner.train_step(workloads.batch(task), 0)
    steps: list[dict[str, float]] = []
    for number in range(STEPS):
        with watched(learner) as watch:
            learner.train_step(workloads.batch(task), number)
        steps.append(watch.seconds)
    learner.finish()
    return {stage: 1000 * statistics.median(step.get(stage, 0.0) for step in steps) for stage in STAGES}


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = {row: profile(row, Path(folder)) for row in PROFILED}
    print(f"| stage, ms | {' | '.join(ROWS[row].title for row in found)} |")  # noqa: T201
    print(f"| --- |{' ---: |' * len(found)}")  # noqa: T201
    for stage in STAGES:
        shares = (f"{step[stage]:.1f} ({step[stage] / sum(step.values()):.1%})" for step in found.values())
        print(f"| {stage} | {' | '.join(shares)} |")  # noqa: T201


if __name__ == "__main__":
    main()
