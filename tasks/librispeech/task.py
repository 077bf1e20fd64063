"""The speech task (see `tasks.task`)."""

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
from tasks.librispeech.sampler import Order, longest_first
from tasks.librispeech.settings import DeepSpeech1Settings, DeepSpeech2Settings
from tasks.librispeech.utterances import Utterance
from tasks.random_streams import derive
from tasks.recipe import Recipe
from tasks.task import DataReport, Evaluation, Progress, Shown

_TEST_BATCH = 32


@dataclass(frozen=True)
class Source:
    """Recordings, in memory if they fit, and their report. If `train` is None, the source is only for scoring.

    `utterances` are the utterances of `test`, `training` those of `train`.
    """

    report: DataReport
    train: Waveforms | None
    test: Waveforms
    utterances: tuple[Utterance, ...]
    training: tuple[Utterance, ...] = ()


embedded = synthetic.ensure


def verify(recipe: Recipe, data: Path, subset: float, progress: Progress) -> DataReport:
    """Return a report on the data set as the recipe uses it. It lists errors in recordings and transcripts instead of raising them.

    Raises:
        ValueError: `data` is not such a data set, or its quarantine.txt is not text.
    """
    return dataset.verify(_used(recipe, dataset.scan(data, subset, progress=progress)), progress)


def open_data(
    recipe: Recipe,
    data: Path,
    subset: float,
    progress: Progress,
    train: bool = True,
    device: torch.device | None = None,
) -> Source:
    """Verify the data set and decode recordings if they fit in memory; without `train`, only the test recordings.

    Raises:
        ValueError: the data cannot be used; the message names the files.
    """
    del device  # it is for features of a frozen network, which this domain does not use
    scoring: Sequence[layout.Split] = ("dev",) if recipe.data.probing else ("test",)
    splits = layout.SPLITS if train else scoring
    found = _used(recipe, distributed.rank_zero_first(lambda: dataset.scan(data, subset, splits, progress=progress)))
    report = distributed.on_rank_zero(lambda: dataset.verify(found, progress))
    require(report)
    return Source(
        report,
        Waveforms(found.train, found.root, progress) if train else None,
        Waveforms(found.test, found.root, progress),
        found.test,
        found.train if train else (),
    )


def _used(recipe: Recipe, found: dataset.Speech) -> dataset.Speech:
    """Return the data set as the recipe uses it: the test set of a probe is the utterances of dev."""
    if not recipe.data.probing:
        return found
    if not found.dev:
        raise ValueError(f"{found.root}: there is no dev folder, whose utterances a probe is tested on")
    return dataclasses.replace(found, test=found.dev, dev=())


class SpeechTask:
    """Speech recognition by DeepSpeech or DeepSpeech 2, trained with CTC. The metric is the word error rate in percent.

    Raises:
        ValueError: there are fewer training utterances than a batch.
    """

    metric = WER

    def __init__(self, recipe: Recipe, source: Source, seed: int, device: torch.device, workers: int | None) -> None:
        del workers  # one thread per processor decodes recordings that are not in memory
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
        """Yield this process's part of the batches of steps [first_step, last_step)."""
        train, order = self._training()
        plan = (distributed.shard(order.batch(step)) for step in range(first_step, last_step))
        return data.batches(train, plan, self._device)

    def batch_ids(self, step: int) -> list[str]:
        """Return the names of the utterances in the batch of `step`."""
        train, order = self._training()
        return [train.names[index] for index in order.batch(step)]

    def _training(self) -> tuple[Waveforms, Order]:
        assert self._source.train is not None, "opened for scoring"
        assert self._order is not None
        return self._source.train, self._order

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        """Return the CTC loss in nats, mean over utterances."""
        features, frames = spectrogram.features(batch.waveforms, batch.samples)
        # Drawn from the random stream of the step, so that all arms have the same masks.
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

        Metrics: `wer` and `cer` in percent over the whole test set. If it has several folders, also `wer_FOLDER` and `cer_FOLDER`.
        """
        del thorough  # there are no slow metrics
        test = self._source.test
        hypotheses = self._transcribe(model, test, range(len(test)))
        utterances = self._source.utterances
        references = [utterance.transcript for utterance in utterances]
        metrics = wer.score(references, hypotheses)
        folders = sorted({utterance.subset for utterance in utterances})
        for folder in folders if len(folders) > 1 else []:
            rows = [row for row, utterance in enumerate(utterances) if utterance.subset == folder]
            part = wer.score([references[row] for row in rows], [hypotheses[row] for row in rows])
            metrics |= {f"{name}_{folder}": value for name, value in part.items()}
        samples = [
            {"utterance": name, "reference": reference, "transcript": hypothesis}
            for name, reference, hypothesis in zip(test.names, references, hypotheses, strict=True)
        ]
        return Evaluation(metrics, wer.counts(references, hypotheses), samples)

    @torch.inference_mode()
    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        """Return `wer` and `cer` of evenly spaced training utterances, at most as many as test utterances."""
        train, _ = self._training()
        which = range(0, len(train), math.ceil(len(train) / len(self._source.test)))
        references = [self._source.training[index].transcript for index in which]
        return wer.score(references, self._transcribe(model, train, which))

    def _transcribe(self, model: nn.Module, waveforms: Waveforms, utterances: Sequence[int]) -> list[str]:
        """Return the transcripts of the utterances with the indices `utterances`, in this order."""
        model.eval()
        plan = longest_first(waveforms.lengths, utterances, _TEST_BATCH)
        mine: list[list[str]] = []
        for batch in data.batches(waveforms, distributed.shard(plan), self._device):
            features, frames = spectrogram.features(batch.waveforms, batch.samples)
            mine.append(decode.greedy(*model(features, frames)))
        transcripts: dict[int, str] = {}
        for indices, batch_transcripts in zip(plan, distributed.gather(mine), strict=True):
            transcripts |= zip(indices.tolist(), batch_transcripts, strict=True)
        return [transcripts[utterance] for utterance in utterances]


build = SpeechTask
