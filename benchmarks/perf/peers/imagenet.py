"""Straightforward training on a folder of pictures: ImageFolder, Pillow's transforms and torch's defaults."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from tasks.imagenet.settings import Augmentation
from tasks.recipe import Recipe, Sgd


def loader(train: Path, settings: Augmentation, batch_size: int) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return shuffled batches of `train`/CLASS/*, loaded in this process: (batch, 3, crop, crop) float32 and class numbers."""
    steps = [
        transforms.RandomResizedCrop(settings.crop, scale=settings.area),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(settings.mean, settings.std),
    ]
    folder = datasets.ImageFolder(str(train), transforms.Compose(steps))
    return DataLoader(folder, batch_size=batch_size, shuffle=True, drop_last=True)


def endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches, epoch after epoch."""
    return itertools.chain.from_iterable(itertools.repeat(loader))


def trainer(model: nn.Module, recipe: Recipe) -> Callable[[Tensor, Tensor], float]:
    """Return a function that takes one step of the recipe's SGD on a batch and returns its loss.

    The optimizer updates one parameter at a time, and the model keeps its memory layout.
    """
    rule, weight = recipe.optimizer, recipe.model.auxiliary_weight
    assert isinstance(rule, Sgd)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=recipe.schedule.phases[0].lr,
        momentum=rule.momentum,
        nesterov=rule.nesterov,
        weight_decay=rule.weight_decay,
        foreach=False,
    )

    def step(x: Tensor, y: Tensor) -> float:
        model.train()
        output = model(x)
        if isinstance(output, Tensor):
            loss = functional.cross_entropy(output, y)
        else:
            main, second, first = (functional.cross_entropy(logits, y) for logits in output)
            loss = main + weight * (first + second)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    return step
