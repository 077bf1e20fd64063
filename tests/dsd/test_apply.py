"""Masks on another model: running averages that began before the sparse phase."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import dsd


@pytest.mark.parametrize("average", [None, get_ema_multi_avg_fn(0.9)], ids=["swa", "ema"])
def test_an_average_is_masked_where_it_is_evaluated(
    average: Any, model: nn.Module, step: Any, positive_zero: Any
) -> None:
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    averaged = AveragedModel(model, multi_avg_fn=average)
    averaged.update_parameters(model)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        for i in range(3):
            step(model, optimizer, i)
            averaged.update_parameters(model)
        before = {name: averaged.module.get_parameter(name).detach().clone() for name in masks}
        assert all((before[name][~kept] != 0).all() for name, kept in masks.items())
        dsd.apply(masks, averaged)
        for name, kept in masks.items():
            weight = averaged.module.get_parameter(name)
            assert positive_zero(weight[~kept])
            assert torch.equal(weight[kept], before[name][kept])
            assert not weight._post_accumulate_grad_hooks
        averaged.update_parameters(model)  # the average continues
        assert all(positive_zero(averaged.module.get_parameter(n)[~kept]) for n, kept in masks.items())


def test_another_layout_and_a_wrapper_are_no_matter(model: nn.Module, positive_zero: Any) -> None:
    masks = dsd.select(model, 0.5)
    other = nn.DataParallel(AveragedModel(model.to(memory_format=torch.channels_last)))
    dsd.apply(masks, other)
    for name, kept in masks.items():
        assert positive_zero(other.module.module.get_parameter(name)[~kept])


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("6.weigth", (34, 128), r"mask '6\.weigth' belongs to no parameter of the model; did you mean '6\.weight'"),
        ("6.weight", (2, 2), r"the mask of 6\.weight has shape \(2, 2\), but the parameter has \(34, 128\)"),
    ],
)
def test_masks_of_another_model_are_refused_before_any_weight_changes(
    name: str, shape: tuple[int, ...], message: str, model: nn.Module
) -> None:
    before = [p.detach().clone() for p in model.parameters()]
    masks = {"0.weight": torch.zeros(8, 3, 3, 3).bool(), name: torch.zeros(shape).bool()}
    with pytest.raises(ValueError, match=message):
        dsd.apply(masks, model)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
