"""Fabric: models and optimizers after its `setup`, and its own checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from tests.integrations import runs

pytest.importorskip("lightning", reason="Lightning is not installed: nox -s integrations")

from lightning.fabric import Fabric


def train(folder: Path, first: int, **options: Any) -> list[Tensor]:
    fabric = Fabric(accelerator="cpu", **options)
    plain = runs.network()
    model, optimizer = fabric.setup(plain, runs.sgd(plain.parameters()))
    phases, watch = runs.phases(), runs.Watch(first)
    state = {"model": model, "optimizer": optimizer, "phases": phases}
    if first:
        fabric.load(folder / f"{first}.ckpt", state)
    for step in range(first, runs.STEPS):
        if not first:
            fabric.save(folder / f"{step}.ckpt", state)
        phases.at(step, model, optimizer)
        optimizer.zero_grad()
        fabric.backward(runs.loss_of(model(runs.BATCHES[step])))
        fabric.clip_gradients(model, optimizer, max_norm=runs.CLIP)
        optimizer.step()
        watch.look(step, phases.masks, plain)
    watch.done(plain)
    return runs.bits(model.state_dict(), optimizer.state_dict())


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(precision: Any, tmp_path: Path) -> None:
    wanted = train(tmp_path, 0, precision=precision)
    for first in runs.STOPS:
        assert runs.same(train(tmp_path, first, precision=precision), wanted), first
