"""What masks cost, in reads of the weights. Figures: `nox -s perf`; they are printed and saved with the benchmark's JSON."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import dsd
from benchmarks.perf.interleave import medians
from dsd.mask import zero_pruned_
from tasks.imagenet import models
from tasks.imagenet.recipes import RESNET18


@pytest.fixture
def network() -> nn.Module:
    """ResNet-18 as the paper trains it: 11.7 million weights."""
    return models.build("resnet18", RESNET18.model, 1000, seed=0)


def report(benchmark: Any, name: str, unit: str, candidates: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Print and save every candidate's median as a multiple of `unit`'s, and return them."""
    seconds = medians(candidates)
    ratios = {key: value / seconds[unit] for key, value in seconds.items()}
    benchmark.extra_info.update(ratios)
    print(f"\n{name}: " + ", ".join(f"{key} {ratio:.2f}" for key, ratio in ratios.items()))  # noqa: T201
    benchmark.pedantic(next(iter(candidates.values())), rounds=5)
    return ratios


def test_hold(benchmark: Any, network: nn.Module) -> None:
    """Zero the pruned weights of every layer, beside one read of the weights and what others do."""
    masks = dsd.select(network, 0.3, skip=RESNET18.skip)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters() if name in masks}
    floats = {name: mask.float() for name, mask in masks.items()}

    def hold() -> None:
        for name, weight in weights.items():
            zero_pruned_(weight, masks[name])

    report(
        benchmark,
        "hold the masks of ResNet-18 (reads of the weights)",
        "read once",
        {
            "dsd": hold,
            "read once": lambda: [weight.sum() for weight in weights.values()],
            "multiply by a float mask": lambda: [weight.mul_(floats[name]) for name, weight in weights.items()],
            "masked_fill_": lambda: [weight.masked_fill_(~masks[name], 0) for name, weight in weights.items()],
        },
    )


def test_select(benchmark: Any, network: nn.Module) -> None:
    """Choose every layer's masks, beside `torch.nn.utils.prune`."""
    found = dsd.prunable(network, RESNET18.skip).weights

    def pruned_by_torch() -> None:
        copied = copy.deepcopy(network)
        for module in copied.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                prune.l1_unstructured(module, "weight", amount=0.3)  # type: ignore[no-untyped-call]

    report(
        benchmark,
        "select the masks of ResNet-18 (reads of the weights)",
        "read once",
        {
            "dsd": lambda: dsd.select(network, 0.3, skip=RESNET18.skip),
            "read once": lambda: [weight.detach().sum() for weight in found.values()],
            "torch.nn.utils.prune": pruned_by_torch,
        },
    )


def test_step(benchmark: Any, network: nn.Module) -> None:
    """A training step at batch 16 and 64 pixels, dense and inside the sparse phase."""
    x = torch.randn(16, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    y = torch.arange(16)
    dense, sparse = (copy.deepcopy(network).to(memory_format=torch.channels_last) for _ in range(2))  # type: ignore[call-overload]

    def stepper(model: nn.Module) -> tuple[torch.optim.Optimizer, Callable[[], None]]:
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True, fused=True)

        def step() -> None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return optimizer, step

    optimizer, sparse_step = stepper(sparse)
    _, dense_step = stepper(dense)
    with dsd.sparse(sparse, optimizer, 0.3, skip=RESNET18.skip):
        report(benchmark, "training step of ResNet-18", "dense", {"sparse": sparse_step, "dense": dense_step})
