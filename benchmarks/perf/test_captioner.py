"""What an epoch of captions costs, beside the plain loop (pad, step by step, autograd)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.learner import make_optimizer
from benchmarks.perf.peers import captioner as plain
from benchmarks.perf.test_masks import report
from tasks.flickr8k.captions import Picture
from tasks.flickr8k.data import Captions
from tasks.flickr8k.models import NeuralTalk
from tasks.flickr8k.recipes import SMALL, Network
from tasks.flickr8k.vocabulary import Vocabulary

WORDS, FEATURES, BATCHES = 2538, 512, 5


def captions() -> tuple[Captions, Vocabulary, list[list[int]]]:
    """Return 1,000 captions as long as Flickr8k's training captions: 10.8 words, standard deviation 3.8, 1 to 38."""
    random = np.random.default_rng(0)
    lengths = random.gamma((10.8 / 3.8) ** 2, 3.8**2 / 10.8, size=1000).round().clip(1, 38).astype(int)
    vocabulary = Vocabulary(tuple(f"w{i}" for i in range(WORDS)), (5,) * WORDS)
    chosen = [random.integers(1, WORDS, size=length).tolist() for length in lengths]
    pictures = [Picture(f"{i}.jpg", (tuple(f"w{w}" for w in words),)) for i, words in enumerate(chosen)]
    features = torch.randn(len(pictures), FEATURES, generator=torch.Generator().manual_seed(0))
    return Captions(pictures, features, vocabulary, torch.device("cpu")), vocabulary, chosen


def test_epoch(benchmark: Any) -> None:
    """Train on 5 of an epoch's 300 batches of 100 captions: draw, loss, gradient, clip, update."""
    data, vocabulary, encoded = captions()
    features = data.batch(range(len(encoded))).features  # longest first
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
    by_caption = torch.empty_like(features)
    by_caption[order] = features

    def network(dropout: float) -> NeuralTalk:
        return NeuralTalk(Network(dropout=dropout), FEATURES, vocabulary.log_frequencies(), seed=0)

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
        f"{BATCHES} batches of 100 captions, {WORDS:,} words",
        "dsd",
        {"dsd": epoch(packed_loss), "padded, step by step": epoch(plain_loss)},
    )
