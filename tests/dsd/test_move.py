"""Masks that change within a phase: their weights, gradients and optimizer state; SET and RigL."""

from __future__ import annotations

import copy
import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn, optim

import dsd

PATH = Path(dsd.__file__).parent.parent / "examples" / "moving_masks.py"
SPEC = importlib.util.spec_from_file_location("moving_masks", PATH)
assert SPEC is not None
assert SPEC.loader is not None
moving = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(moving)

MAKE = {
    "momentum": partial(optim.SGD, lr=0.05, momentum=0.9),
    "adam": partial(optim.Adam, lr=1e-3, amsgrad=True),
    "rmsprop": partial(optim.RMSprop, lr=1e-3, alpha=0.99, momentum=0.9),
    "adagrad": partial(optim.Adagrad, lr=1e-2),
}


@pytest.fixture(params=MAKE)
def optimizer(request: pytest.FixtureRequest, model: nn.Module) -> optim.Optimizer:
    return MAKE[request.param](model.parameters())


def test_moved_masks_hold_from_then_on(
    model: nn.Module, optimizer: optim.Optimizer, step: Any, positive_zero: Any
) -> None:
    with dsd.sparse(model, optimizer, 0.5) as held:
        for i in range(3):
            step(model, optimizer, i)
        name, weight = "6.weight", model[6].weight
        before, untouched = held[name], held["3.weight"]
        after = torch.rand(weight.shape, generator=torch.Generator().manual_seed(1)) > 0.4
        dropped, grown, stayed = before & ~after, after & ~before, before & after
        values = weight.detach().clone()
        states = copy.deepcopy(optimizer.state[weight])
        held.move({name: after})
        assert torch.equal(held[name], after)
        assert held["3.weight"] is untouched
        assert positive_zero(weight[~after])
        assert positive_zero(weight[grown])
        assert positive_zero(weight.grad[~after])
        assert torch.equal(weight[stayed], values[stayed])
        for key, entry in optimizer.state[weight].items():
            if entry.shape != weight.shape:
                assert torch.equal(entry, states[key])
                continue
            assert torch.equal(entry[stayed], states[key][stayed])
            assert (entry[dropped] == 0).all()
            average = key in ("exp_avg_sq", "square_avg")
            wanted = states[key][stayed].double().mean().float() if average else torch.zeros(())
            torch.testing.assert_close(entry[grown], wanted.expand(int(grown.sum())))
        for i in range(3):
            step(model, optimizer, i)
            assert positive_zero(weight[~after])
            assert positive_zero(weight.grad[~after])
            assert (weight[grown] != 0).all()
    assert held["6.weight"].equal(after)
    with pytest.raises(RuntimeError, match="the sparse phase is over"):
        held.move({name: before})


def test_grown_weights_move_at_their_neighbours_pace() -> None:
    layer = nn.Linear(32, 32)
    optimizer = optim.RMSprop(layer.parameters(), lr=1e-4, alpha=0.99)
    generator = torch.Generator().manual_seed(0)

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            x, y = (torch.randn(16, 32, generator=generator) for _ in range(2))
            (layer(x) - y).square().sum().backward()
            optimizer.step()

    steps(500)
    with dsd.hold(layer, optimizer, dsd.select(layer, 0.5)) as held:
        steps(500)
        grown = ~held["weight"]
        held.move({"weight": torch.ones(32, 32, dtype=torch.bool)})
        steps(1)
        # The step in learning rates. From zero state it would be 10.
        assert 0.5 < float(layer.weight.detach()[grown].abs().mean()) / 1e-4 < 1.1
        assert not optimizer.state[layer.weight]["square_avg"].isnan().any()


def test_a_mask_that_pruned_nothing_can_begin_to(model: nn.Module, step: Any, positive_zero: Any) -> None:
    optimizer = MAKE["momentum"](model.parameters())
    with dsd.hold(model, optimizer, dsd.select(model, 0.0)) as held:
        assert not optimizer._optimizer_step_post_hooks
        step(model, optimizer, 0)
        mask = torch.rand(34, 128) > 0.5
        held.move({"6.weight": mask})
        mask.fill_(True)  # the caller's tensor; the held mask is a copy
        step(model, optimizer, 1)
        assert 0.4 < float(held["6.weight"].float().mean()) < 0.6
        assert positive_zero(model[6].weight[~held["6.weight"]])
        held.move({"6.weight": torch.ones(34, 128, dtype=torch.bool)})
        assert not model[6].weight._post_accumulate_grad_hooks
        step(model, optimizer, 2)
        assert (model[6].weight != 0).all()
    assert not optimizer._optimizer_step_post_hooks
    assert not optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"1.weight": torch.ones(8, dtype=torch.bool)}, r"1\.weight is not held"),
        ({"6.weight": torch.ones(34, 128)}, r"6\.weight must be bool \(34, 128\), got torch\.float32"),
        ({"3.weight": torch.zeros(8, 8, 3, 3).bool(), "6.weight": torch.ones(2, 2).bool()}, r"6\.weight must be bool"),
    ],
)
def test_a_refused_move_changes_nothing(masks: Any, message: str, model: nn.Module, step: Any) -> None:
    optimizer = MAKE["adam"](model.parameters())
    with dsd.sparse(model, optimizer, 0.5) as held:
        step(model, optimizer, 0)
        before = copy.deepcopy([model.state_dict(), optimizer.state_dict()["state"], dict(held)])
        with pytest.raises(ValueError, match=message):
            held.move(masks)
        after = [model.state_dict(), optimizer.state_dict()["state"], dict(held)]
    for old, new in zip(before[::2], after[::2], strict=True):
        assert all(torch.equal(old[key], new[key]) for key in old)
    assert all(torch.equal(v, after[1][i][key]) for i, state in before[1].items() for key, v in state.items())


def test_a_state_of_unknown_names_does_not_move(model: nn.Module) -> None:
    optimizer = MAKE["momentum"](model.parameters())
    with dsd.sparse(model, optimizer, 0.5) as held:
        optimizer.state[model[6].weight]["slow_buffer"] = torch.ones(34, 128)
        before = model[6].weight.detach().clone()
        with pytest.raises(ValueError, match=r"SGD keeps 'slow_buffer' for 6\.weight"):
            held.move({"6.weight": ~held["6.weight"]})
        assert torch.equal(model[6].weight, before)


def test_copies_of_held_masks_are_a_plain_dict(model: nn.Module) -> None:
    with dsd.sparse(model, MAKE["momentum"](model.parameters()), 0.5) as held:
        copied = copy.deepcopy(held)
        assert type(copied) is dict
        assert len(held) == 3
        assert all(torch.equal(copied[name], held[name]) for name in held)
        assert repr(held).startswith("Held({'0.weight': tensor(")


def test_the_mask_that_was_selected_is_the_one_held(model: nn.Module) -> None:
    model.to(memory_format=torch.channels_last)
    masks = dsd.select(model, 0.5)
    with dsd.hold(model, MAKE["momentum"](model.parameters()), masks) as held:
        assert all(held[name] is masks[name] for name in masks)


@pytest.mark.parametrize("policy", ["set", "rigl"])
def test_policies_swap_as_many_as_they_drop(policy: str, model: nn.Module, batch: Any, step: Any) -> None:
    optimizer = MAKE["momentum"](model.parameters())
    generator = torch.Generator().manual_seed(0)
    with dsd.hold(model, optimizer, dsd.select(model, dsd.erk(model, 0.8), select="random")) as held:
        start = {name: int(kept.sum()) for name, kept in held.items()}
        assert 0.19 < sum(start.values()) / 5144 < 0.21
        for i in range(3):
            step(model, optimizer, i)
            weights = [model.get_parameter(name) for name in held]
            dense = torch.autograd.grad((model(batch(i)) - 1).square().mean(), weights)
            after = {}
            for (name, kept), weight, gradient in zip(held.items(), weights, dense, strict=True):
                if policy == "set":
                    after[name] = moving.set_(weight, kept, 0.3, generator)
                else:
                    after[name] = moving.rigl(weight, kept, gradient, 0.3)
                    count = int((kept & ~after[name]).sum())
                    ranked = gradient.abs().masked_fill(kept, -1).flatten().sort(descending=True).values
                    assert (gradient.abs()[after[name] & ~kept] >= ranked[count - 1]).all()
                dropped = weight.detach().abs()[kept & ~after[name]]
                assert not dropped.numel() or dropped.max() <= weight.detach().abs()[kept & after[name]].min()
            changed = {name: int((after[name] != kept).sum()) for name, kept in held.items()}
            held.move(after)
            room = {name: min(round(0.3 * n), held[name].numel() - n) for name, n in start.items()}
            assert changed == {name: 2 * n for name, n in room.items()}
        assert {name: int(kept.sum()) for name, kept in held.items()} == start
