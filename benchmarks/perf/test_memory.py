"""Memory and checkpoint size of a sparse phase compared with a dense one. Bytes are the same on every machine."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from torch.profiler import ProfilerActivity, profile

from benchmarks.perf import workloads
from benchmarks.perf.interleave import save
from benchmarks.training import checkpoint

STEPS = 3  # the first one selects the masks


def allocations(work: Callable[[], object]) -> tuple[list[int], int]:
    """Do some work. Return the sizes of its tensor allocations (negative if freed), and the peak of Python's objects.

    Sizes are in bytes; objects include numpy's. Tensors and objects may peak at different times, so the sum is an upper bound.
    """
    tracemalloc.start()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
        work()
    _, objects = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert profiler.profiler is not None
    events = sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    return [event.nbytes() for event in events if event.name() == "[memory]"], objects


@pytest.mark.parametrize("row", ["imagenet_resnet18", "flickr8k_neuraltalk"])
def test_memory(benchmark: Any, row: str, tmp_path: Path) -> None:
    """Compare the peak in the first steps of a phase, and the checkpoint after them."""
    task = workloads.task(row, tmp_path)
    batch = workloads.batch(task)
    peaks: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for name in ("sparse", "dense"):
        learner = workloads.learner(task, masked=name == "sparse")
        weights = sum(parameter.numel() for parameter in learner.model.parameters())
        held, peaks[name] = sum(tensor.nbytes for tensor in learner.model.state_dict().values()), 0
        for step in range(STEPS):
            changes, objects = allocations(partial(learner.train_step, batch, step))
            totals = list(itertools.accumulate(changes, initial=held))
            peaks[name] = max(peaks[name], *(total + objects for total in totals[1:]))
            held = totals[-1]
        checkpoint.save({"learners": {"arm": learner.state()}}, tmp_path / f"{name}.pt")
        sizes[name] = (tmp_path / f"{name}.pt").stat().st_size
        assert peaks[name] > 12 * weights  # at least weights, gradients and the optimizer state
        assert sizes[name] > 8 * weights
        learner.finish()
    ratios = {
        f"sparse / dense, {what}": found["sparse"] / found["dense"]
        for what, found in {"peak of memory": peaks, "checkpoint": sizes}.items()
    }
    save(benchmark, f"{row}, {peaks['dense'] / 1e6:.0f} MB and {sizes['dense'] / 1e6:.0f} MB dense", ratios)
    assert 1 < ratios["sparse / dense, peak of memory"] < 1.12
    assert 1 < ratios["sparse / dense, checkpoint"] < 1.05
