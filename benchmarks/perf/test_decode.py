"""Loading full-size pictures on one core, compared with torchvision's ImageFolder and Pillow's transforms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.perf import photographs
from benchmarks.perf.interleave import report
from benchmarks.perf.peers import imagenet as peer
from tasks.imagenet import batches as data
from tasks.imagenet import dataset as folder
from tasks.imagenet.recipes import GOOGLENET
from tasks.imagenet.settings import Augmentation

_BATCH, _BATCHES = 16, 2


def test_full_size(benchmark: Any, tmp_path: Path) -> None:
    """Decode 32 photographs from files, crop them at random to 224 pixels, mirror and normalise them."""
    photographs.generate(tmp_path, _BATCH * _BATCHES)
    pillow = GOOGLENET.data
    assert isinstance(pillow, Augmentation)
    pictures = data.Pictures(folder.scan(tmp_path), "train", cache=False)
    theirs = peer.loader(tmp_path / "train", pillow, _BATCH)

    def ours(settings: Augmentation) -> int:
        batches = data.train_batches(pictures, settings, 0, _BATCH, 0, _BATCHES, workers=0, device=torch.device("cpu"))
        return sum(len(y) for _, y in batches)

    quick = dataclasses.replace(pillow, resize="torch")
    dataset = data._Training(pictures, quick, 0)
    candidates: dict[str, Callable[[], object]] = {
        "dsd, resized by torch": lambda: ours(quick),
        "dsd, resized by torch, as bytes for a GPU to normalise": lambda: [
            data._collate([dataset[0, start + place] for place in range(_BATCH)])
            for start in range(0, len(pictures), _BATCH)
        ],
        "dsd, resized by Pillow": lambda: ours(pillow),
        "torchvision ImageFolder": lambda: sum(len(y) for _, y in theirs),
    }
    assert ours(quick) == ours(pillow) == sum(len(y) for _, y in theirs) == _BATCH * _BATCHES
    report(benchmark, "32 photographs of 500 x 400 pixels, one process", "torchvision ImageFolder", candidates)
