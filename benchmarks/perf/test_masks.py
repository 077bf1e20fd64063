"""The time that masks cost, relative to one read of the weights and to a training step. Results: README.md."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dsd
from benchmarks.perf import workloads
from benchmarks.perf.interleave import medians, report, save
from benchmarks.perf.peers import masks as peers
from benchmarks.rows import ROWS
from benchmarks.training.learner import Learner, make_optimizer
from dsd.masks import zero_pruned_
from tasks.imagenet import models
from tasks.imagenet.recipes import RESNET18, VGG16
from tasks.recipe import Recipe

SPARSITY = 0.3
PATIENCE = 5.0  # in seconds; torch.nn.utils.prune takes minutes for VGG-16, so it runs once

networks = pytest.mark.parametrize("recipe", [RESNET18, VGG16], ids=lambda recipe: recipe.network)


def build(recipe: Recipe) -> nn.Module:
    """Return the network as trained in the paper, with 11.7 or 138 million weights."""
    return models.build(recipe.network, recipe.model, 1000, seed=0)


def read_once(weights: dict[str, Tensor]) -> list[Tensor]:
    """Read every weight."""
    return [weight.sum() for weight in weights.values()]


@networks
def test_hold(benchmark: Any, recipe: Recipe) -> None:
    """Zero the pruned weights of every layer, compared with one read of the weights and with other methods."""
    network = build(recipe)
    masks = dsd.select(network, SPARSITY, skip=recipe.skip)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters() if name in masks}
    floats = {name: mask.float() for name, mask in masks.items()}

    def hold() -> None:
        for name, weight in weights.items():
            zero_pruned_(weight, masks[name])

    report(
        benchmark,
        f"hold the masks of {recipe.network} (reads of the weights)",
        "read once",
        {
            "dsd": hold,
            "read once": lambda: read_once(weights),
            "forward-time multiply": lambda: peers.multiply(weights, floats),
            "masked_fill_": lambda: [weight.masked_fill_(~masks[name], 0) for name, weight in weights.items()],
        },
        patience=PATIENCE,
        clock=time.process_time,
    )


@networks
def test_select(benchmark: Any, recipe: Recipe) -> None:
    """Select every layer's mask, compared with `torch.nn.utils.prune` and a threshold from `numpy.partition`."""
    network = build(recipe)
    weights = {name: weight.detach() for name, weight in dsd.prunable(network, recipe.skip).weights.items()}
    report(
        benchmark,
        f"select the masks of {recipe.network} (reads of the weights)",
        "read once",
        {
            "dsd": lambda: dsd.select(network, SPARSITY, skip=recipe.skip),
            "read once": lambda: read_once(weights),
            "numpy.partition": lambda: peers.partition(weights, SPARSITY),
            "torch.nn.utils.prune": lambda: peers.prune_by_torch(copy.deepcopy(network), SPARSITY),
        },
        patience=PATIENCE,
        clock=time.process_time,
    )


def test_step(benchmark: Any, tmp_path: Path) -> None:
    """Compare steps of ResNet-18 at the `small` recipe: sparse, dense, and with masks multiplied in every forward pass."""
    task = workloads.task("imagenet_resnet18", tmp_path)
    batch = workloads.batch(task)
    masked, dense, pruned = (workloads.learner(task, masked) for masked in (True, False, False))
    plain = pruned.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload] # torch prunes only this layout
    pruned.model = peers.prune_by_torch(plain, SPARSITY).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pruned.optimizer = make_optimizer(task.recipe, pruned.model)
    ratios = report(
        benchmark,
        "training step of ResNet-18",
        "dense",
        {
            "sparse": lambda: masked.train_step(batch, 0),
            "dense": lambda: dense.train_step(batch, 0),
            "torch.nn.utils.prune": lambda: pruned.train_step(batch, 0),
        },
        clock=time.process_time,
    )
    masked.finish()
    assert ratios["sparse"] < 1.3


def hooks(learner: Learner) -> Callable[[], None]:
    """Return a function that repeats what `dsd.hold` adds to a step: mask every gradient, then every weight."""
    parameters = [parameter for parameter in learner.model.parameters() if parameter._post_accumulate_grad_hooks]
    assert parameters

    def run() -> None:
        for parameter in parameters:
            for hook in (parameter._post_accumulate_grad_hooks or {}).values():
                hook(parameter)
        for after in learner.optimizer._optimizer_step_post_hooks.values():
            after(learner.optimizer, (), {})

    return run


@pytest.mark.parametrize("row", ROWS)
def test_share(benchmark: Any, row: str, tmp_path: Path) -> None:
    """Measure the two hooks of `dsd.hold` as a share of a step. This is less noisy than the difference of two steps."""
    task = workloads.task(row, tmp_path)
    batch = workloads.batch(task)
    learner = workloads.learner(task, masked=True)
    learner.train_step(batch, 0)  # selects the masks
    seconds = medians({"masks": hooks(learner), "step": lambda: learner.train_step(batch, 0)}, clock=time.process_time)
    learner.finish()
    share = seconds["masks"] / seconds["step"]
    save(benchmark, f"{row}, share of masks in a step of {1000 * seconds['step']:.0f} ms", {"masks / step": share})
    assert share < 0.1
