"""What a sparse phase keeps in memory and in a checkpoint beside a dense one: bytes, the same on every machine."""

from __future__ import annotations

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

STEPS = 3  # the first draws the masks


class Bytes:
    """Counts what work leaves in memory and the most that was there: tensors, and Python's objects, numpy's among them."""

    def __init__(self) -> None:
        self.held = self.most = 0

    def during(self, work: Callable[[], object]) -> None:
        """Do a piece of work. Tensors and objects may have had their peaks at different moments of it: it is a bound."""
        tracemalloc.start()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as profiler:
            work()
        _, objects = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert profiler.profiler is not None
        for event in sorted(profiler.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
            if event.name() == "[memory]":
                self.held += event.nbytes()
                self.most = max(self.most, self.held + objects)


@pytest.mark.parametrize("row", ["imagenet_resnet18", "flickr8k_neuraltalk"])
def test_memory(benchmark: Any, row: str, tmp_path: Path) -> None:
    """The peak through the first steps of a phase, and the checkpoint after them."""
    task = workloads.task(row, tmp_path)
    batch = workloads.batch(task)
    peaks: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for name in ("sparse", "dense"):
        learner = workloads.learner(task, masked=name == "sparse")
        weights = sum(parameter.numel() for parameter in learner.model.parameters())
        counted = Bytes()
        counted.held = sum(tensor.nbytes for tensor in learner.model.state_dict().values())
        for step in range(STEPS):
            counted.during(partial(learner.train_step, batch, step))
        peaks[name] = counted.most
        checkpoint.save({"learners": {"arm": learner.state()}}, tmp_path / f"{name}.pt")
        sizes[name] = (tmp_path / f"{name}.pt").stat().st_size
        assert peaks[name] > 12 * weights  # weights, gradients, the optimizer's state: at least
        assert sizes[name] > 8 * weights
        learner.finish()
    ratios = {
        f"sparse / dense, {what}": found["sparse"] / found["dense"]
        for what, found in {"peak of memory": peaks, "checkpoint": sizes}.items()
    }
    save(benchmark, f"{row}, {peaks['dense'] / 1e6:.0f} MB and {sizes['dense'] / 1e6:.0f} MB dense", ratios)
    assert 1 < ratios["sparse / dense, peak of memory"] < 1.12
    assert 1 < ratios["sparse / dense, checkpoint"] < 1.05
