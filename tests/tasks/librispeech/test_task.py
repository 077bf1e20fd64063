from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tasks.librispeech import dataset, synthetic, task, wer
from tasks.librispeech.models import Spoken
from tasks.librispeech.recipes import DEEPSPEECH, DEEPSPEECH2, Speech
from tasks.librispeech.settings import DeepSpeech1Settings, DeepSpeech2Settings, SpecAugment
from tasks.librispeech.task import Source, SpeechTask
from tasks.recipe import Recipe

CPU = torch.device("cpu")
ONE = dataclasses.replace(DEEPSPEECH, model=DeepSpeech1Settings(width=24, dropout=0.0), batch_size=8)
TWO = dataclasses.replace(DEEPSPEECH2, model=DeepSpeech2Settings(width=16, layers=2, channels=2), batch_size=8)


def quiet(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "set"
    synthetic.generate(root, train=40, dev=4, test=12)
    return root


@pytest.fixture(scope="module")
def source(root: Path) -> Source:
    return task.open_data(ONE, root, 1.0, quiet)


def build(source: Source, recipe: Recipe = ONE, seed: int = 0) -> SpeechTask:
    return task.build(recipe, source, seed, CPU, None)


class Oracle(torch.nn.Module):
    """Transcribes every utterance as the same text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        from tasks.librispeech import alphabet

        self.symbols = [symbol for index in alphabet.encode(text) for symbol in (index, alphabet.BLANK)]

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> Spoken:
        frames = torch.tensor(self.symbols + [0] * (features.shape[1] - len(self.symbols)))
        scores = functional.one_hot(frames, 29).float().log().clamp_min(-30)
        return Spoken(scores.expand(len(features), -1, -1), lengths)


def test_scores_are_those_of_what_is_heard_in_the_data_sets_order(source: Source) -> None:
    found = build(source).evaluate(Oracle("the red"), thorough=True)
    references = [utterance.transcript for utterance in source.utterances]
    assert [sample["reference"] for sample in found.samples] == references
    assert [sample["utterance"] for sample in found.samples] == [utterance.name for utterance in source.utterances]
    assert {sample["transcript"] for sample in found.samples} == {"the red"}
    expected = wer.score(references, ["the red"] * len(references))
    assert found.metrics == expected
    hits, words = found.outcomes.sum(0).tolist()
    assert 100 * (1 - hits / words) == pytest.approx(expected["wer"])


def test_every_test_folder_has_its_own_scores(root: Path, tmp_path: Path) -> None:
    both = tmp_path / "set"
    shutil.copytree(root, both)
    speakers = sorted((both / "test").iterdir())
    (both / "test-other").mkdir()
    shutil.move(speakers[0], both / "test-other" / speakers[0].name)
    found = build(task.open_data(ONE, both, 1.0, quiet)).evaluate(Oracle("the red"), thorough=True)
    assert set(found.metrics) == {"wer", "cer", "wer_test", "cer_test", "wer_test-other", "cer_test-other"}
    assert len(found.outcomes) == 12


@pytest.mark.parametrize("recipe", [ONE, TWO])
def test_the_loss_is_ctcs_of_an_utterance(source: Source, recipe: Recipe) -> None:
    one = build(source, recipe)
    (batch,) = one.batches(1, 2)
    model = one.model()
    torch.manual_seed(0)
    loss, _ = one.loss(model, batch)
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    from tasks.librispeech import spectrogram

    spoken = model(*spectrogram.features(batch.waveforms, batch.samples))
    each, start = [], 0
    for row, length in enumerate(batch.target_lengths.tolist()):
        target = batch.targets[start : start + length]
        start += length
        frames = spoken.log_probabilities[row, : spoken.lengths[row]].detach()
        each.append(float(functional.ctc_loss(frames, target, (len(frames),), (length,), reduction="sum")))
    assert float(loss.detach()) == pytest.approx(sum(each) / len(each), rel=1e-4)


def test_what_is_hidden_in_training_follows_the_steps_noise(source: Source) -> None:
    one = build(source, dataclasses.replace(ONE, data=Speech(augment=SpecAugment())))
    (batch,) = one.batches(0, 1)
    model = one.model()
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(float(one.loss(model, batch)[0].detach()))
    assert losses[0] == losses[1] != losses[2]


def test_batches_depend_on_the_seed_and_the_step_alone(source: Source) -> None:
    one = build(source)
    assert one.steps_per_epoch() == 5
    late = list(one.batches(7, 9))
    again = list(build(source).batches(0, 9))[7:]
    assert all(
        torch.equal(a.targets, b.targets) and torch.equal(a.waveforms, b.waveforms)
        for a, b in zip(late, again, strict=True)
    )
    assert one.batch_ids(7) != build(source, seed=1).batch_ids(7)
    assert len(set(one.batch_ids(7))) == 8
    first = [int(batch.samples.max()) for batch in one.batches(0, 5)]
    assert first == sorted(first)  # the first epoch goes from short to long


def test_scoring_opens_nothing_but_the_test_recordings(root: Path, tmp_path: Path) -> None:
    alone = tmp_path / "set"
    shutil.copytree(root / "test", alone / "test")
    opened = task.open_data(ONE, alone, 1.0, quiet, train=False)
    assert len(build(opened).evaluate(Oracle("the red"), True).outcomes) == 12
    with pytest.raises(ValueError, match="train"):
        task.open_data(ONE, alone, 1.0, quiet)


def test_fewer_utterances_than_a_batch_are_refused(source: Source) -> None:
    with pytest.raises(ValueError, match="batch_size=41"):
        build(source, dataclasses.replace(ONE, batch_size=41))


def test_the_report_says_that_the_set_is_generated(source: Source, root: Path) -> None:
    assert source.report.synthetic
    assert (source.report.counts["train"], source.report.counts["test"]) == (40, 12)
    assert task.verify(ONE, root, 1.0, quiet).fingerprint == source.report.fingerprint


def test_a_probe_is_tested_on_dev_and_on_nothing_else(root: Path, source: Source) -> None:
    recipe = dataclasses.replace(ONE, data=dataclasses.replace(ONE.data, probing=True))
    probe = task.open_data(recipe, root, 1.0, quiet)
    assert probe.test.names == [one.name for one in dataset.scan(root, progress=quiet).dev]
    assert not set(probe.test.names) & set(source.test.names)
    assert probe.train is not None
    assert source.train is not None
    assert probe.train.names == source.train.names
    assert probe.report.fingerprint not in (source.report.fingerprint, task.verify(ONE, root, 1.0, quiet).fingerprint)
    assert probe.report.fingerprint == task.verify(recipe, root, 1.0, quiet).fingerprint


def test_training_utterances_are_scored_as_test_utterances_are(source: Source) -> None:
    one = build(source)
    metrics = one.evaluate_training(one.model())
    assert set(metrics) == {"wer", "cer"}
    assert metrics["wer"] > 0
