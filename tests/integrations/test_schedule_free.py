"""Schedule-free optimizers: zeros in the weights that are trained, and in those that are evaluated."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

import dsd
from tests.integrations import runs

schedulefree = pytest.importorskip("schedulefree", reason="schedulefree is not installed: nox -s integrations")

MAKE: dict[str, Any] = {
    "sgd": lambda p: schedulefree.SGDScheduleFree(p, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "adamw": lambda p: schedulefree.AdamWScheduleFree(p, lr=0.01, weight_decay=1e-2),
    # By default it updates nothing in its first five steps.
    "radam": lambda p: schedulefree.RAdamScheduleFree(p, lr=0.01, silent_sgd_phase=False),
}


class Run:
    def __init__(self, name: str) -> None:
        self.plain, self.phases = runs.network(), runs.phases()
        self.optimizer = MAKE[name](self.plain.parameters())

    def step(self, step: int) -> None:
        model, optimizer, phases = self.plain, self.optimizer, self.phases
        optimizer.train()
        phases.at(step, model, optimizer)
        optimizer.zero_grad()
        runs.loss_of(model(runs.BATCHES[step])).backward()
        nn.utils.clip_grad_norm_(model.parameters(), runs.CLIP)
        optimizer.step()
        optimizer.eval()
        for name, kept in (phases.masks or {}).items():
            assert not model.get_parameter(name)[~kept].any()
            assert model.get_parameter(name)[kept].all()
        optimizer.train()

    def states(self) -> dict[str, Any]:
        one = {"model": self.plain.state_dict(), "optimizer": self.optimizer.state_dict()}
        return one | {"phases": self.phases.state_dict()}

    def load(self, states: dict[str, Any]) -> None:
        self.plain.load_state_dict(states["model"])
        self.optimizer.load_state_dict(states["optimizer"])
        self.phases.load_state_dict(states["phases"])


@pytest.mark.parametrize("name", MAKE)
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(name: str) -> None:
    runs.resumes_at_every_step(lambda: Run(name))


def test_keeping_its_state_is_refused() -> None:
    run = Run("sgd")
    run.step(0)
    before = runs.bits(run.states())
    with (
        pytest.raises(ValueError, match=r"SGDScheduleFree keeps 'z' for 0\.weight.*use state='fresh'"),
        dsd.sparse(run.plain, run.optimizer, 0.5, state="keep"),
    ):
        raise AssertionError
    assert runs.same(runs.bits(run.states()), before)
