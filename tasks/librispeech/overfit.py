"""A test of the whole path on real speech by overfitting: `python -m tasks.librispeech.overfit DATASET`.

It trains DeepSpeech on every utterance of DATASET and tests on the same utterances. If the network cannot transcribe them after a
hundred epochs, there is an error in reading, spectrogram, network, loss or decoding. It does not test DSD.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from tyro.conf import Positional

from dsd.schedule import Phase, PolynomialDecay, Schedule
from tasks import command_line
from tasks.data.verification import require
from tasks.librispeech import dataset, layout, task
from tasks.librispeech.batches import Waveforms
from tasks.librispeech.recipes import DEEPSPEECH
from tasks.librispeech.settings import DeepSpeech1Settings
from tasks.recipe import Recipe, Sgd
from tasks.task import Progress

LEARNT = 5.0
"""WER in percent below which the test passes."""

_EVERY = 10  # epochs between scores


@dataclass(frozen=True)
class Overfit:
    """Train DeepSpeech on every utterance of a data set and test on the same ones until WER is below 5 %; otherwise exit with 1."""

    data: Positional[Path]
    """A folder in LibriSpeech's layout; all its train, dev and test folders are used."""
    width: int = 384
    """Units of every hidden layer."""
    epochs: int = 100
    """Maximum epochs; the learning rate falls linearly to zero over all of them."""
    lr: float = 1e-2
    """Initial learning rate."""
    batch_size: int = 8
    """Utterances per optimizer step."""

    def recipe(self) -> Recipe:
        """Return DeepSpeech's recipe without regularisation, with learning rates for a few minutes.

        Raises:
            ValueError: an option is out of range.
        """
        schedule = Schedule((Phase("dense", self.epochs, self.lr, PolynomialDecay(power=1)),))
        return dataclasses.replace(
            DEEPSPEECH,
            model=DeepSpeech1Settings(self.width, dropout=0.0),
            schedule=schedule,
            batch_size=self.batch_size,
            optimizer=Sgd(momentum=0.9, nesterov=True, weight_decay=0.0),
            clip_norm=10.0,
        )


class Score(NamedTuple):
    """State after an epoch: mean training loss in nats per utterance, and error rates on the training utterances in percent."""

    epoch: int
    loss: float
    wer: float
    cer: float


def source(data: Path, progress: Progress) -> task.Source:
    """Return all recordings of `data`, for both training and testing.

    Raises:
        ValueError: the data cannot be used; the message names the files.
    """
    root = layout.find(data)
    folders = [name for split in layout.SPLITS for name in layout.folders(root, split)]
    found = dataset.scan(root, splits=("train",), train=folders, progress=progress)
    report = dataset.verify(found, progress)
    require(report)
    waveforms = Waveforms(found.train, found.root, progress)
    return task.Source(report, waveforms, waveforms, found.train)


def train(recipe: Recipe, heard: task.Source, device: torch.device) -> Iterator[Score]:
    """Train with the recipe's schedule; yield a score every ten epochs and after the last one.

    Raises:
        ValueError: there are fewer utterances than a batch.
    """
    speech = task.build(recipe, heard, seed=0, device=device, workers=None)
    model = speech.model()
    assert isinstance(recipe.optimizer, Sgd)
    assert recipe.clip_norm is not None
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1.0, momentum=recipe.optimizer.momentum, nesterov=recipe.optimizer.nesterov, fused=True
    )
    each = speech.steps_per_epoch()
    (last,) = recipe.schedule.boundaries(each)
    losses: list[float] = []
    for step, batch in enumerate(speech.batches(0, last)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.schedule.at(step, each).lr
        model.train()
        loss, _ = speech.loss(model, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()
        losses.append(float(loss.detach()))
        epoch, over = divmod(step + 1, each)
        if over == 0 and (epoch % _EVERY == 0 or step + 1 == last):
            metrics = speech.evaluate(model, thorough=True).metrics
            yield Score(epoch, sum(losses[-each:]) / each, metrics["wer"], metrics["cer"])


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 if a WER falls below 5 %, 1 if none does, 2 for invalid input."""
    words = sys.argv[1:] if arguments is None else arguments
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        options: Overfit = command_line.parse(Overfit, words, "python -m tasks.librispeech.overfit")
        heard = source(options.data, lambda *_: None)
        counts = heard.report.counts
        _say(
            f"{heard.report.name}: {counts['train']} utterances of {counts['train seconds']} s in all, on {device.type}"
        )
        for epoch, loss, wer, cer in train(options.recipe(), heard, device):
            _say(f"epoch {epoch}: training loss {loss:.2f}, WER {wer:.2f} %, CER {cer:.2f} %")
            if wer < LEARNT:
                return 0
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    _say(f"not learnt: no WER is below {LEARNT:g} %")
    return 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a log is read while it is written


if __name__ == "__main__":
    sys.exit(main())
