"""Sparse phases by step number equal those of `sparse`, and a run resumed at any step equals an uninterrupted one."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

import dsd

MAKE: dict[str, Callable[..., optim.Optimizer]] = {
    "momentum": partial(optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-2),
    "adam": partial(optim.AdamW, lr=1e-2),
    "rmsprop": partial(optim.RMSprop, lr=1e-3, momentum=0.9),
}
STEPS, BEGIN, END = 12, [2, 8], [6, 10]
NAMES = ("0.weight", "3.weight", "6.weight")


def train(model: nn.Module, optimizer: optim.Optimizer, x: Tensor) -> None:
    optimizer.zero_grad()
    (model(x) - 1).square().mean().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.05)
    optimizer.step()


def phases(**options: Any) -> dsd.Phases:
    return dsd.Phases([0.5, 0.25], BEGIN, END, **options)


def bits(model: nn.Module, optimizer: optim.Optimizer) -> list[Tensor]:
    states = [value for state in optimizer.state.values() for value in state.values()]
    return [tensor.detach().clone() for tensor in (*model.state_dict().values(), *states)]


def loaded(saved: bytes) -> Any:
    return torch.load(io.BytesIO(saved), weights_only=True)


@pytest.mark.parametrize("state", ["fresh", "keep"])
@pytest.mark.parametrize("select", ["magnitude", "random"])
@pytest.mark.parametrize("name", MAKE)
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(
    name: str, select: str, state: Any, model: nn.Module, batch: Any
) -> None:
    start = copy.deepcopy(model)

    def options() -> dict[str, Any]:
        seeded = torch.Generator().manual_seed(3) if select == "random" else None
        return {"select": select, "generator": seeded, "state": state}

    optimizer, whole, saved = MAKE[name](model.parameters()), phases(**options()), []
    for i in range(STEPS):
        file = io.BytesIO()
        torch.save([model.state_dict(), optimizer.state_dict(), whole.state_dict()], file)
        saved.append(file.getvalue())
        whole.at(i, model, optimizer)
        train(model, optimizer, batch(i))
    wanted = bits(model, optimizer)
    for first in range(STEPS):
        other = copy.deepcopy(start)
        resumed, again = MAKE[name](other.parameters()), phases(**options())
        states = loaded(saved[first])
        for one, its in zip((again, other, resumed), (states[2], states[0], states[1]), strict=True):
            one.load_state_dict(its)
        assert again.state_dict().keys() == states[2].keys()
        for i in range(first, STEPS):
            again.at(i, other, resumed)
            train(other, resumed, batch(i))
        found = bits(other, resumed)
        assert len(found) == len(wanted)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True)), first


@pytest.mark.parametrize("state", ["fresh", "keep"])
@pytest.mark.parametrize("name", MAKE)
def test_it_does_what_sparse_does(name: str, state: Any, model: nn.Module, batch: Any, positive_zero: Any) -> None:
    other = copy.deepcopy(model)
    optimizer, plain = (MAKE[name](m.parameters()) for m in (model, other))
    one = dsd.Phases(0.5, begin=2, end=5, skip=["0"], state=state)
    held = []
    for i in range(7):
        masks = one.at(i, model, optimizer)
        held.append(masks is not None)
        train(model, optimizer, batch(i))
        if masks is not None:
            assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())
    assert held == [False, False, True, True, True, False, False]
    for i in range(2):
        train(other, plain, batch(i))
    with dsd.sparse(other, plain, 0.5, skip=["0"], state=state):
        for i in range(2, 5):
            train(other, plain, batch(i))
    for i in range(5, 7):
        train(other, plain, batch(i))
    assert all(torch.equal(a, b) for a, b in zip(bits(model, optimizer), bits(other, plain), strict=True))
    assert not optimizer._optimizer_step_post_hooks
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_a_step_may_be_asked_for_twice_and_numbers_may_be_left_out(model: nn.Module) -> None:
    optimizer = MAKE["momentum"](model.parameters())
    one = phases()
    assert one.at(0, model, optimizer) is None
    masks = one.at(3, model, optimizer)
    assert masks is not None
    assert one.at(3, model, [optimizer]) is masks
    assert one.at(7, model, optimizer) is None
    assert {n: int((~m).sum()) for n, m in (one.at(9, model, optimizer) or {}).items()} == {
        "0.weight": 54,
        "3.weight": 144,
        "6.weight": 1088,
    }
    one.close()
    assert not optimizer._optimizer_step_post_hooks


def test_masks_cannot_be_lost_without_a_word(model: nn.Module) -> None:
    optimizer = MAKE["momentum"](model.parameters())
    before = bits(model, optimizer)
    for step in (3, 7):
        with pytest.raises(RuntimeError, match=rf"step {step} comes first, but a sparse phase began at 2: load"):
            phases().at(step, model, optimizer)
    one = phases()
    one.at(1, model, optimizer)
    with pytest.raises(RuntimeError, match="step 0 comes after step 1"):
        one.at(0, model, optimizer)
    with pytest.raises(RuntimeError, match="step 6 is behind the whole sparse phase that begins at 2"):
        one.at(6, model, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(before, bits(model, optimizer), strict=True))
    one.at(2, model, optimizer)
    with pytest.raises(ValueError, match="not the model whose masks are held"):
        one.at(2, copy.deepcopy(model), optimizer)
    with pytest.raises(ValueError, match="SGD is not the optimizer whose steps are followed"):
        one.at(2, model, MAKE["momentum"](model.parameters()))


def test_a_state_that_does_not_fit_is_refused(model: nn.Module) -> None:
    state = phases().state_dict()
    with pytest.raises(ValueError, match=r"not a state_dict of dsd\.Phases: it lacks masks"):
        phases().load_state_dict({k: v for k, v in state.items() if k != "masks"})
    with pytest.raises(ValueError, match=r"has begun 2 sparse phases, but this dsd\.Phases has only 1"):
        dsd.Phases(0.5, 2, 4).load_state_dict(state | {"begun": 2})
    with pytest.raises(ValueError, match="saved without a generator"):
        phases(select="random", generator=torch.Generator()).load_state_dict(state)
    other = nn.Linear(3, 3)
    optimizer = MAKE["momentum"](model.parameters())
    one, again = phases(), phases()
    one.at(0, model, optimizer)
    one.at(2, model, optimizer)
    again.load_state_dict(one.state_dict())
    with pytest.raises(ValueError, match=r"mask '0\.weight' belongs to no parameter"):
        again.at(3, other, optim.SGD(other.parameters(), lr=0.1))


def test_a_refused_beginning_can_be_tried_again(model: nn.Module) -> None:
    one = dsd.Phases(0.5, 0, 4)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=r"the optimizer does not hold 0\.weight"):
        one.at(0, model, MAKE["momentum"](model[6].parameters()))
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert one.masks is None
    assert one.at(0, model, MAKE["momentum"](model.parameters())) is not None


def test_a_refused_beginning_leaves_the_generator_where_it_was(model: nn.Module) -> None:
    for given in (torch.Generator().manual_seed(3), None):  # None: torch's own generator
        one = dsd.Phases(0.5, 0, 4, select="random", generator=given)
        drawn = torch.default_generator if given is None else given
        before = drawn.get_state()
        with pytest.raises(ValueError, match=r"the optimizer does not hold 0\.weight"):
            one.at(0, model, MAKE["momentum"](model[6].parameters()))
        assert torch.equal(drawn.get_state(), before)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_refused_end_leaves_the_masks_held_and_can_be_tried_again(
    resumed: bool, model: nn.Module, batch: Any, positive_zero: Any
) -> None:
    optimizer, one = MAKE["momentum"](model.parameters()), dsd.Phases(0.5, 0, 2, state="keep")
    for i in range(2):
        one.at(i, model, optimizer)
        train(model, optimizer, batch(i))
    if resumed:
        one.close()
    optimizer.state[model[6].weight]["slow"] = torch.ones_like(model[6].weight)  # state of an unknown name, new in S
    before = bits(model, optimizer)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"SGD keeps 'slow' for 6\.weight"):
            one.at(2, model, optimizer)
        assert all(torch.equal(a, b) for a, b in zip(before, bits(model, optimizer), strict=True))
        masks = dict(one.masks or {})
        assert list(masks) == list(NAMES)
        train(model, optimizer, batch(2))
        assert all(positive_zero(model.get_parameter(name)[~kept]) for name, kept in masks.items())
        before = bits(model, optimizer)
    del optimizer.state[model[6].weight]["slow"]
    assert one.at(2, model, optimizer) is None
    assert not optimizer._optimizer_step_post_hooks
    train(model, optimizer, batch(3))
    assert all(model.get_parameter(name)[~kept].any() for name, kept in masks.items())


def test_nothing_pruned_is_the_control_of_equal_budget(model: nn.Module, batch: Any) -> None:
    plain = copy.deepcopy(model)
    optimizer, other = (MAKE["adam"](m.parameters()) for m in (model, plain))
    one = dsd.Phases(0.0, 2, 4)
    for i in range(6):
        one.at(i, model, optimizer)
        if i in (2, 4):
            dsd.restart(other)
        train(model, optimizer, batch(i))
        train(plain, other, batch(i))
    assert all(torch.equal(a, b) for a, b in zip(bits(model, optimizer), bits(plain, other), strict=True))


def test_leaving_and_closing_look_at_every_weight(model: nn.Module) -> None:
    optimizer = MAKE["momentum"](model.parameters())
    for last in ("leave", "close"):
        one = dsd.Phases(0.5, 0, 2)
        one.at(0, model, optimizer)
        model[6].weight.data.fill_(1.0)
        with pytest.raises(RuntimeError, match=r"6\.weight are not zero at the end of the sparse phase"):
            one.close() if last == "close" else one.at(2, model, optimizer)
        assert not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("how", ["close", "deepcopy"])
def test_a_phase_that_was_closed_or_copied_goes_on(how: str, model: nn.Module, batch: Any, positive_zero: Any) -> None:
    optimizer = MAKE["momentum"](model.parameters())
    one = dsd.Phases(0.5, 0, 4)
    masks = dict(one.at(0, model, optimizer) or {})
    train(model, optimizer, batch(0))
    if how == "close":
        one.close()
        assert not optimizer._optimizer_step_post_hooks
        assert one.state_dict()["masks"].keys() == masks.keys()
    else:
        one = copy.deepcopy(one)
        model, optimizer = copy.deepcopy((model, optimizer))
    again = one.at(1, model, optimizer)
    assert again is not None
    train(model, optimizer, batch(1))
    for name, kept in masks.items():
        assert torch.equal(again[name], kept)
        assert positive_zero(model.get_parameter(name)[~kept])
    assert one.at(4, model, optimizer) is None
    assert one.state_dict()["masks"] is None


def test_moved_masks_are_what_is_saved(model: nn.Module, batch: Any) -> None:
    optimizer = MAKE["momentum"](model.parameters())
    one = dsd.Phases(0.5, 0, 9)
    masks = one.at(0, model, optimizer)
    assert masks is not None
    masks.move({"6.weight": ~masks["6.weight"]})
    train(model, optimizer, batch(0))
    saved = dsd.unpack(one.state_dict()["masks"])
    assert torch.equal(saved["6.weight"], masks["6.weight"])
    assert (model[6].weight[~masks["6.weight"]] == 0).all()


def test_a_schedule_gives_its_sparse_phases() -> None:
    constant = [dsd.Phase("dense", 2, 0.1), dsd.Phase("sparse", 1.25, 0.1, sparsity=0.3), dsd.Phase("redense", 1, 0.1)]
    one = dsd.Phases.of(dsd.Schedule(tuple(constant)), 100, skip=["0"])
    assert (one.begin, one.end, one.sparsity) == ([200], [325], [0.3])
    assert one.options["skip"] == ("0",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5, 4, 4), "from step 4 to 4 does not follow step 0"),
        ((0.5, [0, 3], [4, 6]), "from step 3 to 6 does not follow step 4"),
        ((0.5, -1, 4), "from step -1 to 4"),
        (([0.5], [0, 3], [2, 6]), "differ in length"),
        ((1.5, 0, 4), r"sparsity must lie in \[0, 1\], got 1.5"),
    ],
)
def test_phases_that_make_no_sense_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dsd.Phases(*arguments)
