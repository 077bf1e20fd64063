"""The numbers of a step are read later: what is reported and kept, and what late reading must not change."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.arms.arm import Hooks
from benchmarks.arms.swa import Averaging
from benchmarks.records import store
from benchmarks.training import step_metrics
from benchmarks.training.learner import Learner, NonFiniteError
from dsd.schedule import Phase, Schedule
from tasks.recipe import RmsProp
from tasks.task import Shown
from tests.benchmarks import toy
from tests.benchmarks.test_trial import StopAt, comparable, run

LONG = dataclasses.replace(
    toy.RECIPE,
    evaluate_every=1000,
    schedule=Schedule((Phase("dense", 12, 0.1), Phase("sparse", 12, 0.05, sparsity=0.5), Phase("redense", 1, 0.01))),
)
"""Phases of 60 steps, more than the 50 between two readings, tested at their ends."""


@pytest.fixture(autouse=True)
def steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only the number of steps decide when numbers are read, not the time since the last reading."""
    monkeypatch.setattr(step_metrics, "SECONDS", math.inf)


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, int], tuple[Learner, dict[str, Tensor]]]:
    """Every learner and its weights before each step of the data stream."""
    found = {}
    original = Learner.train_step

    def spy(self: Learner, batch: object, noise_seed: int) -> None:
        now = {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}
        found[self.name, self.offset + self.step] = self, now
        original(self, batch, noise_seed)

    monkeypatch.setattr(Learner, "train_step", spy)
    return found


def unchanged(learner: Learner, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(parameter, before[name]) for name, parameter in learner.model.named_parameters())


@pytest.mark.parametrize(("poison", "read"), [(0, 50), (20, 50), (49, 50), (50, 60)])
@pytest.mark.promise(8)
def test_a_nan_is_reported_with_its_step_and_samples_when_it_is_read(
    tmp_path: Path, weights: dict[tuple[str, int], tuple[Learner, dict[str, Tensor]]], poison: int, read: int
) -> None:
    task = toy.ToyTask(LONG, poison=poison)
    with pytest.raises(NonFiniteError, match=rf"loss is nan in arm 'dense', dense phase, step {poison} .*Batch: "):
        run(task, tmp_path)
    assert task.served == list(range(read))
    learner, before = weights["dense", poison]
    assert unchanged(learner, before)
    assert poison == 0 or not unchanged(learner, weights["dense", poison - 1][1])
    (path,) = (tmp_path / "records").glob("*.json")
    record = store.read(path)
    assert record.failure is not None
    assert record.failure.step == record.cost.steps == poison
    assert all(sample in record.failure.message for sample in task.batch_ids(poison))


@pytest.mark.promise(8)
def test_the_earliest_step_of_any_arm_is_reported(
    tmp_path: Path, weights: dict[tuple[str, int], tuple[Learner, dict[str, Tensor]]]
) -> None:
    class Steep(toy.ToyTask):
        def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Shown]]:
            loss, shown = super().loss(model, batch)
            step = self.served[-1]
            bad = {70: "dsd", 80: "control"}.get(step)
            if bad and (bad, step) in weights and model is weights[bad, step][0].model:
                # Finite, but its derivative at zero is not.
                loss = loss + (next(iter(model.parameters())).flatten()[0] * 0).sqrt()
            return loss, shown

    arms = ("control", "dsd", "set")
    with pytest.raises(NonFiniteError, match="the gradient's norm is nan in arm 'dsd', sparse phase, step 10"):
        run(Steep(LONG), tmp_path, arms=arms)
    for arm, step in (("dsd", 70), ("control", 80)):
        assert unchanged(*weights[arm, step])
    (path,) = (tmp_path / "records").glob("*.json")
    # Numbers are read after the control's step 50, before that of the last arm.
    assert store.read(path).cost.steps == 60 + 10 + 20 + 49


@pytest.mark.promise(8)
def test_nothing_is_saved_after_a_step_that_is_not_finite(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="step 5 "):
        run(toy.ToyTask(LONG, poison=5), tmp_path, StopAt(9))
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.promise(8)
def test_a_mask_does_not_move_and_no_hook_runs_after_a_step_that_is_not_finite(
    tmp_path: Path,
    weights: dict[tuple[str, int], tuple[Learner, dict[str, Tensor]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(NonFiniteError, match="arm 'set', sparse phase, step 17 "):
        run(toy.ToyTask(LONG, poison=77), tmp_path / "set", arms=("set",))
    assert unchanged(*weights["set", 77])
    assert ("set", 78) in weights  # the next move of masks is due at this step
    assert ("set", 79) not in weights
    seen: list[int] = []
    original = Hooks.after_step

    def after_step(self: Hooks, model: nn.Module, step: int) -> None:
        seen.append(step)
        original(self, model, step)

    monkeypatch.setattr(Averaging, "after_step", after_step)
    with pytest.raises(NonFiniteError, match="arm 'swa', dense phase, step 17 "):
        run(toy.ToyTask(LONG, poison=77), tmp_path / "swa", arms=("swa",))
    assert seen == list(range(17))


@pytest.mark.promise(8)
def test_an_optimizer_that_cannot_skip_is_not_stepped(
    tmp_path: Path, weights: dict[tuple[str, int], tuple[Learner, dict[str, Tensor]]]
) -> None:
    recipe = dataclasses.replace(LONG, optimizer=RmsProp(alpha=0.99, eps=1e-4, weight_decay=1e-3))
    task = toy.ToyTask(recipe, poison=20)
    with pytest.raises(NonFiniteError, match="arm 'dense', dense phase, step 20 "):
        run(task, tmp_path)
    assert task.served == list(range(21))
    assert unchanged(*weights["dense", 20])


@pytest.mark.promise(1)
def test_when_numbers_are_read_changes_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(LONG, clip_norm=0.5)
    arms = ("control", "dsd", "set", "sam")
    late, _ = run(toy.ToyTask(recipe), tmp_path / "late", arms=arms)
    monkeypatch.setattr(step_metrics, "EVERY", 1)
    soon, _ = run(toy.ToyTask(recipe), tmp_path / "soon", arms=arms)
    assert comparable(late) == comparable(soon)
