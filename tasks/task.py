"""Protocols between the harness and the domains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tasks.recipe import Metric, Recipe

Batch = Any
"""A batch as `Task.batches` yields it and `Task.loss` takes it, on the device."""


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
    """The result of verifying a data set, for the record.

    Attributes:
        name: of the data set's folder.
        fingerprint: changes with any file name, size or content that training uses, with the subset and with `features`.
        counts: numbers such as {"train": 20000, "test": 7500, "classes": 50}.
        synthetic: whether the data is generated.
        subset: the part of the training data that is used.
        problems: sentences that name files. Training does not start while there are any.
        warnings: sentences that readers of the results need: files left out or duplicated, counts that differ from the published.
        features: a line about the frozen network that computed features, if any, and the fingerprint of the files alone.
        published: a line about the parts whose counts equal the published ones.
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

    Attributes:
        metrics: by name, the row's primary metric among them.
        outcomes: per test example, in the order of the data set, for the paired bootstrap: (n,) 1.0 if a classification is right,
            else 0.0; or (n, 2 k) counts, k columns of hits and k of totals, for a geometric mean of k corpus-wide rates.
        samples: the output for every test example, in words, with the example's name under the first key; [] for classification.
    """

    metrics: dict[str, float]
    outcomes: Tensor
    samples: list[dict[str, str]] = field(default_factory=list)


class Task(Protocol):
    """A network and its data, for one seed on one device."""

    recipe: Recipe
    metric: Metric
    report: DataReport

    def model(self) -> nn.Module:
        """Return a freshly initialised network on the device. Initial weights depend on the seed only."""
        ...

    def steps_per_epoch(self) -> int:
        """Return the optimizer steps per epoch. The last, incomplete batch is dropped."""
        ...

    def batches(self, first_step: int, last_step: int) -> Iterator[Batch]:
        """Yield the training batches of steps [first_step, last_step). The batch of a step does not depend on `first_step`.

        With several processes (see `tasks.distributed`) each yields its part; the parts have equal size.
        """
        ...

    def batch_ids(self, step: int) -> list[str]:
        """Return the names of the samples in the batch of `step`, for messages about NaN."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        """Return the training loss, a scalar, and numbers to show, such as {"accuracy": Shown(share)}.

        The loss is a mean over the batch, so the loss of a batch is the mean of the losses of its equal parts.
        """
        ...

    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        """Score `model` on every test example exactly once. Processes share the work, and all return the same scores.

        `thorough`, used at the end of a phase, adds metrics that are too slow for every evaluation.
        """
        ...

    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        """Score `model` on training examples under the conditions of `evaluate`: no augmentation, no dropout.

        The examples are all of them or a fixed sample. Metrics have the names that `evaluate` uses and include the primary one.
        """
        ...


Progress = Callable[[str, int, int], None]
"""Called with (activity, done, total)."""


class Source(Protocol):
    """A verified data set, shared by the trials of all seeds."""

    report: DataReport


class Domain(Protocol):
    """The `task.py` module of a domain."""

    def embedded(self) -> Path:
        """Return the folder of the generated smoke set; generate it if it is absent."""
        ...

    def verify(self, recipe: Recipe, data: Path, subset: float, progress: Progress) -> DataReport:
        """Return a report on the data set as the recipe uses it. Its content raises nothing."""
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

        Without `train`, load only what `evaluate` needs: for pictures and speech the test examples; for captions everything,
        because vocabulary and standardisation come from the training examples. `device` computes features; `own` are the
        domain's options that open data (see `tasks.options`).

        Raises:
            ValueError: the data cannot be used; the message names the files.
        """
        ...

    def build(self, recipe: Recipe, source: Source, seed: int, device: torch.device, workers: int | None) -> Task:
        """Return the task of one seed."""
        ...
