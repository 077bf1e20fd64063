"""timm: optimizers from its factory, and its running average of the weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from torch import nn

import dsd
from tests.integrations import runs

pytest.importorskip("timm", reason="timm is not installed: nox -s integrations")

from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3

OPTIMIZERS = ("momentum", "adamw", "nadamw", "lamb", "adan", "lion", "adafactor", "rmsproptf", "lookahead_momentum")


class Run:
    """A loop with an average that began before the sparse phase."""

    def __init__(self, opt: str) -> None:
        self.plain, self.phases = runs.network(), runs.phases()
        self.optimizer = create_optimizer_v2(self.plain, opt=opt, lr=0.01, weight_decay=1e-2, momentum=0.9)
        self.ema = ModelEmaV3(self.plain, decay=0.9)

    def step(self, step: int) -> None:
        model, optimizer, ema, phases = self.plain, self.optimizer, self.ema, self.phases
        phases.at(step, model, optimizer)
        optimizer.zero_grad()
        runs.loss_of(model(runs.BATCHES[step])).backward()
        nn.utils.clip_grad_norm_(model.parameters(), runs.CLIP)
        optimizer.step()
        ema.update(model)
        average = copy.deepcopy(ema.module)
        dsd.apply(phases.masks or {}, average)
        for name, kept in (phases.masks or {}).items():
            assert not average.get_parameter(name)[~kept].any()
            assert average.get_parameter(name)[kept].all()

    def states(self) -> dict[str, Any]:
        return {
            "model": self.plain.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.module.state_dict(),
            "phases": self.phases.state_dict(),
        }

    def load(self, states: dict[str, Any]) -> None:
        self.plain.load_state_dict(states["model"])
        self.optimizer.load_state_dict(states["optimizer"])
        self.ema.module.load_state_dict(states["ema"])
        self.phases.load_state_dict(states["phases"])


@pytest.mark.parametrize("opt", OPTIMIZERS)
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(opt: str) -> None:
    runs.resumes_at_every_step(lambda: Run(opt))
