"""The loaders on real pictures: 50 classes of Tiny ImageNet, in ImageNet's layout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from tasks.imagenet import task
from tasks.imagenet.recipes import RECIPES

ROOT = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "tiny-imagenet-50"

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(),
    reason="needs tiny-imagenet-50 under ../shared/data or $DSD_SHARED_DATA, which is not distributed",
)


def test_all_pictures_are_read_and_divided_class_by_class() -> None:
    source = task.open_data(RECIPES["imagenet_resnet18"]["small"], ROOT, 1.0, lambda what, done, total: None)
    assert source.report.counts == {"train": 7500, "test": 18000, "classes": 50}
    assert not source.report.synthetic
    assert torch.bincount(torch.from_numpy(source.train.labels)).tolist() == [150] * 50
    assert torch.bincount(torch.from_numpy(source.test.labels)).tolist() == [360] * 50
    # Some are grey; all become three channels of 64 x 64.
    assert {source.train.read(index).shape for index in range(len(source.train))} == {(64, 64, 3)}
    one = task.build(RECIPES["imagenet_resnet18"]["small"], source, 0, torch.device("cpu"), None)
    assert one.steps_per_epoch() == 117
    x, y = next(iter(one.batches(0, 1)))
    assert x.shape == (64, 3, 64, 64)
    assert abs(float(x.mean())) < 0.5
    assert 0.5 < float(x.std()) < 2
    assert int(y.max()) < 50
