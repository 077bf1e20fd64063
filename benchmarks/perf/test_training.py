"""A training step of each network at `small` scale, batch included, compared with a straightforward loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.arms.arm import ArmPlan
from benchmarks.perf.interleave import report
from benchmarks.perf.peers import imagenet as peer
from benchmarks.training.learner import Learner, make_optimizer
from tasks.imagenet import models, synthetic, task
from tasks.imagenet.recipes import RECIPES

_BATCH = 32
"""Half the batch size of most recipes. All four networks take three minutes on a busy machine."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 64 pixels: twelve classes with eight training pictures each."""
    path = tmp_path_factory.mktemp("pictures") / "set"
    synthetic.generate(path, train=8, val=1, size=64)
    return path


@pytest.mark.parametrize("row", sorted(RECIPES))
def test_training(benchmark: Any, row: str, root: Path) -> None:
    """Compare steps with our loader, steps on one batch in memory, and a plain loop with ImageFolder."""
    recipe = dataclasses.replace(RECIPES[row]["small"], batch_size=_BATCH)
    source = task.open_data(recipe, root, 1.0, lambda what, done, total: None)
    one = task.build(recipe, source, 0, torch.device("cpu"), 0)
    batches = one.batches(0, 1000)
    held = next(batches)

    def learner() -> Learner:
        model = one.model()
        return Learner(ArmPlan("dense", recipe.schedule), one, model, make_optimizer(recipe, model))

    fed, fixed = learner(), learner()
    theirs = peer.endless(peer.loader(root / "train", recipe.data, recipe.batch_size))
    plain = peer.trainer(models.build(recipe.network, recipe.model, source.classes, 0), recipe)
    candidates: dict[str, Callable[[], object]] = {
        "dsd": lambda: fed.train_step(next(batches), 0),
        "dsd, one batch held in memory": lambda: fixed.train_step(held, 0),
        "plain loop": lambda: plain(*next(theirs)),
    }
    ratios = report(benchmark, f"training step of {row} at small scale", "dsd", candidates, rounds=5)
    assert ratios["dsd, one batch held in memory"] > 0.7
