"""What an epoch of captions and a beam search cost, beside the plain loops (pad, step by step, autograd; beam after beam)."""

from __future__ import annotations

import time
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
    """Train on 5 of an epoch's 300 batches of 100 captions: draw, loss, gradient, clip, update."""
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
    torch.testing.assert_close(*same, rtol=1e-5, atol=0)  # one loss, computed in two ways

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
    """Caption 50 pictures by the 20 beams that are reported beside the greedy captions."""
    _, vocabulary, _ = workloads.captions()
    model = NeuralTalk(SMALL.model, workloads.FEATURES, vocabulary.log_frequencies(), seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(PICTURES, workloads.FEATURES, generator=generator)
    with torch.no_grad():  # by its first weights every word is as likely as any other, and no caption ends
        model.decoder.bias.normal_(0, 2, generator=generator)
        model.decoder.bias[decode.END] = 4
        model.decoder.weight.mul_(10)
    width = SMALL.data.beside

    def ours() -> list[list[int]]:
        return decode.beam(model, features, width)

    def one_at_a_time() -> list[list[int]]:
        return [plain.beam(model, features[index : index + 1], width) for index in range(PICTURES)]

    said = ours()
    same = sum(a == b for a, b in zip(said, one_at_a_time(), strict=True))
    assert (
        same >= PICTURES - 1
    )  # a batch's products may differ in the last bit, and with it which of two near-equals wins
    assert len({len(caption) for caption in said}) > 1
    name = f"captions of {PICTURES} pictures by {width} beams"
    report(benchmark, name, "dsd", {"dsd": ours, "beam after beam": one_at_a_time}, 5, clock=time.process_time)
