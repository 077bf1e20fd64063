"""The time to load small pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.perf.interleave import report
from benchmarks.perf.peers import imagenet as peer
from tasks.imagenet import batches, dataset, synthetic
from tasks.imagenet.recipes import RECIPES
from tasks.imagenet.settings import Augmentation


def test_loader(benchmark: Any, tmp_path: Path) -> None:
    """Make 12 training batches of 64 pictures that stay decoded in memory, compared with torchvision's ImageFolder."""
    synthetic.generate(tmp_path / "set", train=64, val=1, size=64)
    settings = RECIPES["imagenet_resnet18"]["small"].data
    assert isinstance(settings, Augmentation)
    pictures = batches.Pictures(dataset.scan(tmp_path / "set"), "train")
    usual = peer.loader(tmp_path / "set" / "train", settings, 64)
    ours = partial(batches.train_batches, pictures, settings, 0, 64, 0, 12, workers=0, device=torch.device("cpu"))
    candidates: dict[str, Callable[[], int]] = {
        "dsd": lambda: sum(len(y) for _, y in ours()),
        "torchvision ImageFolder": lambda: sum(len(y) for _, y in usual),
    }
    assert [run() for run in candidates.values()] == [768, 768]
    report(benchmark, "768 pictures of 64 pixels, one process", "torchvision ImageFolder", candidates)
