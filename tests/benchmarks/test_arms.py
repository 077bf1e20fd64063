from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.arms.registry import arm_plan
from benchmarks.arms.sam import sharpen
from benchmarks.arms.swa import Averaging, estimate_batch_norm
from benchmarks.records.schema import Arm
from benchmarks.training.interruption import InterruptedTrial
from benchmarks.training.learner import Learner, make_optimizer
from tests.benchmarks import toy
from tests.benchmarks.test_trial import StopAt, comparable, run


def curve(arm: Arm) -> list[object]:
    return [(point.train, point.test) for point in arm.curve]


def learner(name: str, task: toy.ToyTask) -> Learner:
    model = task.model()
    return Learner(arm_plan(toy.RECIPE, name, 5), task, model, make_optimizer(toy.RECIPE, model), offset=10)


def trained(one: Learner, task: toy.ToyTask, steps: int) -> list[list[torch.Tensor]]:
    """Return the parameters after every step."""
    found = []
    for number, batch in enumerate(task.batches(10, 10 + steps)):
        one.train_step(batch, number)
        found.append([p.detach().clone() for p in one.model.parameters()])
    return found


def test_dsd_at_sparsity_0_is_the_control_bit_for_bit_and_at_others_is_not(tmp_path: Path) -> None:
    record, _ = run(toy.ToyTask(), tmp_path, arms=("control", "dsd", "dsd-0", "dsd-50", "dsd-90"))
    assert curve(record.arms["dsd-0"]) == curve(record.arms["control"])
    assert curve(record.arms["dsd-50"]) == curve(record.arms["dsd"])  # the toy recipe's own sparsity
    assert record.arms["dsd-50"].outcomes == record.arms["dsd"].outcomes
    kept = [mask.kept for mask in record.arms["dsd-90"].phases[0].mask or []]
    assert kept == [128 - 115, 32 - 29]
    assert record.arms["dsd-90"].test != record.arms["control"].test or curve(record.arms["dsd-90"]) != curve(
        record.arms["control"]
    )


def test_dsd_twice_prunes_twice_within_the_same_steps(tmp_path: Path) -> None:
    record, _ = run(toy.ToyTask(), tmp_path, arms=("control", "dsd-twice"))
    phases = record.arms["dsd-twice"].phases
    shape = [(phase.kind, phase.steps) for phase in phases]
    # Ends: 3.5, 6, 9.5 and 12, rounded down.
    assert shape == [("sparse", 3), ("redense", 3), ("sparse", 3), ("redense", 3)]
    assert [phase.mask is not None for phase in phases] == [True, False, True, False]
    assert record.arms["dsd-twice"].cost.steps == record.arms["control"].cost.steps == 12


@pytest.mark.parametrize(("name", "kept"), [("control-keep", True), ("control", False), ("dsd-keep", True)])
def test_a_phase_starts_with_the_momentum_of_the_last_one_only_where_it_is_kept(name: str, kept: bool) -> None:
    task = toy.ToyTask()
    one = learner(name, task)
    trained(one, task, 7)  # to the end of the first phase
    before = copy.deepcopy(one.optimizer.state_dict()["state"])
    one._start_phase(one.position())
    after = one.optimizer.state_dict()["state"]
    assert one.position().first
    if not kept:
        assert not after
        return
    assert after.keys() == before.keys()
    bias = list(dict(one.model.named_parameters())).index("0.bias")  # never pruned
    assert torch.equal(after[bias]["momentum_buffer"], before[bias]["momentum_buffer"])
    one.finish()


def test_swa_ends_at_the_mean_of_the_controls_last_quarter_with_statistics_of_its_own() -> None:
    task = toy.ToyTask()
    control, swa = learner("control", task), learner("swa", task)
    assert swa.plan.own_from == 9  # the last quarter of 12 steps
    path, same = trained(control, task, 12), trained(swa, task, 12)
    assert all(
        torch.equal(a, b) for one, other in zip(path, same, strict=True) for a, b in zip(one, other, strict=True)
    )
    control.evaluate()
    swa.evaluate()
    for mean, *last in zip(swa.model.parameters(), *path[-3:], strict=True):
        torch.testing.assert_close(mean.detach(), sum(last) / 3)
    # The running mean of batch norm is the mean of the linear layer's outputs over the last epoch.
    first, norm = swa.model[0], swa.model[1]  # type: ignore[index]
    inputs = torch.cat([x for x, _ in task.batches(17, 22)])
    torch.testing.assert_close(norm.running_mean, first(inputs).detach().mean(0))
    assert norm.momentum == 0.1
    assert not torch.equal(norm.running_mean, control.model[1].running_mean)  # type: ignore[index]


def test_an_average_that_has_not_begun_changes_nothing() -> None:
    model, task = nn.Linear(2, 2), toy.ToyTask()
    before = model.weight.detach().clone()
    average = Averaging(10)
    average.after_step(model, 9)
    average.at_end(model, task, 0, 5)
    assert average.state() == {}
    assert task.served == []
    assert torch.equal(model.weight, before)


def test_networks_without_batch_norm_see_no_batch_again() -> None:
    task = toy.ToyTask()
    estimate_batch_norm(nn.Linear(10, 4), task, 0, 5)
    assert task.served == []


def test_sam_descends_by_the_gradient_of_the_worst_nearby_point() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    x, y = torch.randn(8, 3), torch.randn(8, 1)

    def backward() -> None:
        model.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()  # type: ignore[no-untyped-call]

    backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    there = copy.deepcopy(model)
    length = torch.stack([p.grad.square().sum() for p in model.parameters() if p.grad is not None]).sum().sqrt()
    with torch.no_grad():
        for moved, p in zip(there.parameters(), model.parameters(), strict=True):
            assert p.grad is not None
            moved.add_(p.grad * (0.05 / length))
    there.zero_grad()
    nn.functional.mse_loss(there(x), y).backward()  # type: ignore[no-untyped-call]
    plain = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    sharpen(model, 0.05, backward)
    for p, expected, old in zip(model.parameters(), there.parameters(), plain, strict=True):
        torch.testing.assert_close(p.grad, expected.grad)
        assert p.grad is not None
        assert not torch.equal(p.grad, old)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name  # weights, running statistics and the number of batches tracked


def test_sam_leaves_a_gradient_of_zero_alone() -> None:
    model = nn.Linear(2, 1)
    model.weight.grad = torch.zeros_like(model.weight)
    sharpen(model, 0.05, lambda: pytest.fail("there is nowhere to climb to"))
    assert model.weight.grad is not None
    assert not model.weight.grad.any()


def test_the_arm_sam_uses_it(tmp_path: Path) -> None:
    record, _ = run(toy.ToyTask(), tmp_path, arms=("control", "sam"))
    assert curve(record.arms["sam"])[0] != curve(record.arms["control"])[0]
    assert record.arms["sam"].cost.steps == record.arms["control"].cost.steps


@pytest.mark.promise(2)
# In the arms' first phase, twice while weights are averaged, at the end.
@pytest.mark.parametrize("step", [13, 20, 21, 22])
def test_stopping_changes_nothing_in_any_arm(tmp_path: Path, step: int) -> None:
    arms = ("control", "dsd-90", "dsd-twice", "control-keep", "dsd-keep", "swa", "sam")
    whole, _ = run(toy.ToyTask(), tmp_path / "whole", arms=arms)
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(), tmp_path / "stopped", StopAt(step), arms=arms)
    resumed, _ = run(toy.ToyTask(), tmp_path / "stopped", arms=arms)
    assert json.dumps(comparable(resumed)) == json.dumps(comparable(whole))


def test_an_unknown_arm_is_named() -> None:
    with pytest.raises(ValueError, match=r"there is no arm 'dsd-33'; arms: dsd, control, "):
        arm_plan(toy.RECIPE, "dsd-33", 5)
