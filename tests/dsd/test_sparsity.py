"""Sparsity by name pattern, and Erdos-Renyi-kernel sparsity."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn, optim

import dsd


def pruned(masks: Any) -> dict[str, int]:
    return {name: int((~mask).sum()) for name, mask in masks.items()}


def test_every_weight_takes_the_first_pattern_that_matches(model: nn.Module) -> None:
    masks = dsd.select(model, {"6": 0.9, "?.weight": 0.25, "*": 0.5})
    assert pruned(masks) == {"0.weight": 54, "3.weight": 144, "6.weight": round(0.9 * 4352)}
    with dsd.sparse(model, optim.SGD(model.parameters(), lr=0.1), {"0": 0.0, "*": 0.5}, skip=["3"]) as held:
        assert pruned(held) == {"0.weight": 0, "6.weight": 2176}
    masks = dsd.select(model, {"0": 0.25, "*": 0.5}, select="random")
    assert pruned(masks) == {"0.weight": 54, "3.weight": 288, "6.weight": 2176}


@pytest.mark.parametrize(
    ("sparsity", "options", "message"),
    [
        ({"6": 0.9}, {}, r"no entry of sparsity matches 0\.weight: add it, or '\*': 0\.0"),
        ({"6": 0.9, "7": 0.1, "*": 0}, {}, r"sparsity entry '7' matches no prunable weight"),
        ({"1": 0.9, "*": 0}, {}, r"sparsity entry '1' matches no prunable weight"),  # a batch norm
        ({"*": 1.5}, {}, r"must lie in \[0, 1\], got 1\.5"),
        ({"*": 0.5}, {"scope": "global"}, "scope='global' takes one number"),
    ],
)
def test_patterns_that_make_no_sense_are_refused(sparsity: Any, options: Any, message: str, model: nn.Module) -> None:
    with pytest.raises(ValueError, match=message):
        dsd.select(model, sparsity, **options)


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.9, 0.99, 1.0])
def test_erk_prunes_the_share_of_all_that_was_asked_for(sparsity: float, model: nn.Module) -> None:
    shares = dsd.erk(model, sparsity)
    masks = dsd.select(model, shares)
    total = sum(mask.numel() for mask in masks.values())
    assert abs(sum(pruned(masks).values()) - sparsity * total) <= len(masks) / 2  # rounding
    assert all(0 <= share <= 1 for share in shares.values())


def test_erk_densities_follow_sums_over_products_and_full_layers_stay_dense() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 64, 3, bias=False), nn.Linear(64, 512, bias=False))
    shares = dsd.erk(net, 0.5)
    # (3 + 8 + 3 + 3) / 216 is over four times that of the others: its density would exceed 1.
    assert shares["0.weight"] == 0.0
    density = {name: 1 - share for name, share in shares.items()}
    raw = {"1.weight": (8 + 64 + 3 + 3) / (8 * 64 * 9), "2.weight": (64 + 512) / (64 * 512)}
    assert density["1.weight"] / density["2.weight"] == pytest.approx(raw["1.weight"] / raw["2.weight"])
    sizes = {name: math.prod(p.shape) for name, p in net.named_parameters()}
    assert sum(shares[n] * size for n, size in sizes.items()) == pytest.approx(0.5 * sum(sizes.values()))
    assert list(dsd.erk(net, 0.5, skip=["0"])) == ["1.weight", "2.weight"]


def test_erk_is_one_share_where_layers_are_alike() -> None:
    net = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16))
    assert dsd.erk(net, 0.7) == {"0.weight": pytest.approx(0.7), "1.weight": pytest.approx(0.7)}
    assert torch.equal(dsd.select(net, dsd.erk(net, 0.5))["0.weight"], dsd.select(net, 0.5)["0.weight"])
