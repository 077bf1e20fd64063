"""Models and optimizers that cannot be held: refused before anything changes, or an error as soon as it is detected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import dsd
from tests.integrations import runs


class Sharpness(torch.optim.Optimizer):
    """SAM with two calls per batch and no `step`, so step hooks do not run. Its momentum is outside the optimizer's state."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__(parameters, {"lr": 0.1})
        self.parameters = self.param_groups[0]["params"]
        self.momentum = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def first_step(self) -> None:
        self.before = [p.clone() for p in self.parameters]
        for p in self.parameters:
            p.add_(p.grad, alpha=0.05)

    @torch.no_grad()
    def second_step(self) -> None:
        for p, before, momentum in zip(self.parameters, self.before, self.momentum, strict=True):
            p.copy_(before - 0.1 * momentum.mul_(0.9).add_(p.grad))


def test_a_step_in_two_parts_is_told_of_and_then_raised() -> None:
    model, phases = runs.network(), runs.phases()
    optimizer = Sharpness(model.parameters())
    with (  # noqa: PT012, PT031 - the loop is what is tested
        pytest.warns(UserWarning, match=r"pruned weights of \S+ are not zero and no step has been taken"),
        pytest.raises(RuntimeError, match=r"something other than Sharpness\.step has changed them"),
    ):
        for step in range(runs.END):
            phases.at(step, model, optimizer)
            for part in (optimizer.first_step, optimizer.second_step):
                optimizer.zero_grad()
                runs.loss_of(model(runs.BATCHES[step])).backward()
                part()


def scripted() -> nn.Module:
    return torch.jit.script(runs.network())


def weight_norm() -> nn.Module:
    model = runs.network()
    nn.utils.weight_norm(model[0])
    return model


def spectral_norm() -> nn.Module:
    model = runs.network()
    nn.utils.spectral_norm(model[0])
    return model


def parametrized() -> nn.Module:
    model = runs.network()
    nn.utils.parametrizations.orthogonal(model[0])
    return model


def torch_prune() -> nn.Module:
    model = runs.network()
    prune.random_unstructured(model[0], "weight", 0.5)
    return model


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # torch deprecates these
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (scripted, r"0\.weight is in a scripted module"),
        (weight_norm, r"0\.weight_g is the input of a hook that computes weight: .*remove_weight_norm"),
        (spectral_norm, r"0\.weight_orig is the input of a hook that computes weight: .*remove_spectral_norm"),
        (parametrized, r"0\.parametrizations\.weight\.original is parametrized"),
        (torch_prune, r"0\.weight_orig is the input of a hook that computes weight: .*prune\.remove"),
    ],
)
def test_modules_whose_weights_are_made_of_others_are_refused_and_nothing_has_changed(
    make: Callable[[], nn.Module], message: str
) -> None:
    model: Any = make()
    optimizer = runs.sgd(model.parameters())
    before = runs.bits(model.state_dict())
    with pytest.raises(ValueError, match=rf"{message}.* to `skip`"):
        dsd.Phases(0.5, begin=0, end=9).at(0, model, optimizer)
    assert runs.same(runs.bits(model.state_dict()), before)
    assert not optimizer._optimizer_step_post_hooks
