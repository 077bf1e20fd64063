"""The speech task: what the harness may ask of it (see `tasks.task`)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks import distributed
from tasks.data.verification import require
from tasks.librispeech import alphabet, dataset, decode, layout, spectrogram, synthetic, wer
from tasks.librispeech import batches as data
from tasks.librispeech.batches import Batch, Waveforms
from tasks.librispeech.models import DeepSpeech, DeepSpeech2
from tasks.librispeech.recipes import WER, Speech
from tasks.librispeech.sampler import Order, restore
from tasks.librispeech.settings import DeepSpeech1Settings, DeepSpeech2Settings
from tasks.librispeech.utterances import Utterance
from tasks.random_streams import derive
from tasks.recipe import Recipe
from tasks.task import DataReport, Evaluation, Progress, Shown

_TEST_BATCH = 32


@dataclass(frozen=True)
class Source:
    """Recordings, decoded where they fit in memory, with their report. Without `train` it is for scoring.

    `utterances` are those of `test`, `training` those of `train`.
    """

    report: DataReport
    train: Waveforms | None
    test: Waveforms
    utterances: tuple[Utterance, ...]
    training: tuple[Utterance, ...] = ()


def embedded() -> Path:
    """Return the folder of the generated smoke set, made first if need be."""
    return synthetic.ensure()


def verify(recipe: Recipe, data: Path, subset: float, progress: Progress) -> DataReport:
    """Return what is wrong with the data set, as the recipe uses it, without raising over its content.

    Raises:
        ValueError: `data` is no such data set at all.
    """
    found = _used(recipe, dataset.scan(data, subset, progress=progress))
    return dataset.verify(found, progress, synthetic=_synthetic(found))


def open_data(
    recipe: Recipe,
    data: Path,
    subset: float,
    progress: Progress,
    train: bool = True,
    device: torch.device | None = None,
) -> Source:
    """Verify the data set and decode what fits in memory; without `train`, nothing but the test recordings.

    Raises:
        ValueError: the data cannot be used; the message names the files.
    """
    del device  # nothing is computed on it
    scoring: Sequence[layout.Split] = ("dev",) if recipe.data.probing else ("test",)
    splits = layout.SPLITS if train else scoring
    found = _used(recipe, distributed.rank_zero_first(lambda: dataset.scan(data, subset, splits, progress=progress)))
    report = distributed.on_rank_zero(lambda: dataset.verify(found, progress, synthetic=_synthetic(found)))
    require(report)
    return Source(
        report,
        Waveforms(found.train, found.root, progress) if train else None,
        Waveforms(found.test, found.root, progress),
        found.test,
        found.train if train else (),
    )


def _used(recipe: Recipe, found: dataset.Speech) -> dataset.Speech:
    """Return the data set as the recipe uses it: a probe is tested on the utterances of dev, and on no other."""
    if not recipe.data.probing:
        return found
    if not found.dev:
        raise ValueError(f"{found.root}: there is no dev folder, whose utterances a probe is tested on")
    return dataclasses.replace(found, test=found.dev, dev=())


def _synthetic(found: dataset.Speech) -> bool:
    return (found.root / synthetic.MARK).exists()


def build(recipe: Recipe, source: Source, seed: int, device: torch.device, workers: int | None) -> SpeechTask:
    """Return the task of one seed. Recordings that are not in memory are decoded by one thread a processor."""
    del workers  # threads, which the data set made for itself
    return SpeechTask(recipe, source, seed, device)


class SpeechTask:
    """Recognition by DeepSpeech or DeepSpeech 2, trained with CTC; the metric is word error rate in percent, decoded greedily.

    Raises:
        ValueError: there are fewer training utterances than one batch.
    """

    metric = WER

    def __init__(self, recipe: Recipe, source: Source, seed: int, device: torch.device) -> None:
        assert isinstance(recipe.data, Speech)
        self.recipe, self.report = recipe, source.report
        self._speech, self._source, self._seed, self._device = recipe.data, source, seed, device
        self._order = (
            Order(
                source.train.lengths,
                recipe.batch_size,
                derive(seed, "data"),
                sortagrad=recipe.data.sortagrad,
                jitter=recipe.data.jitter,
            )
            if source.train is not None
            else None
        )

    def model(self) -> DeepSpeech | DeepSpeech2:
        """Return a freshly initialised network on the device."""
        settings, seed = self.recipe.model, derive(self._seed, "weights")
        if isinstance(settings, DeepSpeech1Settings):
            return DeepSpeech(settings, seed).to(self._device)
        assert isinstance(settings, DeepSpeech2Settings)
        return DeepSpeech2(settings, seed).to(self._device)

    def steps_per_epoch(self) -> int:
        """Return the number of full batches in an epoch."""
        return self._order.steps_per_epoch if self._order else 0

    def batches(self, first_step: int, last_step: int) -> Iterator[Batch]:
        """Yield the batches of steps [first_step, last_step), of several processes each its part."""
        train, order = self._training()
        return data.batches(train, order, first_step, last_step, self._device)

    def batch_ids(self, step: int) -> list[str]:
        """Return the names of the utterances in the batch of `step`."""
        return data.batch_ids(*self._training(), step)

    def _training(self) -> tuple[Waveforms, Order]:
        assert self._source.train is not None, "opened for scoring"
        assert self._order is not None
        return self._source.train, self._order

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        """Return the CTC loss of an utterance in nats (mean over utterances)."""
        features, frames = spectrogram.features(batch.waveforms, batch.samples)
        # Drawn from the step's own noise, so that every arm hides the same.
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        features = spectrogram.spec_augment(features, frames, self._speech.augment, generator)
        spoken = model(features, frames)
        loss = functional.ctc_loss(
            spoken.log_probabilities.transpose(0, 1),
            batch.targets,
            spoken.lengths,
            batch.target_lengths,
            blank=alphabet.BLANK,
            reduction="sum",
        )
        return loss / len(batch.samples), {}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        """Transcribe every test utterance once, greedily, and count errors.

        Metrics: `wer` and `cer` in percent over the whole test set and, where it has several folders, `wer_FOLDER` and
        `cer_FOLDER` of each.
        """
        del thorough  # nothing here is slow
        test = self._source.test
        hypotheses = self._transcribe(model, test, range(len(test)))
        utterances = self._source.utterances
        references = [utterance.transcript for utterance in utterances]
        metrics = _scores(references, hypotheses)
        folders = sorted({utterance.subset for utterance in utterances})
        for folder in folders if len(folders) > 1 else []:
            rows = [row for row, utterance in enumerate(utterances) if utterance.subset == folder]
            part = _scores([references[row] for row in rows], [hypotheses[row] for row in rows])
            metrics |= {f"{name}_{folder}": value for name, value in part.items()}
        samples = [
            {"utterance": name, "reference": reference, "transcript": hypothesis}
            for name, reference, hypothesis in zip(test.names, references, hypotheses, strict=True)
        ]
        return Evaluation(metrics, wer.counts(references, hypotheses), samples)

    @torch.inference_mode()
    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        """Transcribe training utterances greedily, as many as there are test utterances and at even distances: `wer`, `cer`."""
        train, _ = self._training()
        which = range(0, len(train), math.ceil(len(train) / len(self._source.test)))
        references = [self._source.training[index].transcript for index in which]
        return _scores(references, self._transcribe(model, train, which))

    def _transcribe(self, model: nn.Module, waveforms: Waveforms, which: Sequence[int]) -> list[str]:
        """Return what is heard in the utterances numbered `which`, in their order."""
        model.eval()
        mine: list[list[str]] = []
        for batch in data.scoring_batches(waveforms, _TEST_BATCH, self._device, which):
            features, frames = spectrogram.features(batch.waveforms, batch.samples)
            mine.append(decode.greedy(*model(features, frames)))
        heard = [transcript for batch in distributed.gather(mine) for transcript in batch]
        return restore(data.scoring_order(waveforms, which), heard)


def _scores(references: list[str], hypotheses: list[str]) -> dict[str, float]:
    found = wer.score(references, hypotheses)
    return {"wer": found.wer, "cer": found.cer}
