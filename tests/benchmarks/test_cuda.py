"""The trainer on a GPU: steps that do not wait for it, skipped updates, its clock. Where possible, tested on a CPU too."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.perf import workloads
from benchmarks.rows import ROWS
from benchmarks.training import determinism, step_metrics
from benchmarks.training.learner import Learner, NonFiniteError
from benchmarks.training.stopwatch import Stopwatch
from tasks.task import Task

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
DEVICES = pytest.mark.parametrize("name", ["cpu", pytest.param("cuda", marks=GPU)])
MASKED = pytest.mark.parametrize("masked", [False, True], ids=["dense", "sparse"])


@pytest.fixture(autouse=True)
def steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only the number of steps decide when numbers are read, not the time since the last reading."""
    monkeypatch.setattr(step_metrics, "SECONDS", math.inf)


def task(root: Path, device: str) -> Task:
    return workloads.task("imagenet_resnet18", root, torch.device(device), ROWS["imagenet_resnet18"].recipe("smoke"))


def weights(learner: Learner) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.model.parameters()]


class NoReading(TorchDispatchMode):
    """Raises at operations that copy a value of a tensor to the host: on a GPU they would wait."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default), func
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def no_waiting(device: str) -> Iterator[None]:
    """Context in which waiting for the device is an error."""
    if device == "cpu":
        with NoReading():
            yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@DEVICES
@MASKED
def test_between_two_readings_neither_batches_nor_steps_wait_for_the_device(
    name: str, masked: bool, tmp_path: Path
) -> None:
    one = task(tmp_path, name)
    learner, batches = workloads.learner(one, masked), one.batches(0, 12)
    for _ in range(3):  # the first starts the phase and, in S, checks the weights
        learner.train_step(next(batches), 0)
    with no_waiting(name):
        for _ in range(3):
            batch = next(batches)
            learner.train_step(batch, 0)
    learner.read()
    assert len(learner.journal.take_unread()) == 6
    with pytest.raises((AssertionError, RuntimeError)), no_waiting(name):
        torch.ones((), device=name).item()
    learner.finish()


@DEVICES
@pytest.mark.parametrize("before", [0, 2])
def test_no_update_is_made_from_the_first_step_on_that_is_not_finite(name: str, before: int, tmp_path: Path) -> None:
    one = task(tmp_path, name)
    learner, batches = workloads.learner(one, masked=False), one.batches(0, 9)
    for _ in range(before):
        learner.train_step(next(batches), 0)
    assert all(parameter.is_cuda == (name == "cuda") for parameter in learner.model.parameters())
    kept = weights(learner)
    x, y = next(batches)
    learner.train_step((x * math.nan, y), 0)
    learner.train_step(next(batches), 0)
    with pytest.raises(NonFiniteError, match=f"dense phase, step {before} "):
        learner.state()  # no state is returned: skipping the very first step leaves the momentum uninitialised
    assert all(torch.equal(now, then) for now, then in zip(weights(learner), kept, strict=True))
    assert learner.step == before


@DEVICES
@MASKED
def test_the_same_steps_give_the_same_weights_to_the_bit(name: str, masked: bool, tmp_path: Path) -> None:
    one = task(tmp_path, name)
    found = []
    with determinism.demanded(torch.device(name)) as met:
        for _ in range(2):
            learner = workloads.learner(one, masked)
            for batch in one.batches(0, 4):
                learner.train_step(batch, 0)
            learner.finish()
            found.append(weights(learner))
    assert met == set()
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@GPU
def test_the_stopwatch_counts_the_time_of_the_device_and_does_not_wait_for_it() -> None:
    watch = Stopwatch(torch.device("cuda"))
    watch.start()
    torch.cuda._sleep(200_000_000)  # cycles: about 0.1 s
    watch.stop()
    assert watch.take() == 0.0
    torch.cuda.synchronize()
    assert 0.02 < watch.take() < 2.0
    assert watch.take() == 0.0
