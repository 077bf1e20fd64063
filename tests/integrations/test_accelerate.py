"""Accelerate: a prepared model and optimizer, gradient accumulation and clipping, and its own checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from tests.integrations import runs

pytest.importorskip("accelerate", reason="accelerate is not installed: nox -s integrations")

from accelerate import Accelerator
from accelerate.state import AcceleratorState


def train(folder: Path, first: int, each: int, **options: Any) -> list[Tensor]:
    # Without this, the process keeps the precision of its first run.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=each, **options)
    plain = runs.network()
    model, optimizer = accelerator.prepare(plain, runs.sgd(plain.parameters()))
    phases, watch = runs.phases(), runs.Watch(first)
    accelerator.register_for_checkpointing(phases)
    if first:
        accelerator.load_state(folder / str(first))
    for batch in range(first * each, runs.STEPS * each):
        step, part = divmod(batch, each)
        if not (first or part):
            accelerator.save_state(folder / str(step))
        with accelerator.accumulate(model):
            phases.at(step, model, optimizer)
            accelerator.backward(runs.loss_of(model(runs.BATCHES[batch])))
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), runs.CLIP)
            optimizer.step()
            optimizer.zero_grad()
        if part == each - 1:
            watch.look(step, phases.masks, plain)
    watch.done(plain)
    return runs.bits(model.state_dict(), optimizer.state_dict())


@pytest.mark.parametrize(("each", "precision"), [(1, "no"), (2, "no"), (1, "bf16")])
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(each: int, precision: str, tmp_path: Path) -> None:
    wanted = train(tmp_path, 0, each, mixed_precision=precision)
    for first in runs.STOPS:
        assert runs.same(train(tmp_path, first, each, mixed_precision=precision), wanted), first
