"""The ImageNet task (see `tasks.task`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks import distributed
from tasks.data.verification import require
from tasks.imagenet import batches as data
from tasks.imagenet import dataset, models, synthetic
from tasks.imagenet.batches import Batch, Pictures
from tasks.imagenet.dataset import Division
from tasks.imagenet.label_noise import mislabelled
from tasks.imagenet.recipes import TOP1_ERROR, Network
from tasks.imagenet.settings import Augmentation
from tasks.random_streams import derive
from tasks.recipe import Recipe
from tasks.task import DataReport, Evaluation, Progress, Shown

_TEST_BATCH = 250
_TRAINING_SCORED = 50_000  # as many as ImageNet has test pictures


@dataclass(frozen=True)
class Source:
    """Training and test pictures, in memory if they fit, and their report. If `train` is None, the source is only for scoring."""

    report: DataReport
    classes: int
    train: Pictures | None
    test: Pictures


embedded = synthetic.ensure


def verify(recipe: Recipe, data: Path, subset: float, progress: Progress) -> DataReport:
    """Return a report on the data set as the recipe uses it. It lists errors in pictures instead of raising them.

    Raises:
        ValueError: `data` is not a folder of pictures, or its quarantine.txt is not text.
    """
    return dataset.verify(dataset.scan(data, subset, division=_division(recipe)), progress)


def _division(recipe: Recipe) -> Division:
    settings = recipe.data
    assert isinstance(settings, Augmentation)
    return Division(settings.trained, settings.probes, settings.test_unused, settings.probing)


def open_data(
    recipe: Recipe,
    data: Path,
    subset: float,
    progress: Progress,
    train: bool = True,
    device: torch.device | None = None,
) -> Source:
    """Verify the data set and decode pictures if they fit in memory; without `train`, only the test pictures.

    Raises:
        ValueError: the data cannot be used; the message names the files.
    """
    del device  # it is for features of a frozen network, which this domain does not use
    found = dataset.scan(data, subset, dataset.SPLITS if train else ("val",), _division(recipe))
    report = distributed.on_rank_zero(lambda: dataset.verify(found, progress))
    require(report)

    return Source(
        report,
        len(found.classes),
        Pictures(found, "train", progress=progress) if train else None,
        Pictures(found, "val", progress=progress),
    )


class ImageNetTask:
    """Classification by one of the four networks. The metric is top-1 error in percent.

    Raises:
        ValueError: there are fewer training pictures than a batch.
    """

    metric = TOP1_ERROR

    def __init__(self, recipe: Recipe, source: Source, seed: int, device: torch.device, workers: int | None) -> None:
        assert isinstance(recipe.model, Network)
        assert isinstance(recipe.data, Augmentation)
        self.recipe, self.report = recipe, source.report
        self._source, self._seed, self._device, self._workers = source, seed, device, workers
        self._network, self._pictures = recipe.model, recipe.data
        self._training = source.train
        if source.train and recipe.data.label_noise:
            of, share = source.train, recipe.data.label_noise
            self._training = of.relabelled(mislabelled(of.labels, source.classes, share, derive(seed, "labels")))
        # Computed here, so that an error comes before the first seed trains.
        self._steps_per_epoch = data.steps_per_epoch(len(source.train), recipe.batch_size) if source.train else 0

    def model(self) -> nn.Module:
        """Return a freshly initialised network on the device, in channels_last."""
        seed = derive(self._seed, "weights")
        network = models.build(self.recipe.network, self._network, self._source.classes, seed)
        return network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def steps_per_epoch(self) -> int:
        """Return the number of full batches in an epoch."""
        return self._steps_per_epoch

    def batches(self, first_step: int, last_step: int) -> Iterator[Batch]:
        """Yield (x, y) for steps [first_step, last_step); x: (batch, 3, crop, crop) float32 normalised, y: (batch,) int64.

        Each process yields its part of every batch.
        """
        return data.train_batches(
            self._train(),
            self._pictures,
            derive(self._seed, "data"),
            self.recipe.batch_size,
            first_step,
            last_step,
            self._workers,
            self._device,
        )

    def batch_ids(self, step: int) -> list[str]:
        """Return the file names, relative to the data set, of the pictures in the batch of `step`."""
        return data.batch_ids(self._train(), derive(self._seed, "data"), self.recipe.batch_size, step)

    def _train(self) -> Pictures:
        assert self._training is not None, "opened for scoring"
        return self._training

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        """Return the mean cross-entropy, plus the auxiliary losses of GoogLeNet, and the top-1 error of the batch in percent."""
        x, y = batch
        output = model(x)
        logits = output if isinstance(output, Tensor) else output.logits
        loss = functional.cross_entropy(logits, y)
        if not isinstance(output, Tensor):
            for auxiliary in (output.aux_logits1, output.aux_logits2):
                loss = loss + self._network.auxiliary_weight * functional.cross_entropy(auxiliary, y)
        wrong = (logits.detach().argmax(1) != y).float().mean()
        return loss, {TOP1_ERROR.name: Shown(wrong, lambda share: 100 * share)}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        """Return top-1 and top-5 error in percent and mean cross-entropy over all test pictures."""
        metrics, right = self._scores(model, self._source.test, range(len(self._source.test)))
        return Evaluation(metrics, right)

    @torch.inference_mode()
    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        """Return the metrics of `evaluate` on training pictures, with the labels used in training.

        Of more than 50,000 pictures, only every k-th is scored; k is the smallest number that leaves at most 50,000.
        """
        train = self._train()
        step = max(1, math.ceil(len(train) / _TRAINING_SCORED))
        metrics, _ = self._scores(model, train, range(0, len(train), step))
        return metrics

    def _scores(self, model: nn.Module, pictures: Pictures, which: Sequence[int]) -> tuple[dict[str, float], Tensor]:
        """Return the metrics of the pictures with the indices `which`, and (n,) 1.0 for each correct top-1 prediction, else 0.0."""
        model.eval()
        mine = []
        batches = data.scoring_batches(pictures, self._pictures, _TEST_BATCH, self._workers, self._device, which)
        for x, y in batches:
            logits = model(x)
            ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices == y[:, None]
            losses = functional.cross_entropy(logits, y, reduction="none")
            mine.append((ranked[:, 0].cpu(), ranked.any(1).cpu(), losses.cpu()))
        first, five, losses = (torch.cat(parts) for parts in zip(*distributed.gather(mine), strict=True))
        right = first.double()
        metrics = {
            TOP1_ERROR.name: 100 * (1 - float(right.mean())),
            "top5_error": 100 * (1 - float(five.double().mean())),
            "test_loss": float(losses.double().mean()),
        }
        return metrics, right


build = ImageNetTask
