"""Measurements on a device, and the file that they are written to."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training.learner import Learner
from tasks.task import Batch

NAME = "measured.jsonl"


def note(out: Path, part: str, **facts: Any) -> None:
    """Append a measurement to `out`/measured.jsonl, one JSON object a line, and print it."""
    line = json.dumps({"part": part, **facts})
    with (out / NAME).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line, flush=True)  # noqa: T201


def wait(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def steps(learner: Learner, batch: Batch, count: int) -> None:
    """Take `count` steps on one batch and wait for them."""
    for _ in range(count):
        learner.train_step(batch, 0)
    learner.read()
    wait(next(learner.model.parameters()).device)


def operations(work: Callable[[], object]) -> int:
    """Return the floating-point operations of `work` in convolutions and matrix products, where a multiply-add counts as two."""
    with FlopCounterMode(display=False) as counted:
        work()
    return int(counted.get_total_flops())


def peak(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Return the device's peak operations per second, measured in a product of two random (size, size) matrices.

    In float32 a GPU may round inputs to TF32, as its convolutions do by default.
    """
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    before, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, True
    seconds = []
    for _ in range(6):
        wait(device)
        started = time.perf_counter()
        for _ in range(5):
            torch.mm(a, b)
        wait(device)
        seconds.append((time.perf_counter() - started) / 5)
    torch.backends.cuda.matmul.allow_tf32 = before
    return 2 * size**3 / statistics.median(seconds[1:])


@contextlib.contextmanager
def busy(device: torch.device) -> Iterator[list[float]]:
    """Context that yields a list. When it ends, the list holds the GPU utilisation in percent, from nvidia-smi every 0.2 s.

    The list stays empty without a GPU or nvidia-smi.
    """
    found: list[float] = []
    if device.type != "cuda" or shutil.which("nvidia-smi") is None:
        yield found
        return
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    with tempfile.TemporaryFile("w+") as lines:
        words = [*query, f"--id={device.index or 0}"]
        process = subprocess.Popen(words, stdout=lines, stderr=subprocess.DEVNULL)  # noqa: S603 - our own words
        try:
            yield found
        finally:
            process.terminate()
            process.wait()
            lines.seek(0)
            found += [float(line) for line in lines.read().split("\n")[1:] if line.strip().isdigit()]
