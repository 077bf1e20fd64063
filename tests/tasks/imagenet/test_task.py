from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from tasks.data.cache import MARK
from tasks.imagenet import synthetic, task
from tasks.imagenet.recipes import RECIPES
from tasks.imagenet.task import ImageNetTask, Source

CPU = torch.device("cpu")


def quiet(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    root = tmp_path_factory.mktemp("data") / "set"
    synthetic.generate(root, train=4, val=3)
    return task.open_data(RECIPES["imagenet_googlenet"]["smoke"], root, 1.0, quiet)


def build(source: Source, row: str, seed: int = 0, **changes: object) -> ImageNetTask:
    recipe = dataclasses.replace(RECIPES[row]["smoke"], batch_size=8, **changes)  # type: ignore[arg-type]
    return task.build(recipe, source, seed, CPU, None)


class Constant(nn.Module):
    """Ranks classes 0, 1, 2 ... for every picture."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -torch.arange(12.0).expand(len(x), 12)


def test_scores_count_every_test_picture_once(source: Source) -> None:
    result = build(source, "imagenet_resnet18").evaluate(Constant(), True)
    assert result.outcomes.tolist() == [1.0] * 3 + [0.0] * 33  # the first 3 of 36 pictures are of class 0
    assert result.metrics["top1_error"] == pytest.approx(100 * 33 / 36)
    assert result.metrics["top5_error"] == pytest.approx(100 * 21 / 36)
    logits = -torch.arange(12.0).expand(36, 12)
    assert result.metrics["test_loss"] == pytest.approx(
        float(functional.cross_entropy(logits, torch.arange(12).repeat_interleave(3)))
    )


def test_googlenet_adds_its_auxiliary_losses_in_training(source: Source) -> None:
    googlenet = build(source, "imagenet_googlenet")
    x, y = next(iter(googlenet.batches(0, 1)))
    model = googlenet.model().train()
    torch.manual_seed(0)
    loss, shown = googlenet.loss(model, (x, y))
    torch.manual_seed(0)
    output = model(x)
    main, one, two = (
        functional.cross_entropy(part, y) for part in (output.logits, output.aux_logits1, output.aux_logits2)
    )
    assert float(loss.detach()) == pytest.approx(float((main + 0.3 * (one + two)).detach()), rel=1e-5)
    assert float(shown["top1_error"]) == pytest.approx(100 * float((output.logits.argmax(1) != y).float().mean()))


@pytest.mark.parametrize("row", RECIPES)
def test_every_network_takes_a_step_and_is_scored(source: Source, row: str) -> None:
    one = build(source, row)
    model = one.model()
    x, y = next(iter(one.batches(0, 1)))
    assert x.shape == (8, 3, 32, 32)
    assert x.is_contiguous(memory_format=torch.channels_last)
    loss, _ = one.loss(model.train(), (x, y))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert len(one.evaluate(model, True).outcomes) == 36


def test_batches_depend_on_the_seed_and_the_step_alone(source: Source) -> None:
    one, same, other = (build(source, "imagenet_resnet18", seed) for seed in (0, 0, 1))
    straight = list(one.batches(0, 9))
    (late,) = same.batches(8, 9)
    assert torch.equal(straight[8][0], late[0])
    assert torch.equal(straight[8][1], late[1])
    assert not torch.equal(straight[0][0], next(iter(other.batches(0, 1)))[0])
    assert not torch.equal(straight[0][0], straight[6][0])  # 6 steps per epoch: the second epoch has another order


def test_batch_ids_name_the_pictures_of_the_batch(source: Source) -> None:
    one = build(source, "imagenet_resnet18")
    ids = one.batch_ids(3)
    ((_, y),) = one.batches(3, 4)
    classes = sorted(path.name for path in (source.train.root / "train").iterdir())
    assert [classes.index(name.split("/")[1]) for name in ids] == y.tolist()
    assert all((source.train.root / name).exists() for name in ids)


def test_generated_pictures_are_labelled_so_wherever_they_lie(source: Source, tmp_path: Path) -> None:
    assert source.report.synthetic
    synthetic.generate(tmp_path / "copy", train=1, val=1)
    (tmp_path / "copy" / MARK).unlink()
    assert not task.verify(RECIPES["imagenet_googlenet"]["smoke"], tmp_path / "copy", 1.0, quiet).synthetic
