"""Plain torch: accumulated batches, GradScaler and autocast; a step that GradScaler skips counts as a step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.integrations import runs

SKIPPED = 3
"""A step inside the sparse phase that GradScaler skips."""


class Run:
    def __init__(self, skipped: int | None, each: bool) -> None:
        self.plain, self.phases, self.skipped, self.each = runs.network(), runs.phases(), skipped, each
        self.optimizer = runs.sgd(self.plain.parameters())
        self.scaler = torch.amp.GradScaler("cpu")

    def loss_of(self, batch: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return runs.loss_of(self.plain(batch))

    def step(self, step: int) -> None:
        model, optimizer, phases, scaler, loss_of = self.plain, self.optimizer, self.phases, self.scaler, self.loss_of
        batches = runs.BATCHES[2 * step : 2 * step + 2]
        if step == self.skipped:
            batches = batches * torch.inf
        before = runs.bits(model.state_dict(), optimizer.state_dict())
        phases.at(step, model, optimizer)
        for batch in batches:
            if self.each:
                phases.at(step, model, optimizer)
            scaler.scale(loss_of(batch) / len(batches)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), runs.CLIP)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        unchanged = runs.same(runs.bits(model.state_dict(), optimizer.state_dict()), before)
        assert unchanged == (step == self.skipped)

    def states(self) -> dict[str, Any]:
        parts = {"model": self.plain, "optimizer": self.optimizer, "phases": self.phases, "scaler": self.scaler}
        return {name: part.state_dict() for name, part in parts.items()}

    def load(self, states: dict[str, Any]) -> None:
        self.plain.load_state_dict(states["model"])
        self.optimizer.load_state_dict(states["optimizer"])
        self.phases.load_state_dict(states["phases"])
        self.scaler.load_state_dict(states["scaler"])


@pytest.mark.parametrize("skipped", [None, SKIPPED])
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(skipped: int | None) -> None:
    once: list[dict[str, Any]] = []
    each: list[dict[str, Any]] = []
    runs.resumes_at_every_step(lambda: Run(skipped, each=False), once.append)
    runs.resumes_at_every_step(lambda: Run(skipped, each=True), each.append)
    assert once[0]["scaler"]["scale"] == 65536 / (1 if skipped is None else 2)
    assert runs.same(runs.bits(each[0]["model"]), runs.bits(once[0]["model"]))
