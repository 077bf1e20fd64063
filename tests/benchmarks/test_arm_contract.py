"""The contract of every arm in the folder of arms."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from benchmarks.arms.arm import Hooks
from benchmarks.arms.registry import ARMS, arm_plan
from benchmarks.audit.checks import audit
from benchmarks.training.interruption import InterruptedTrial
from dsd.schedule import Schedule
from tasks.task import Shown
from tests.benchmarks import toy
from tests.benchmarks.test_registry import BLOCK_TORCH
from tests.benchmarks.test_trial import StopAt, comparable, run

# S has a tenth of D's learning rate and D2 has less, so that every arm has its own schedule.
_RATES = (0.1, 0.01, 0.001)
RECIPE = dataclasses.replace(
    toy.RECIPE,
    schedule=Schedule(tuple(dataclasses.replace(p, lr=lr) for p, lr in zip(toy.RECIPE.schedule, _RATES, strict=True))),
)


class Recording(toy.ToyTask):
    """Records the batches on which each network was trained."""

    def __init__(self) -> None:
        super().__init__(RECIPE)
        self.seen: dict[int, list[float]] = {}

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Shown]]:
        if model.training:
            seen = self.seen.setdefault(id(model), [])
            if not seen or seen[-1] != float(batch[0].sum()):  # the same batch twice in a row: its second gradient
                seen.append(float(batch[0].sum()))
        return super().loss(model, batch)


def together(name: str) -> tuple[str, ...]:
    """Return the arms that a trial of `name` needs."""
    return tuple(dict.fromkeys(("control", ARMS[name].compared_with, name)))


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_takes_the_controls_steps_on_the_controls_batches(tmp_path: Path, name: str) -> None:
    task = Recording()
    record, trial = run(task, tmp_path, arms=together(name))
    assert task.served[:22] == list(range(22))  # steps of D and of the arms; each batch is fetched once
    arm, control = record.arms[name], record.arms["control"]
    assert arm.cost.steps == control.cost.steps == 12
    assert sum(phase.steps for phase in arm.phases) == 12
    of = trial.learners
    ours, theirs = (task.seen[id(of[one].model)] for one in (name, "control"))
    shared = sum(phase.steps for phase in arm.phases[: arm.shared_phases])
    assert ours[: 12 - shared] == theirs[shared:12]
    found = {finding.check: finding for finding in audit(record)}
    assert found["masks"].status in ("holds", "not applicable"), found["masks"].detail
    assert found["schedule"].status == found["cost"].status == found["curve"].status == "holds"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Returns the comparable part of the record of an arm's trial without interruptions."""

    @cache
    def record(name: str) -> str:
        found, _ = run(toy.ToyTask(RECIPE), tmp_path_factory.mktemp(name), arms=together(name))
        return json.dumps(comparable(found))

    return record


@pytest.mark.promise(2)
@pytest.mark.parametrize("step", range(11, 23))  # every step after D
@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if not arm.sparsity])
def test_an_arm_goes_on_exactly_where_it_was_stopped(
    tmp_path: Path, name: str, step: int, whole: Callable[[str], str]
) -> None:
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(RECIPE), tmp_path / "stopped", StopAt(step), arms=together(name))
    resumed, _ = run(toy.ToyTask(RECIPE), tmp_path / "stopped", arms=together(name))
    assert json.dumps(comparable(resumed)) == whole(name)


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_has_a_complete_card(name: str) -> None:
    arm = ARMS[name]
    assert arm.name == name
    assert arm.label
    assert arm.meaning
    assert arm.meaning[-1] not in ".;:"
    assert arm.main or arm.short or arm.sparsity is not None, "a figure calls it by `short`"
    assert ARMS[arm.compared_with].reference, "what it is compared with needs a name as a reference"
    assert arm.card.source
    for claim in arm.card.claims:
        required: dict[str, Any] = dataclasses.asdict(claim)
        assert all(required[field] for field in ("network", "data", "metric", "gain", "where", "mark"))
    assert arm.card.deviations or arm.card.unknown
    assert arm.costs.gradients_per_step >= 1
    assert arm.moves_masks == (type(arm.hooks(12)).masks_at is not Hooks.masks_at)


@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if arm.main])
def test_a_main_arm_has_a_colour(name: str) -> None:
    from benchmarks.reporting.figures.canvas import COLOURS

    assert name in COLOURS


def test_acdc_alternates_at_the_controls_rates() -> None:
    acdc, control = (arm_plan(RECIPE, name, 500).schedule for name in ("acdc", "control"))
    assert [phase.kind for phase in acdc] == ["sparse", "redense"] * 4
    assert {phase.sparsity for phase in acdc if phase.kind == "sparse"} == {0.5}
    steps = control.boundaries(500)[-1]
    assert [acdc.at(step, 500).lr for step in range(steps)] == [control.at(step, 500).lr for step in range(steps)]


def test_a_piece_of_a_decay_falls_as_the_whole_does() -> None:
    dense = RECIPE.schedule.phases[0]  # its learning rate falls after each of its two epochs
    recipe = dataclasses.replace(
        RECIPE, schedule=Schedule((dense, dataclasses.replace(dense, kind="sparse", sparsity=0.5, lr=0.05)))
    )
    acdc, control = (arm_plan(recipe, name, 8).schedule for name in ("acdc", "control"))
    rates = [acdc.at(step, 8).lr for step in range(16)]
    assert rates == [control.at(step, 8).lr for step in range(16)] == [0.05] * 8 + [pytest.approx(0.005)] * 8


def test_arms_are_read_without_torch() -> None:
    code = (
        BLOCK_TORCH.replace('"torch", ', '"torch", "torchvision", ')
        + "from benchmarks.arms.registry import ARMS; print(len(ARMS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(ARMS)
