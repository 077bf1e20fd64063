"""The Task protocol: all that the harness may ask of a domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tasks.recipe import Metric, Recipe

Batch = Any
"""Whatever a task's loader yields: already on the device, ready for `loss`."""


def _unchanged(value: float) -> float:
    return value


@dataclass(frozen=True)
class Shown:
    """A number of a training step. It stays on the device until it is read: a step on a GPU must not wait for the host.

    Attributes:
        value: a scalar without gradient.
        finish: makes the number to show of the value that was read.
    """

    value: Tensor
    finish: Callable[[float], float] = _unchanged

    def __float__(self) -> float:
        return self.finish(float(self.value))


@dataclass(frozen=True)
class DataReport:
    """What verification found in a data set, for the record.

    `fingerprint` changes with any file name, size or content that training can see, and with the subset.
    `counts` are plain numbers such as {"train": 20000, "test": 7500, "classes": 50}.
    `features` says in a line what a frozen network made of the data, where one did, and at its end the fingerprint of the
    files alone; `fingerprint` covers both.
    `problems` are complete sentences, each naming a file; training does not start while there is one, so that every file of a
    set that was trained on had been read and decoded. `warnings` are what a reader of the results must know of the files:
    which are left out on purpose or in two places, and where there are not as many as were published. `published` says in a
    line of which parts there are exactly as many.
    """

    name: str
    fingerprint: str
    counts: dict[str, int]
    synthetic: bool
    subset: float = 1.0
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    features: str = ""
    published: str = ""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a network on the whole test set.

    `metrics` holds the row's primary metric under its own name beside others. `outcomes` is for the paired bootstrap over
    test examples, in the data set's own order: (n,) hits out of one (1.0 where a classification is right), or (n, 2 k) counts,
    k columns of hits and k of totals, where the metric is a geometric mean of k corpus-wide rates. `samples` is for readers:
    what the network said of every test example, in words, each with its name under the first key; none for classification.
    """

    metrics: dict[str, float]
    outcomes: Tensor
    samples: list[dict[str, str]] = field(default_factory=list)


class Task(Protocol):
    """One data set and network, for one seed on one device."""

    recipe: Recipe
    metric: Metric
    report: DataReport

    def model(self) -> nn.Module:
        """Return a freshly initialised network on the device; initial weights depend on the seed alone."""
        ...

    def steps_per_epoch(self) -> int:
        """Return the number of optimizer steps in an epoch (the last, incomplete batch is dropped)."""
        ...

    def batches(self, first_step: int, last_step: int) -> Iterator[Batch]:
        """Yield the training batches of steps [first_step, last_step); step s has the same batch however it is reached.

        Of several processes (see `tasks.distributed`) each has its part; the parts are equal.
        """
        ...

    def batch_ids(self, step: int) -> list[str]:
        """Return the names of the samples in the batch of `step`, to say where a NaN came from."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        """Return the training loss (a scalar with gradient) and numbers worth showing, such as {"accuracy": Shown(share)}.

        The loss is a mean over the batch, so that the loss of a whole batch is the mean of its equal parts'.
        """
        ...

    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        """Score `model` on every test example exactly once; several processes share the work, and all get the same scores.

        `thorough` adds what is too slow for every point of a curve: asked for where a phase ends.
        """
        ...

    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        """Score `model` on training examples under the conditions of `evaluate`: no augmentation, no dropout.

        They are all of them, or a sample that depends on nothing but the data. Metrics have the names of `evaluate`'s; the
        row's primary one is among them.
        """
        ...


Progress = Callable[[str, int, int], None]
"""Called with (what is being done, done, total)."""


class Source(Protocol):
    """A data set that was verified and is ready to be read; the trials of all seeds share it."""

    report: DataReport


class Domain(Protocol):
    """What every domain's `task.py` module offers."""

    def embedded(self) -> Path:
        """Return the folder of the generated smoke set, made first if need be."""
        ...

    def verify(self, recipe: Recipe, data: Path, subset: float, progress: Progress) -> DataReport:
        """Return what is wrong with the data set, as the recipe uses it, without raising over its content."""
        ...

    def open_data(
        self,
        recipe: Recipe,
        data: Path,
        subset: float,
        progress: Progress,
        train: bool = True,
        device: torch.device | None = None,
        **own: Any,
    ) -> Source:
        """Verify the data set and load what fits in memory.

        Without `train`, only what `evaluate` needs: for pictures and speech the test examples, for captions everything, since
        their vocabulary and the standardisation of their features come from the training examples. `device` is for
        what is computed while loading, `own` for the domain's options that open data (see `tasks.options`).

        Raises:
            ValueError: the data cannot be used; the message names the files.
        """
        ...

    def build(self, recipe: Recipe, source: Source, seed: int, device: torch.device, workers: int | None) -> Task:
        """Return the task of one seed."""
        ...
