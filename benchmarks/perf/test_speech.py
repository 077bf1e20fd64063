"""Batches of speech compared with one utterance at a time, and our recurrence with torch's. Results: README.md."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torchaudio.models
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.perf import workloads
from benchmarks.perf.interleave import medians, report, save
from benchmarks.perf.peers import speech as plain
from benchmarks.training.learner import make_optimizer
from tasks.librispeech import alphabet, batches, decode, spectrogram
from tasks.librispeech.batches import Batch
from tasks.librispeech.models import DeepSpeech, output_lengths
from tasks.librispeech.recipes import RECIPES
from tasks.librispeech.recurrent_layer import Packing
from tasks.librispeech.sampler import longest_first
from tasks.librispeech.settings import BINS, SAMPLE_RATE, SYMBOLS, DeepSpeech1Settings
from tasks.librispeech.task import Source, SpeechTask
from tasks.recipe import Recipe

CPU = torch.device("cpu")
ONE, TWO = (RECIPES[f"librispeech_{name}"]["small"] for name in ("deepspeech", "deepspeech2"))
BATCHES, SIZE, HELD = 2, ONE.batch_size, 64

recipes = pytest.mark.parametrize("recipe", [ONE, TWO], ids=lambda recipe: recipe.network)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Noise with the lengths of the connected digits that the recipes use."""
    return workloads.noise(tmp_path_factory.mktemp("noise"), HELD)


def all_at_once(source: Source, indices: Sequence[int]) -> Batch:
    """Return the batch of these utterances."""
    return source.test.batch(np.array(indices), [source.test[index] for index in indices], CPU)


def said(model: nn.Module, source: Source, index: int) -> Tensor:
    """Return the plain loop's log-probabilities (time', 29) of an utterance."""
    waveform = torch.from_numpy(source.test[index]).float() / 32768
    return plain.log_probabilities(model, plain.features(waveform))


def plain_loss(model: nn.Module, source: Source, index: int) -> Tensor:
    """Return the plain loop's loss of an utterance."""
    spoken = said(model, source, index)
    target = torch.tensor(alphabet.encode(source.utterances[index].transcript))
    return functional.ctc_loss(spoken, target, (len(spoken),), (len(target),), reduction="sum")  # type: ignore[arg-type]


@recipes
def test_training(benchmark: Any, source: Source, recipe: Recipe) -> None:
    """Train on two batches of 16: features, loss, gradient, clip, update. Both methods give DeepSpeech the same update."""
    if recipe is ONE:
        compared, model = range(SIZE), dataclasses.replace(recipe.model, dropout=0.0)
    else:
        # Batch norm uses statistics of the batch, so only a batch of one utterance gives the same loss both ways.
        compared, model = range(1), recipe.model
    check = SpeechTask(dataclasses.replace(recipe, model=model), source, 0, CPU, None)
    network = check.model()
    loss = check.loss(network, all_at_once(source, compared))[0]
    loss.backward()  # type: ignore[no-untyped-call]
    twin = check.model()
    same = torch.stack([plain_loss(twin, source, index) for index in compared]).mean()
    same.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(same, loss, rtol=1e-5, atol=0)
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        # Spectrograms differ in the last bit, so an activation near an end of the clip may fall on either side of it.
        assert (ours.grad - theirs.grad).norm() <= 2e-3 * ours.grad.norm()

    task = SpeechTask(recipe, source, 0, CPU, None)
    second = task.steps_per_epoch()  # the first epoch has a different order from all later ones
    steps = range(second, second + BATCHES)
    names = source.test.names

    def batched(model: nn.Module, step: int) -> None:
        for batch in task.batches(step, step + 1):
            task.loss(model, batch)[0].backward()  # type: ignore[no-untyped-call]

    def one_at_a_time(model: nn.Module, step: int) -> None:
        for name in task.batch_ids(step):
            (plain_loss(model, source, names.index(name)) / SIZE).backward()  # type: ignore[no-untyped-call]

    def train(gradient: Callable[[nn.Module, int], None]) -> Callable[[], None]:
        model = task.model().train()
        optimizer = make_optimizer(recipe, model)

        def run() -> None:
            assert recipe.clip_norm is not None
            for step in steps:
                optimizer.zero_grad()
                gradient(model, step)
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
                optimizer.step()

        return run

    report(
        benchmark,
        f"train {recipe.network} on {BATCHES} x {SIZE} utterances",
        "dsd",
        {"dsd": train(batched), "one at a time": train(one_at_a_time)},
        clock=time.process_time,
    )


@recipes
def test_transcribing(benchmark: Any, source: Source, recipe: Recipe) -> None:
    """Transcribe 64 utterances greedily, from their samples, 32 at a time as the suite does."""
    model = SpeechTask(recipe, source, 0, CPU, None).model().eval()
    plan = longest_first(source.test.lengths, range(len(source.test)), 32)

    @torch.inference_mode()
    def batched() -> list[str]:
        heard: list[str] = []
        for batch in batches.batches(source.test, plan, CPU):
            heard += decode.greedy(*model(*spectrogram.features(batch.waveforms, batch.samples)))
        return heard

    @torch.inference_mode()
    def one_at_a_time() -> list[str]:
        return [plain.greedy(said(model, source, index)) for indices in plan for index in indices]

    assert one_at_a_time() == batched()
    assert len(set(batched())) > HELD // 2  # most transcripts are different
    taken = medians({"dsd": batched, "one at a time": one_at_a_time}, clock=time.process_time)
    ratios = {"dsd / one at a time": taken["dsd"] / taken["one at a time"]}
    seconds = int(source.test.lengths.sum()) / SAMPLE_RATE
    shown = ratios | {"dsd / real time": taken["dsd"] / seconds}
    save(benchmark, f"transcribe {HELD} utterances by {recipe.network}", ratios, shown)


def test_forward(benchmark: Any, source: Source) -> None:
    """Compute log-probabilities of a training batch, compared with `torchaudio.models.DeepSpeech` at the same stride."""
    batch = all_at_once(source, range(SIZE))
    features, frames = spectrogram.features(batch.waveforms, batch.samples)
    settings = ONE.model
    assert isinstance(settings, DeepSpeech1Settings)
    candidates: dict[str, Callable[[], object]] = {}
    with torch.inference_mode():
        for stride in (2, 1):
            ours = DeepSpeech(dataclasses.replace(settings, stride=stride), seed=0).eval()
            theirs = torchaudio.models.DeepSpeech((2 * settings.context + 1) * BINS, settings.width, SYMBOLS).eval()
            pairs = {"conv": "fc1.fc", "fc1": "fc2.fc", "fc2": "fc3.fc", "fc3": "fc4.fc", "output": "out"}
            weights = {
                f"{their}.{end}": ours.state_dict()[f"{our}.{end}"]
                for our, their in pairs.items()
                for end in ("weight", "bias")
            }
            recurrent = {f"bi_rnn.{name}": tensor for name, tensor in plain.weights(ours.recurrent).items()}
            theirs.load_state_dict(weights | recurrent)

            def run(model: nn.Module = ours) -> Tensor:
                with torch.inference_mode():
                    found: Tensor = model(features, frames).log_probabilities
                    return found

            def run_theirs(model: nn.Module = theirs, stride: int = stride) -> Tensor:
                with torch.inference_mode():
                    found: Tensor = model(plain.windows(features, settings.context, stride)[:, None])
                    return found

            # The backward direction of torchaudio's network starts in the padding, so only the longest utterance must agree.
            longest = int(frames.argmax())
            torch.testing.assert_close(run()[longest], run_theirs()[longest], rtol=0, atol=1e-4)
            candidates |= {f"dsd, stride {stride}": run, f"torchaudio, stride {stride}": run_theirs}
    report(
        benchmark,
        f"DeepSpeech's forward pass of {SIZE} utterances",
        "dsd, stride 2",
        candidates,
        clock=time.process_time,
    )


def test_recurrence(benchmark: Any, source: Source) -> None:
    """Run the recurrent layer forward and backward, compared with torch's ReLU RNN. No library kernel has our layer's clip."""
    batch = all_at_once(source, range(SIZE))
    lengths = output_lengths(spectrogram.features(batch.waveforms, batch.samples)[1], 2)
    model = SpeechTask(ONE, source, 0, CPU, None).model()
    assert isinstance(model, DeepSpeech)
    layer, width = model.recurrent, ONE.model.width
    random = torch.Generator().manual_seed(0)
    padded = torch.randn(SIZE, int(lengths.max()), width, generator=random, requires_grad=True)
    rnn = nn.RNN(width, width, nonlinearity="relu", bidirectional=True)
    rnn.load_state_dict(plain.weights(layer))

    def ours() -> Tensor:
        packing = Packing.of(lengths, padded.shape[1])
        rows: Tensor = layer(packing.pack(padded), packing)
        return rows.sum()

    def packed() -> Tensor:
        rows: Tensor = rnn(pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False))[0].data
        return rows.sum()

    def unpacked() -> Tensor:
        states: Tensor = rnn(padded.transpose(0, 1))[0]
        return states.sum()

    def both_ways(forward: Callable[[], Tensor]) -> Callable[[], None]:
        return lambda: forward().backward()  # type: ignore[no-untyped-call]

    torch.testing.assert_close(ours(), packed(), rtol=1e-4, atol=0)
    report(
        benchmark,
        f"recurrent layer of {width}, {SIZE} utterances of up to {padded.shape[1]} frames, forward and backward",
        "dsd",
        {
            "dsd": both_ways(ours),
            "torch.nn.RNN, packed": both_ways(packed),
            "torch.nn.RNN, padded": both_ways(unpacked),
        },
        clock=time.process_time,
    )
