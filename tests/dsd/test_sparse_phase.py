"""Entering, leaving and resuming a sparse phase, and refused arguments."""

import copy
from contextlib import ExitStack

import pytest
import torch
from torch import nn, optim

import dsd
from dsd import holding
from dsd.zeroing import any_pruned


@pytest.fixture
def optimizer(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def bits(model: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def clean(model: nn.Module, optimizer: optim.Optimizer) -> bool:
    hooks = [p._post_accumulate_grad_hooks for p in model.parameters()]
    return not any(hooks) and not optimizer._optimizer_step_post_hooks


def test_an_exception_leaves_no_hook_and_no_restart(model: nn.Module, optimizer: optim.Optimizer, step) -> None:
    with pytest.raises(KeyError), dsd.sparse(model, optimizer, 0.5):  # noqa: PT012 - the body is what is tested
        step(model, optimizer, 0)
        raise KeyError
    assert clean(model, optimizer)
    assert "momentum_buffer" in optimizer.state[model[6].weight]


def test_leaving_that_is_refused_releases_the_masks_and_leaves_the_optimizer_alone(
    model: nn.Module, optimizer: optim.Optimizer, step
) -> None:
    before: list[torch.Tensor] = []
    with pytest.raises(ValueError, match=r"SGD keeps 'slow' for 6\.weight"):  # noqa: PT012, SIM117 - leaving raises
        with dsd.sparse(model, optimizer, 0.5, state="keep") as masks:
            step(model, optimizer, 0)
            optimizer.state[model[6].weight]["slow"] = torch.ones_like(model[6].weight)
            before = [*bits(model), optimizer.state[model[6].weight]["momentum_buffer"].clone()]
    assert clean(model, optimizer)
    assert same([*bits(model), optimizer.state[model[6].weight]["momentum_buffer"]], before)
    dsd.restart(optimizer, masks=masks, model=model)
    assert not optimizer.state[model[6].weight]


def test_resuming_inside_the_sparse_phase_equals_not_stopping(
    model: nn.Module, optimizer: optim.Optimizer, step
) -> None:
    step(model, optimizer, 0)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        step(model, optimizer, 1)
        saved = copy.deepcopy((model.state_dict(), optimizer.state_dict(), dsd.pack(masks)))
        for i in (2, 3):
            step(model, optimizer, i)
    other = copy.deepcopy(model)
    resumed = optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    other.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    with dsd.hold(other, resumed, dsd.unpack(saved[2], like=other)) as held:
        assert all(torch.equal(held[n], mask) for n, mask in masks.items())
        for i in (2, 3):
            step(other, resumed, i)
    assert same(bits(model), bits(other))
    assert clean(other, resumed)
    assert "momentum_buffer" in resumed.state[other[6].weight]  # hold leaves the state alone


def test_hold_applies_masks_of_any_strides_at_once(model: nn.Module, optimizer: optim.Optimizer, positive_zero) -> None:
    model.to(memory_format=torch.channels_last)
    masks = {"3.weight": torch.rand(8, 8, 3, 3) > 0.5}
    with dsd.hold(model, optimizer, masks):
        assert positive_zero(model[3].weight[~masks["3.weight"]])
        assert model[6].weight.count_nonzero() == 34 * 128


def test_loading_states_inside_the_phase_is_masked_at_the_next_step(
    model: nn.Module, optimizer: optim.Optimizer, step, positive_zero
) -> None:
    step(model, optimizer, 0)
    dense = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    with dsd.sparse(model, optimizer, 0.5) as masks:
        step(model, optimizer, 1)
        model.load_state_dict(dense[0])
        optimizer.load_state_dict(dense[1])
        assert model[6].weight.count_nonzero() == 34 * 128
        with pytest.warns(
            UserWarning, match=r"pruned weights of 0\.weight are not zero before a step: .*load_state_dict"
        ):
            step(model, optimizer, 2)
        assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())
        assert model[6].weight.count_nonzero() == 34 * 64


def test_a_replaced_parameter_is_noticed(model: nn.Module, optimizer: optim.Optimizer, step) -> None:
    with dsd.sparse(model, optimizer, 0.5):
        model.load_state_dict({k: v.clone() for k, v in model.state_dict().items()}, assign=True)
        with pytest.raises(RuntimeError, match=r"0\.weight was replaced while its mask was held"):
            step(model, optimizer, 0)
    assert clean(model, optimizer)


def test_a_parametrized_and_so_removed_parameter_is_noticed(model: nn.Module, optimizer: optim.Optimizer, step) -> None:
    with dsd.hold(model, optimizer, dsd.select(model, 0.5)):
        nn.utils.parametrizations.weight_norm(model[6])
        with pytest.raises(RuntimeError, match=r"6\.weight was replaced while its mask was held"):
            step(model, optimizer, 0)


def test_one_weight_is_held_once(model: nn.Module, optimizer: optim.Optimizer) -> None:
    with dsd.sparse(model, optimizer, 0.5, skip=["0"]) as masks:
        before = bits(model)
        for context in (
            dsd.sparse(model, optimizer, 0.9, skip=["0", "3"]),
            dsd.hold(model, optimizer, {"6.weight": masks["6.weight"]}),
        ):
            with pytest.raises(ValueError, match=r"6\.weight is held by a mask already"), context:
                raise AssertionError
        assert same(bits(model), before)
        with dsd.sparse(model, optimizer, 0.5, skip=["3", "6"]) as other:  # another weight can be held
            assert int((model[0].weight == 0).sum()) == int((~other["0.weight"]).sum()) == 108
    with dsd.sparse(model, optimizer, 0.5):
        pass
    assert clean(model, optimizer)


def test_a_holder_that_was_forgotten_holds_nothing_else(model: nn.Module, optimizer: optim.Optimizer) -> None:
    forgotten = ExitStack()  # the phase is never left, for example after an exception elsewhere
    forgotten.enter_context(dsd.sparse(model, optimizer, 0.5))
    copied = copy.deepcopy(model)
    with dsd.sparse(copied, optim.SGD(copied.parameters(), lr=0.1), 0.5):
        assert not clean(copied, optimizer)
    forgotten.close()
    assert clean(model, optimizer)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"6.wieght": torch.ones(34, 128, dtype=torch.bool)}, r"'6\.wieght' belongs to no parameter.*mean '6\.weight'"),
        ({"6.weight": torch.ones(128, 34, dtype=torch.bool)}, r"6\.weight must be bool \(34, 128\), got .*\(128, 34\)"),
        ({"6.weight": torch.ones(34, 128)}, r"6\.weight must be bool \(34, 128\), got torch\.float32"),
    ],
)
def test_masks_that_do_not_fit_are_refused(masks, message: str, model: nn.Module, optimizer: optim.Optimizer) -> None:
    before = bits(model)
    with pytest.raises(ValueError, match=message), dsd.hold(model, optimizer, masks):
        raise AssertionError
    assert same(bits(model), before)
    assert clean(model, optimizer)


def test_both_names_of_a_tied_tensor_are_one_weight() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    mask = torch.eye(4, dtype=torch.bool)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    with (
        pytest.raises(ValueError, match=r"1\.weight is held"),
        dsd.hold(net, optimizer, {"0.weight": mask, "1.weight": mask}),
    ):
        raise AssertionError


def test_a_weight_the_optimizer_does_not_step_is_refused(model: nn.Module) -> None:
    optimizer = optim.SGD([*model[3].parameters(), *model[6].parameters()], lr=0.1)
    before = bits(model)
    with pytest.raises(ValueError, match=r"the optimizer does not hold 0\.weight"), dsd.sparse(model, optimizer, 0.5):
        raise AssertionError
    with pytest.raises(ValueError, match=r"must be one of \('fresh', 'keep'\), got 'new'"):  # noqa: SIM117
        with dsd.sparse(model, optimizer, 0.5, skip=["0"], state="new"):  # type: ignore[arg-type]
            raise AssertionError
    assert same(bits(model), before)


def test_a_sparse_gradient_is_refused_by_name() -> None:
    net = nn.Sequential(nn.Embedding(10, 4, sparse=True))
    with dsd.sparse(net, optim.SGD(net.parameters(), lr=0.1), 0.5):
        loss = net(torch.tensor([1, 2])).sum()
        with pytest.raises(ValueError, match=r"the gradient of 0\.weight is sparse"):
            loss.backward()


def test_a_sparse_gradient_that_is_there_already_is_refused_before_anything_is_pruned() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Embedding(10, 4, sparse=True))
    net[1](torch.tensor([1, 2])).sum().backward()
    before = bits(net)
    phase = dsd.sparse(net, optim.SGD(net.parameters(), lr=0.1), 0.5)
    with pytest.raises(ValueError, match=r"the gradient of 1\.weight is sparse"), phase:
        raise AssertionError
    assert same(bits(net), before)


@pytest.mark.parametrize("pace", [1, 3])
def test_one_layer_a_turn_is_looked_at_before_a_step_and_all_on_leaving(
    pace: int, model: nn.Module, optimizer: optim.Optimizer, step, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[int, ...]] = []

    def look(weight: torch.Tensor, kept: torch.Tensor) -> bool:
        looked.append(tuple(weight.shape))
        return any_pruned(weight, kept)

    monkeypatch.setattr(holding, "any_pruned", look)
    every = [(8, 3, 3, 3), (8, 8, 3, 3), (34, 128)]
    with dsd.sparse(model, optimizer, 0.5) as masks:
        masks._holding._pace = pace
        for i in range(6):
            step(model, optimizer, i)
        assert looked == (every * 2)[: 6 // pace]
        looked.clear()
    assert looked == every


def test_a_learning_rate_scheduler_made_inside_or_outside_does_no_harm(
    model: nn.Module, optimizer: optim.Optimizer, step, positive_zero
) -> None:
    optim.lr_scheduler.StepLR(optimizer, 1)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        scheduler = optim.lr_scheduler.StepLR(optimizer, 1)
        for i in range(2):
            step(model, optimizer, i)
            scheduler.step()
            assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001)  # a restart does not change the learning rate
