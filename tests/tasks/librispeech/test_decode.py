from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor

from tasks.librispeech import decode

SYMBOLS = "_ 'abcdefghijklmnopqrstuvwxyz"


def frames(*paths: str, time: int = 0) -> tuple[Tensor, Tensor]:
    """Return log-probabilities in which each frame prefers one symbol ("_": the blank), and the lengths."""
    time = time or max(map(len, paths))
    scores = torch.zeros(len(paths), time, 29)
    for row, path in enumerate(paths):
        for frame, symbol in enumerate(path):
            scores[row, frame, SYMBOLS.index(symbol)] = 10
    return scores.log_softmax(2), torch.tensor([len(path) for path in paths])


def spelled(path: list[int]) -> str:
    """Return the text by CTC's rule, symbol by symbol."""
    text, previous = "", 0
    for symbol in path:
        if symbol not in (0, previous):
            text += SYMBOLS[symbol]
        previous = symbol
    return " ".join(text.split())


def test_repetitions_go_before_blanks() -> None:
    texts = decode.greedy(*frames("hheel_lloo", "aa_a", "___", "_i_ _don't", "a  _ b"))
    assert texts == ["hello", "aa", "", "i don't", "a b"]


def test_every_symbol_is_spelled() -> None:
    assert decode.greedy(*frames("'abcdefghijklmnopqrstuvwxyz")) == ["'abcdefghijklmnopqrstuvwxyz"]


def test_space_at_the_ends_is_dropped() -> None:
    assert decode.greedy(*frames(" __a_", "a ", " ")) == ["a", "a", ""]


def test_frames_past_the_length_are_not_looked_at() -> None:
    scores, _ = frames("abcde", "vwxyz", "aaaaa")
    scores[0, 3:] = math.nan
    assert decode.greedy(scores, torch.tensor([3, 5, 0])) == ["abc", "vwxyz", ""]


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_plain_loop(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    scores = torch.randn(40, 30, 29, generator=random)
    scores[:, :, [0, 1, 3, 4]] += 2  # so that symbols repeat
    lengths = torch.randint(0, 31, (40,), generator=random)
    texts = decode.greedy(scores, lengths)
    assert texts == [
        spelled(row[:length].argmax(1).tolist()) for row, length in zip(scores, lengths.tolist(), strict=True)
    ]
    assert len(set(texts)) > 30


def test_no_utterance_and_no_frame() -> None:
    assert decode.greedy(torch.zeros(0, 5, 29), torch.zeros(0, dtype=torch.long)) == []
    assert decode.greedy(torch.zeros(2, 0, 29), torch.zeros(2, dtype=torch.long)) == ["", ""]


def test_the_input_is_left_as_it_was() -> None:
    scores, lengths = frames("abc", "d")
    before = scores.clone()
    decode.greedy(scores, lengths)
    assert torch.equal(scores, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_is_the_same_on_the_gpu() -> None:
    scores = torch.randn(8, 50, 29, generator=torch.Generator().manual_seed(0))
    lengths = torch.arange(43, 51)
    assert decode.greedy(scores.cuda(), lengths) == decode.greedy(scores, lengths)
    assert decode.greedy(scores.cuda(), lengths.cuda()) == decode.greedy(scores, lengths)


@pytest.mark.parametrize("shapes", [((2, 5, 28), (2,)), ((5, 29), (5,)), ((2, 5, 29), (3,)), ((2, 5, 29), (2, 1))])
def test_shapes_that_do_not_fit(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    scores, lengths = torch.zeros(shapes[0]), torch.ones(shapes[1], dtype=torch.long)
    message = re.escape(f"log_probabilities of shape {shapes[0]} and lengths of shape {shapes[1]}")
    with pytest.raises(ValueError, match=message):
        decode.greedy(scores, lengths)
