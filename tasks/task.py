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
"""A batch on the device. `Task.batches` yields it and `Task.loss` takes it."""


def _unchanged(value: float) -> float:
    return value


@dataclass(frozen=True)
class Shown:
    """A number to show for a training step. It stays on the device until it is read, because every read from a GPU delays training.

    Attributes:
        value: a scalar without gradient.
        finish: returns the number to show for the value.
    """

    value: Tensor
    finish: Callable[[float], float] = _unchanged

    def __float__(self) -> float:
        return self.finish(float(self.value))


@dataclass(frozen=True)
class DataReport:
    """The result of verifying a data set, for the record.

    Attributes:
        name: name of the data set's folder.
        fingerprint: changes with the name or content of any file used in training or testing, with the subset and with `features`.
        counts: numbers such as {"train": 20000, "test": 7500, "classes": 50}.
        synthetic: whether the data is generated.
        subset: the share of the training data that is used, in (0, 1].
        problems: sentences that name files. Training does not start if there are any.
        warnings: sentences that readers of the results need: files left out or duplicated, counts that differ from published ones.
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
        metrics: values by name; the row's primary metric is one of them.
        outcomes: a row per test example, in the order of the data set, for the paired bootstrap. For classification: (n,), 1.0 if
            the prediction is right, else 0.0. For a geometric mean of k corpus-wide rates: (n, 2 k) counts, first k columns of
            hits, then k columns of totals.
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

        With several processes (see `tasks.distributed`), each process yields its part; the parts have equal size.
        """
        ...

    def batch_ids(self, step: int) -> list[str]:
        """Return the names of the samples in the batch of `step`, for messages about NaN."""
        ...

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        """Return the training loss, a scalar, and numbers to show, such as {"accuracy": Shown(share)}.

        The loss is a mean over the batch. So if a batch is divided into equal parts, its loss is the mean of their losses.
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
        """Return a report on the data set as the recipe uses it. It lists errors in files instead of raising them.

        Raises:
            ValueError: `data` is not a data set of this domain.
        """
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
        because vocabulary and standardisation come from the training examples. A frozen network computes features on `device`.
        `own` are the values of the domain's options that have `opens` (see `tasks.options`).

        Raises:
            ValueError: the data cannot be used; the message names the files.
        """
        ...

    def build(self, recipe: Recipe, source: Source, seed: int, device: torch.device, workers: int | None) -> Task:
        """Return the task of one seed."""
        ...
