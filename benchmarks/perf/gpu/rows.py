"""A training step with masks of every row's `small` recipe: samples per second and GPU utilisation."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import tyro

from benchmarks.perf import workloads
from benchmarks.perf.gpu.measure import busy, note, operations, peak, steps, wait
from benchmarks.rows import ROWS
from benchmarks.training import determinism

SECONDS = 2.0


def main(device: str, out: Path, rehearse: bool = False) -> int:
    """Measure every row, with its loader and on one batch held on the device. `rehearse` takes one step of three rows."""
    on = torch.device(device)
    best = peak(on, torch.float32, 256 if rehearse else 8192)
    note(out, "rows", row="matrix product", flops_per_second=best)
    rows = ("imagenet_resnet18", "flickr8k_neuraltalk", "librispeech_deepspeech2") if rehearse else tuple(ROWS)
    for row in rows:
        with tempfile.TemporaryDirectory() as folder:
            _measure(row, Path(folder), on, out, 0.0 if rehearse else SECONDS, best)
    return 0


def _measure(row: str, folder: Path, device: torch.device, out: Path, seconds: float, best: float) -> None:
    task = workloads.task(row, folder, device)
    learner = workloads.learner(task, masked=True)
    held, first = workloads.batch(task), task.steps_per_epoch()
    fed = task.batches(first, first + 10**6)
    with determinism.demanded(device):
        steps(learner, held, 3)
        work = operations(lambda: steps(learner, held, 1))
        for what, step in {
            "with its loader": lambda: learner.train_step(next(fed), 0),
            "one batch held on the device": lambda: learner.train_step(held, 0),
        }.items():
            with busy(device) as use:
                count, taken = _repeat(step, seconds, device)
            note(
                out,
                "rows",
                row=row,
                what=what,
                samples_per_second=count * task.recipe.batch_size / taken,
                gpu_utilisation=sum(use) / len(use) / 100 if use else None,
                share_of_matrix_product=work * count / taken / best,
            )
    learner.finish()


def _repeat(step: Callable[[], object], seconds: float, device: torch.device) -> tuple[int, float]:
    """Repeat `step` for about `seconds`, at least once. Return the number of calls and the seconds that they took."""
    started, count = time.perf_counter(), 0
    while not count or time.perf_counter() - started < seconds:
        step()
        count += 1
    wait(device)
    return count, time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
