"""Views made on a device equal Pillow's bit for bit, and so do batches. Here a CPU is used instead of a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.imagenet import batches as data
from tasks.imagenet import dataset, device_views
from tasks.imagenet.settings import Augmentation
from tasks.imagenet.transforms import augment, choose
from tests.benchmarks.test_cuda import DEVICES, NoReading

CPU = torch.device("cpu")
AUGMENTATION = Augmentation(crop=12, test_resize=20, test_crop=16, jitter=0.4, lighting=0.1)


def views(pictures: torch.Tensor, chosen: Augmentation, seed: int) -> torch.Tensor:
    n, height, width, _ = pictures.shape
    boxes, flips, _ = choose([(width, height)] * n, chosen, seed, [(0, index) for index in range(n)])
    taps = device_views.most_taps(int((boxes[:, 2:] - boxes[:, :2]).max()), chosen.crop)
    where, flipped = (torch.from_numpy(part).to(pictures.device) for part in (boxes, flips))
    return device_views.views(pictures, where, flipped, chosen.crop, taps)


@DEVICES
@given(st.integers(1, 90), st.integers(1, 70), st.floats(0.02, 1.0), st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_every_pixel_is_pillows(name: str, size: int, side: int, area: float, seed: int) -> None:
    chosen = Augmentation(crop=side, test_resize=side, test_crop=side, area=(area, 1.0))
    noise = np.random.default_rng(seed).integers(0, 256, (8, size, size, 3), dtype=np.uint8)
    noise[0], noise[1] = 0, 255
    pillows, _ = augment(list(noise), chosen, seed, [(0, index) for index in range(8)])
    found = views(torch.from_numpy(noise).to(name), chosen, seed).cpu()
    assert found.dtype == torch.uint8
    assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), pillows)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dataset.Folder:
    """Two classes of 9 training and 5 test pictures of 20 x 20 pixels."""
    root = tmp_path_factory.mktemp("set")
    generator = np.random.default_rng(0)
    for split, count in (("train", 9), ("val", 5)):
        for name in ("n01", "n02"):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (20, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{name}_{index}.png")
    return dataset.scan(root)


@pytest.fixture
def cropping(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the CPU crop as a GPU does; return the sizes of the batches that it cropped."""
    sizes: list[int] = []
    original = device_views.views

    def watched(pictures: torch.Tensor, *rest: object) -> torch.Tensor:
        sizes.append(len(pictures))
        return original(pictures, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(device_views, "views", watched)
    monkeypatch.setattr(data, "_CROPPING", ("cpu",))
    return sizes


def batches(found: dataset.Folder, chosen: Augmentation = AUGMENTATION) -> list[torch.Tensor]:
    train, test = data.Pictures(found, "train"), data.Pictures(found, "val")
    made = [*data.train_batches(train, chosen, 5, 8, 1, 4, None, CPU)]
    made += data.scoring_batches(test, chosen, 4, None, CPU, range(1, 10))
    return [part for batch in made for part in batch]


def test_batches_are_the_same_as_of_the_host(found: dataset.Folder, cropping: list[int]) -> None:
    with NoReading():  # on a GPU, the host would wait for all steps before
        made = batches(found)
    assert cropping == [8, 8, 8]
    data._CROPPING = ()
    expected = batches(found)
    assert cropping == [8, 8, 8]
    assert len(made) == len(expected) == 2 * (3 + 3)
    for one, other in zip(made, expected, strict=True):
        assert torch.equal(one, other)
        assert (one.dtype, one.stride()) == (other.dtype, other.stride())


def test_other_pictures_are_cropped_by_the_host(
    found: dataset.Folder, tmp_path: Path, cropping: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "val"):
        for name in ("n01", "n02"):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(9):
                Image.new("RGB", (20 + index, 20)).save(tmp_path / split / name / f"{name}_{index}.png")
    batches(dataset.scan(tmp_path))  # of different sizes
    for picture in tmp_path.rglob("*.png"):
        Image.new("RGB", (21, 20)).save(picture)
    batches(dataset.scan(tmp_path))  # not square
    batches(found, Augmentation(crop=12, test_resize=20, test_crop=16, resize="torch"))
    assert data.Pictures(found, "train", cache=False).on_device(CPU) is None
    monkeypatch.setattr(data, "_DEVICE_PART", 0.0)
    batches(found)
    assert cropping == []


def test_a_device_holds_the_pictures_once(found: dataset.Folder, cropping: list[int]) -> None:
    pictures = data.Pictures(found, "train")
    held = pictures.on_device(CPU)
    assert held is not None
    assert held.shape == (18, 20, 20, 3)
    assert pictures.on_device(CPU) is held
    relabelled = pictures.relabelled(np.zeros(18, dtype=np.int64))
    assert relabelled.on_device(CPU) is held
    assert cropping == []
