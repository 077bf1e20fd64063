"""The embedded set: the same everywhere, whole or absent, and colours do not reveal the class."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.data.cache import MARK
from tasks.imagenet import batches, dataset, synthetic


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.ensure(tmp_path_factory.mktemp("cache"), train=40, val=20)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_it_passes_verification(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path))
    report = dataset.verify(dataset.scan(root))
    assert (report.problems, report.warnings) == ((), ())
    assert report.counts == {"train": 480, "test": 240, "classes": 12}
    assert dataset.scan(root).classes == tuple(synthetic.CLASSES)
    assert (root / MARK).exists()
    with Image.open(root / dataset.scan(root).train[0]) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (40, 40), "RGB")


def test_it_is_the_same_each_time_and_more_pictures_only_add(root: Path, tmp_path: Path) -> None:
    synthetic.generate(tmp_path / "a", train=2, val=1)
    few, many = contents(tmp_path / "a"), contents(root)
    assert len(few) == 12 * 3 + 1
    assert all(many[name] == content for name, content in few.items())
    pictures = [content for name, content in many.items() if name.endswith(".JPEG")]
    assert len(set(pictures)) == len(pictures)


def test_pixels_are_pinned() -> None:
    """A change of these needs another VERSION; otherwise old caches would be taken for the new set."""
    picture = synthetic.picture("star", True, 40, "train", 0)
    assert (synthetic.VERSION, picture.shape) == (2, (40, 40, 3))
    # Not byte for byte: sines and square roots differ in the last digit between processors.
    assert picture.mean((0, 1)) == pytest.approx([97.74, 66.87, 58.84], abs=0.05)


def test_no_class_can_be_told_by_its_mean_colour(root: Path) -> None:
    found = dataset.scan(root)
    mean, label = {}, {}
    for split in dataset.SPLITS:
        pictures = batches.Pictures(found, split)
        mean[split] = np.stack([pictures.read(i).mean((0, 1)) / 255 for i in range(len(pictures))])
        label[split] = pictures.labels
    centres = np.stack([mean["train"][label["train"] == c].mean(0) for c in range(12)])
    nearest = ((mean["val"][:, None] - centres) ** 2).sum(-1).argmin(1)
    features = {split: np.c_[np.ones(len(m)), m, m**2] for split, m in mean.items()}
    fitted = np.linalg.lstsq(features["train"], np.eye(12)[label["train"]], rcond=None)[0]
    for guess in (nearest, (features["val"] @ fitted).argmax(1)):
        assert (guess == label["val"]).mean() < 1 / 12 + 3.5 * np.sqrt(1 / 12 * 11 / 12 / 240)


@pytest.mark.parametrize("shape", synthetic.SHAPES)
def test_every_shape_covers_the_same_area(shape: str) -> None:
    u = np.full(24, 0.5)
    inside, stripe = synthetic._inside(shape, 40, u)
    radius = 0.315
    assert inside.mean() / radius**2 == pytest.approx(2.0, abs=0.12)
    assert 0.3 < stripe[inside].mean() < 0.7


def test_an_unknown_shape() -> None:
    with pytest.raises(ValueError, match="shape='heart'"):
        synthetic.picture("heart", False, 40)


def test_it_is_made_once_and_leaves_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = synthetic.ensure(tmp_path, train=1, val=1)
    monkeypatch.setattr(synthetic, "generate", None)
    assert synthetic.ensure(tmp_path, train=1, val=1) == first
    assert list(tmp_path.iterdir()) == [first]


def test_the_default_cache_is_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "new"))
    assert synthetic.ensure(train=1, val=1).parent == tmp_path / "new"
