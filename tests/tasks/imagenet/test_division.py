"""The division of training pictures into training, test and unused ones depends only on names; no picture is in two parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tasks.imagenet import dataset, task
from tasks.imagenet.dataset import Division
from tasks.imagenet.recipes import RECIPES
from tasks.imagenet.settings import Augmentation

DIVISION = Division(trained=0.375, probes=0.1, test_unused=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split, count in (("train", 40), ("val", 3)):
        for name in ("n1", "n2"):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                colour = (number * 5, 40 if split == "val" else 200, 100 if name == "n1" else 0)
                Image.new("RGB", (8, 8), colour).save(tmp_path / split / name / f"{number}.png")
    return tmp_path


def of_train(names: tuple[str, ...]) -> set[str]:
    return {name for name in names if name.startswith("train/")}


def test_every_training_picture_has_one_use(root: Path) -> None:
    plan = dataset.scan(root, division=DIVISION)
    probe = dataset.scan(root, division=Division(0.375, 0.1, test_unused=True, probing=True))
    assert (len(plan.train), len(plan.val)) == (2 * 15, 2 * 3 + 2 * 21)
    assert plan.train == probe.train
    assert (len(probe.val), of_train(probe.val)) == (2 * 4, set(probe.val))
    parts = [set(plan.train), of_train(plan.val), set(probe.val)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 80
    labels = plan.labels("val").tolist()
    assert [labels.count(number) for number in (0, 1)] == [24, 24]


def test_a_subset_is_a_part_of_what_is_trained_on_and_changes_no_test(root: Path) -> None:
    whole, part = dataset.scan(root, division=DIVISION), dataset.scan(root, 0.4, division=DIVISION)
    assert len(part.train) == 2 * 6
    assert set(part.train) < set(whole.train)
    assert part.val == whole.val


def test_without_a_division_nothing_is_set_aside(root: Path) -> None:
    found = dataset.scan(root)
    assert (len(found.train), len(found.val)) == (80, 6)
    assert found == dataset.scan(root, division=Division())


def test_pictures_of_train_are_found_where_only_testing_is_asked_for(root: Path) -> None:
    found = dataset.scan(root, splits=("val",), division=DIVISION)
    assert (found.train, len(found.val)) == ((), 48)


def test_the_fingerprint_tells_divisions_apart(root: Path) -> None:
    divisions = [Division(), DIVISION, Division(0.375, 0.1), Division(0.375, 0.1, probing=True)]
    assert len({dataset.verify(dataset.scan(root, division=one)).fingerprint for one in divisions}) == 4


def test_the_recipes_of_small_scale_test_on_pictures_that_nobody_trains_on(root: Path) -> None:
    for name, recipes in RECIPES.items():
        data = recipes["small"].data
        assert (data.trained, data.probes, data.test_unused, data.probing) == (0.375, 0.1, True, False), name
    source = task.open_data(RECIPES["imagenet_resnet18"]["small"], root, 1.0, lambda *_: None)
    assert source.report.counts == {"train": 30, "test": 48, "classes": 2}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trained": 0.0}, r"trained=0\.0: expected a share above 0"),
        (
            {"trained": 0.95, "probes": 0.1},
            r"trained=0\.95: expected a share above 0; with probes=0\.1, at most 1 together",
        ),
        ({"probing": True}, "probing=True: .* no pictures are set aside for probes"),
    ],
)
def test_shares_that_cannot_be_are_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(8, 8, 8, **changed)  # type: ignore[arg-type]
