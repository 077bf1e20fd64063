"""Compare the losses of each row's first steps on a device, on the CPU and in losses.json, in float64 and with masks.

    python -m benchmarks.perf.gpu.losses --save

saves this CPU's losses to losses.json. This is needed only after a change that is meant to alter numbers.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor

import dsd
from benchmarks.arms.arm import ArmPlan
from benchmarks.perf import workloads
from benchmarks.perf.gpu.measure import note
from benchmarks.rows import ROWS
from benchmarks.training import determinism
from benchmarks.training.learner import Learner, make_optimizer
from tasks.recipe import Recipe, scaled

PATH = Path(__file__).with_name("losses.json")
STEPS, BATCH, SPARSITY, RATE = 3, 16, 0.3, 0.01
"""RATE multiplies learning rates. Even with it, three steps of ResNet-50 turn a change of 1e-14 in its weights into one of 1e-9."""
BOUND = 1e-6
"""Maximum relative difference. Devices and torch versions sum in different orders, and training amplifies the rounding errors."""


def recipe(row: str) -> Recipe:
    """Return the row's `small` recipe with small batches, low rates and no dropout, because its noise differs between devices."""
    small = ROWS[row].recipe("small")
    dropout = getattr(small.model, "dropout", None)
    none = tuple(0.0 for _ in dropout) if isinstance(dropout, tuple) else 0.0
    model = small.model if dropout is None else dataclasses.replace(small.model, dropout=none)
    return dataclasses.replace(small, batch_size=BATCH, model=model, schedule=scaled(small.schedule, 1, RATE))


def losses(row: str, root: Path, device: torch.device) -> list[float]:
    """Return the losses of the first steps of `row` in float64 with masks held. Batches are made on the CPU."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return _losses(row, root, device)
    finally:
        torch.set_default_dtype(before)


def _losses(row: str, root: Path, device: torch.device) -> list[float]:
    own = recipe(row)
    task = workloads.task(row, root / "device", device, own)
    batches = workloads.task(row, root / "cpu", workloads.CPU, own).batches
    model = task.model().double()
    learner = Learner(ArmPlan("control", own.schedule), task, model, make_optimizer(own, model))
    masks = dsd.select(model, SPARSITY, skip=own.skip)
    first = task.steps_per_epoch()
    with determinism.demanded(device), dsd.hold(model, learner.optimizer, masks):
        for batch in batches(first, first + STEPS):
            learner.train_step(_in_float64(batch, device), 0)
        learner.read()
    return [numbers["loss"] for numbers in learner.journal.take_unread()]


def _in_float64(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, torch.float64 if value.is_floating_point() else value.dtype)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{name: _in_float64(held, device) for name, held in vars(value).items()})
    return tuple(_in_float64(held, device) for held in value) if isinstance(value, tuple) else value


def difference(a: list[float], b: list[float]) -> float:
    """Return the largest relative difference of two lists of losses; infinite if a loss is NaN or infinite."""
    found = [abs(x - y) / max(abs(y), 1e-12) for x, y in zip(a, b, strict=True)]
    return max(found) if all(map(math.isfinite, found)) else math.inf


def main(device: str = "cpu", out: Path | None = None, rehearse: bool = False, save: bool = False) -> int:
    """Compare the rows' losses, and return 1 if any differ by more than `BOUND`.

    Args:
        device: compared with this CPU and with losses.json.
        out: a folder for measured.jsonl.
        rehearse: only three rows, one of each domain.
        save: keep this CPU's losses in losses.json.
    """
    kept = {} if save else json.loads(PATH.read_text(encoding="utf-8"))
    rows = ("imagenet_resnet18", "flickr8k_neuraltalk", "librispeech_deepspeech") if rehearse else tuple(ROWS)
    worst = 0.0
    for row in rows:
        with tempfile.TemporaryDirectory() as folder:
            here = losses(row, Path(folder) / "cpu", workloads.CPU)
            if save:
                kept[row] = here
                continue
            there = losses(row, Path(folder) / "device", torch.device(device))
        apart = {"device_and_cpu": difference(there, here), "cpu_and_kept": difference(here, kept[row])}
        worst = max(worst, *apart.values())
        if out is not None:
            note(out, "losses", row=row, **apart, bound=BOUND, agrees=max(apart.values()) <= BOUND)
    if save:
        PATH.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return int(worst > BOUND)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
