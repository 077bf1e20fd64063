"""Training on captions and beam search, compared with plain loops."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.perf import workloads
from benchmarks.perf.interleave import report
from benchmarks.perf.peers import captioner as plain
from benchmarks.training.learner import make_optimizer
from tasks.flickr8k import decode
from tasks.flickr8k.batches import Captions
from tasks.flickr8k.models import NeuralTalk
from tasks.flickr8k.recipes import SMALL, Network

BATCHES, PICTURES = 5, 50


def test_epoch(benchmark: Any) -> None:
    """Train on 5 batches of 100 captions (an epoch has 300): draw, loss, gradient, clipping and update."""
    pictures, vocabulary, encoded = workloads.captions()
    vectors = torch.randn(len(pictures), workloads.FEATURES, generator=torch.Generator().manual_seed(0))
    data = Captions(pictures, vectors, vocabulary, workloads.CPU)
    features = data.batch(range(len(encoded))).features  # longest first
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
    by_caption = torch.empty_like(features)
    by_caption[order] = features

    def network(dropout: float) -> NeuralTalk:
        return NeuralTalk(Network(dropout=dropout), workloads.FEATURES, vocabulary.log_frequencies(), seed=0)

    def packed_loss(model: NeuralTalk, drawn: list[int]) -> torch.Tensor:
        batch = data.batch(drawn)
        logits = model(batch.features, batch.words, batch.sizes)
        return torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum") / len(drawn)

    def plain_loss(model: NeuralTalk, drawn: list[int]) -> torch.Tensor:
        return plain.loss(model, by_caption[drawn], *plain.padded([encoded[i] for i in drawn]))

    same = [loss(network(0.0), data.draw(0, 0, 100)).detach() for loss in (packed_loss, plain_loss)]
    torch.testing.assert_close(*same, rtol=1e-5, atol=0)  # both compute the same loss

    def epoch(loss: Any) -> Any:
        model = network(0.5).train()
        optimizer = make_optimizer(SMALL, model)

        def run() -> None:
            for step in range(BATCHES):
                optimizer.zero_grad()
                loss(model, data.draw(0, step, 100)).backward()
                torch.nn.utils.clip_grad_value_(model.parameters(), 5.0)
                optimizer.step()

        return run

    report(
        benchmark,
        f"{BATCHES} batches of 100 captions, {workloads.WORDS:,} words",
        "dsd",
        {"dsd": epoch(packed_loss), "padded, step by step": epoch(plain_loss)},
        clock=time.process_time,
    )


def test_beam(benchmark: Any) -> None:
    """Caption 50 pictures with 20 beams."""
    _, vocabulary, _ = workloads.captions()
    model = NeuralTalk(SMALL.model, workloads.FEATURES, vocabulary.log_frequencies(), seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(PICTURES, workloads.FEATURES, generator=generator)
    with torch.no_grad():  # with initial weights all words are equally likely, and no caption ends
        model.decoder.bias.normal_(0, 2, generator=generator)
        model.decoder.bias[decode.END] = 4
        model.decoder.weight.mul_(10)
    width = SMALL.data.beside

    candidates: dict[str, Callable[[], list[list[int]]]] = {
        "dsd": lambda: decode.beam(model, features, width),
        "beam after beam": lambda: [plain.beam(model, row[None], width) for row in features],
    }
    said, expected = (run() for run in candidates.values())
    # Batched products may differ in the last bit, which can change the choice between two captions with nearly equal scores.
    assert sum(a == b for a, b in zip(said, expected, strict=True)) >= PICTURES - 1
    assert len({len(caption) for caption in said}) > 1
    name = f"captions of {PICTURES} pictures by {width} beams"
    report(benchmark, name, "dsd", candidates, 5, clock=time.process_time)
