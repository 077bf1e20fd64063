"""Wrapped optimizers, steps in two parts, and updates outside the given optimizer: held, or refused with an error."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

import dsd


class Accelerated(optim.Optimizer):
    """Wraps as Accelerate does: a subclass that never calls Optimizer's __init__."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.optimizer = optimizer

    state = property(lambda self: self.optimizer.state)  # type: ignore[assignment]
    param_groups = property(lambda self: self.optimizer.param_groups)  # type: ignore[assignment]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.optimizer.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)


class Plain:
    """Wraps as fastai and Lightning do: not a subclass of Optimizer."""

    def __init__(self, opt: Any) -> None:
        self.opt = opt

    def step(self) -> None:
        self.opt.step()

    def zero_grad(self) -> None:
        self.opt.zero_grad()


class Many(Plain):
    """Chains optimizers in a list as Megatron and Ranger do; each has its own weights."""

    def __init__(self, *optimizers: optim.Optimizer) -> None:
        self.chained_optimizers = optimizers

    def step(self) -> None:
        for one in self.chained_optimizers:
            one.step()

    def zero_grad(self) -> None:
        for one in self.chained_optimizers:
            one.zero_grad()


class Sharpness(optim.Optimizer):
    """SAM in its usual form: two calls per batch, and no `step`. With `own`, the second call updates the weights itself."""

    def __init__(self, params: Iterable[Tensor], own: bool = False) -> None:
        super().__init__(params, {"lr": 0.1})
        self.own = own
        self.base_optimizer = optim.SGD(self.param_groups, lr=0.1, momentum=0.9)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["was"] = p.clone()
                p.add_(p.grad, alpha=0.05)

    @torch.no_grad()
    def second_step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                p.copy_(self.state[p]["was"])
                if self.own:
                    p.sub_(self.state[p].setdefault("momentum", torch.ones_like(p)), alpha=0.1)
        if not self.own:
            self.base_optimizer.step()

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        raise NotImplementedError


class Slow:
    """Lookahead in a common form: no hooks, slow weights outside the optimizer's state, written through `.data`."""

    def __init__(self, optimizer: optim.Optimizer, every: int) -> None:
        self.optimizer, self.every, self.steps = optimizer, every, 0
        self.slow = [[p.detach().clone() for p in group["params"]] for group in optimizer.param_groups]

    def zero_grad(self) -> None:
        self.optimizer.zero_grad()

    def step(self) -> None:
        self.optimizer.step()
        self.steps += 1
        if self.steps % self.every == 0:
            for group, slow in zip(self.optimizer.param_groups, self.slow, strict=True):
                for p, q in zip(group["params"], slow, strict=True):
                    q.add_(p.data - q, alpha=0.5)
                    p.data.copy_(q)


class Handing:
    """Wraps as Lightning and Fabric do: a subclass of the wrapped optimizer's class that shares its attributes, also its hooks."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self._optimizer = optimizer
        self.__class__ = type("Handing" + type(optimizer).__name__, (type(self), type(optimizer)), {})

    def step(self, closure: Any = None) -> None:
        self._optimizer.step(closure)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._optimizer, name)


def bits(model: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def sgd(model: nn.Module) -> optim.SGD:
    return optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def halves(model: nn.Module) -> Many:
    parameters = list(model.parameters())
    return Many(optim.SGD(parameters[:4], lr=0.1, momentum=0.9), optim.Adam(parameters[4:], lr=0.01))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: Accelerated(sgd(model)),
        lambda model: Plain(sgd(model)),
        lambda model: Plain(Accelerated(sgd(model))),
        lambda model: Handing(sgd(model)),
        lambda model: Accelerated(Handing(sgd(model))),  # type: ignore[arg-type]
        halves,
    ],
)
def test_a_wrapped_optimizer_is_held_and_restarted(
    wrap: Callable[[nn.Module], Any], model: nn.Module, step: Any, positive_zero: Any
) -> None:
    optimizer = wrap(model)
    inner = optimizer
    while "state" not in vars(inner):
        wrapped = [vars(inner).get(name) for name in ("opt", "optimizer", "_optimizer")]
        inner = next((one for one in wrapped if one is not None), None) or inner.chained_optimizers[1]
    for i in range(2):
        step(model, optimizer, i)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        assert model[6].weight not in inner.state  # the state is fresh
        assert len(inner._optimizer_step_post_hooks) == 1
        for i in range(3):
            step(model, optimizer, i)
            assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())
    assert not inner._optimizer_step_post_hooks
    assert not inner._optimizer_step_pre_hooks
    step(model, optimizer, 0)
    assert all((model.get_parameter(n)[~kept] != 0).all() for n, kept in masks.items())


def test_an_optimizer_that_cannot_be_followed_is_refused_and_nothing_has_changed(model: nn.Module) -> None:
    class Alone(Accelerated):
        def __init__(self, parameters: list[Tensor]) -> None:
            self.groups = [{"params": parameters}]

    before = bits(model)
    for optimizer in (Alone(list(model.parameters())), object()):
        for phase in (dsd.sparse(model, optimizer, 0.5), dsd.hold(model, optimizer, dsd.select(model, 0.5))):  # type: ignore[arg-type]
            with pytest.raises(ValueError, match=f"{type(optimizer).__name__} has no step hooks"), phase:
                raise AssertionError
    assert all(torch.equal(a, b) for a, b in zip(before, bits(model), strict=True))


def test_a_refused_entry_leaves_weights_gradients_and_state_alone(model: nn.Module, step: Any) -> None:
    optimizer = optim.RMSprop(model.parameters(), lr=1e-3)
    step(model, optimizer, 0)
    broken = optim.SGD([model[6].bias], lr=0.1)

    def refuse(hook: Any) -> Any:
        raise ValueError("no hooks today")

    broken.register_step_post_hook = refuse  # type: ignore[method-assign]
    before = bits(model), [p.grad.clone() for p in model.parameters() if p.grad is not None]
    states = copy.deepcopy(optimizer.state_dict()["state"])
    with pytest.raises(ValueError, match="no hooks today"), dsd.sparse(model, Many(optimizer, broken), 0.5):  # type: ignore[arg-type]
        raise AssertionError
    after = bits(model), [p.grad.clone() for p in model.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True))
    now = optimizer.state_dict()["state"]
    assert all(torch.equal(states[number][key], now[number][key]) for number in states for key in states[number])
    assert not optimizer._optimizer_step_post_hooks
    assert not optimizer._optimizer_step_pre_hooks
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_a_list_of_optimizers_is_held_and_restarted(model: nn.Module, batch: Any, positive_zero: Any) -> None:
    given = [
        Plain(optim.SGD(model[:4].parameters(), lr=0.1, momentum=0.9)),
        optim.Adam(model[4:].parameters(), lr=0.01),
    ]

    def train() -> None:
        (model(batch(0)) - 1).square().mean().backward()
        for one in given:
            one.step()

    train()
    with dsd.sparse(model, given, 0.5) as masks:
        assert not given[0].opt.state  # type: ignore[union-attr]
        assert not given[1].state  # type: ignore[union-attr]
        for _ in range(3):
            train()
            assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())
    with pytest.raises(ValueError, match="the optimizer does not hold 6"), dsd.sparse(model, given[:1], 0.5):
        raise AssertionError
    with pytest.raises(ValueError, match="object has no step hooks"), dsd.sparse(model, [*given, object()], 0.5):
        raise AssertionError
    with pytest.raises(ValueError, match="no optimizer was given"):
        dsd.restart([])


def sharp(model: nn.Module, optimizer: Sharpness, batch: Any, steps: int) -> None:
    for i in range(steps):
        for part in (optimizer.first_step, optimizer.second_step):
            optimizer.zero_grad()
            (model(batch(i)) - 1).square().mean().backward()
            part()


def test_a_step_in_two_parts_is_held_through_its_base(model: nn.Module, batch: Any, positive_zero: Any) -> None:
    optimizer = Sharpness(model.parameters())
    sharp(model, optimizer, batch, 2)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        for _ in range(3):
            sharp(model, optimizer, batch, 1)
            assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())


def test_a_step_that_nobody_sees_is_told_and_then_refused(model: nn.Module, batch: Any) -> None:
    optimizer = Sharpness(model.parameters(), own=True)
    phase = dsd.sparse(model, optimizer, 0.5)
    with (  # noqa: PT012, PT031 - the body is what is tested
        pytest.warns(UserWarning, match="and no step has been taken"),
        pytest.raises(
            RuntimeError, match=r"pruned weights of \S+ are not zero and no step has been taken: something other than"
        ),
        phase,
    ):
        sharp(model, optimizer, batch, 3)
        raise AssertionError


def test_a_second_optimizer_is_noticed_at_its_second_step(model: nn.Module, step: Any) -> None:
    optimizer, other = sgd(model), optim.Adam([model[6].weight], lr=0.1)
    before = torch.ones_like(model[6].weight)
    with (  # noqa: PT012, PT031 - the body is what is tested
        pytest.warns(
            UserWarning, match=r"6\.weight are not zero before a step.* other than SGD\.step.*second optimizer"
        ),
        pytest.raises(RuntimeError, match=r"pruned weights of 6\.weight are not .* Adam\.step holds it too"),
        dsd.sparse(model, optimizer, 0.5),
    ):
        for i in range(3):
            step(model, optimizer, i)
            model[6].weight.grad = before.clone()
            other.step()
        raise AssertionError


@pytest.mark.parametrize("every", [1, 5, 6])
def test_slow_weights_beside_the_step_are_noticed(every: int, model: nn.Module, step: Any) -> None:
    optimizer: Any = Slow(sgd(model), every)
    with (  # noqa: PT012, PT031 - the body is what is tested
        pytest.warns(UserWarning, match="a wrapper that writes weights after the step that it wraps"),
        pytest.raises(RuntimeError, match=r"pruned weights of \S+ are not zero before a step"),
        dsd.sparse(model, optimizer, 0.5),
    ):
        for i in range(20):
            step(model, optimizer, i)
        raise AssertionError


def test_whatever_comes_after_the_last_step_is_noticed_on_leaving(model: nn.Module, step: Any) -> None:
    optimizer = sgd(model)
    with pytest.raises(RuntimeError, match=r"6\.weight are not zero at the end of the sparse phase"):  # noqa: SIM117, PT012
        with dsd.sparse(model, optimizer, 0.5):
            step(model, optimizer, 0)
            model[6].weight.data.fill_(1.0)
    assert not optimizer._optimizer_step_post_hooks
    with pytest.raises(RuntimeError, match=r"6\.weight was replaced"):  # noqa: SIM117
        with dsd.sparse(model, optimizer, 0.5):
            model[6].weight = nn.Parameter(torch.ones(34, 128))


def test_a_weight_that_moves_later_than_the_first_steps_is_noticed(model: nn.Module, step: Any) -> None:
    optimizer = sgd(model)
    with (  # noqa: PT012, PT031 - the body is what is tested
        pytest.warns(UserWarning, match=r"3\.weight are not zero"),
        pytest.raises(RuntimeError, match=r"3\.weight are not zero"),
        dsd.sparse(model, optimizer, 0.5),
    ):
        for i in range(300):
            step(model, optimizer, i)
            if i > 50:
                model[3].weight.data.add_(1.0)  # `.data` does not change the version counter
        raise AssertionError
