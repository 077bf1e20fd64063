from __future__ import annotations

import importlib.util
import itertools
import math
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tasks.librispeech import decode
from tasks.librispeech.decode import LanguageModel

SYMBOLS = "_ 'abcdefghijklmnopqrstuvwxyz"
HAS_LIBRARY = importlib.util.find_spec("flashlight") is not None
needs_library = pytest.mark.skipif(
    not HAS_LIBRARY, reason="needs flashlight-text, an extra (pip install flashlight-text)"
)


def frames(*paths: str, time: int = 0) -> tuple[Tensor, Tensor]:
    """Return log-probabilities of which each frame prefers one symbol ("_": the blank), and the lengths."""
    time = time or max(map(len, paths))
    scores = torch.zeros(len(paths), time, 29)
    for row, path in enumerate(paths):
        for frame, symbol in enumerate(path):
            scores[row, frame, SYMBOLS.index(symbol)] = 10
    return scores.log_softmax(2), torch.tensor([len(path) for path in paths])


def spelled(path: list[int]) -> str:
    """CTC's rule, one symbol after the other."""
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
    with pytest.raises(ValueError, match=message):
        decode.beam(scores, lengths, width=2)


def test_without_the_library_beam_search_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    if HAS_LIBRARY:
        monkeypatch.setitem(sys.modules, "torchaudio.models.decoder", None)
        decode._decoder.cache_clear()
    with pytest.raises(ValueError, match=r"needs flashlight-text.* pip install flashlight-text"):
        decode.beam(*frames("abc"), width=3)


def test_a_width_below_one() -> None:
    with pytest.raises(ValueError, match="width=0 must be at least 1"):
        decode.beam(*frames("abc"), width=0)


@needs_library
def test_a_wide_beam_finds_the_transcript_with_most_probability() -> None:
    """Against the sum over all alignments of all transcripts, of four symbols that have nearly all the probability."""
    random = torch.Generator().manual_seed(0)
    used, time = [0, 3, 4, 5], 5
    scores = torch.full((30, time, 29), -30.0)
    scores[:, :, used] = torch.randn(30, time, 4, generator=random)
    log_probabilities = scores.log_softmax(2)
    best = []
    for row in log_probabilities.exp().tolist():
        total: dict[str, float] = defaultdict(float)
        for path in itertools.product(used, repeat=time):
            total[spelled(list(path))] += math.prod(row[frame][symbol] for frame, symbol in enumerate(path))
        best.append(max(total, key=lambda text: total[text]))
    lengths = torch.full((30,), time)
    assert decode.beam(log_probabilities, lengths, width=2000) == best
    assert decode.greedy(log_probabilities, lengths) != best, "the most probable path is not enough"


@needs_library
def test_beam_search_does_not_look_past_the_length_either() -> None:
    scores, _ = frames("abcde", "v wxz")
    scores[0, 3:] = scores[0, [3]].flip(1)
    assert decode.beam(scores, torch.tensor([3, 5]), width=8) == ["abc", "v wxz"]


# Base 10. P(cat | the) = -0.2 and P(kat | the) = -3.0; then the end: P(</s> | cat) = -0.3, P(</s> | kat) = -0.3 - 1.0.
ARPA = """\\data\\
ngram 1=7
ngram 2=4

\\1-grams:
-99\t<s>\t-0.3
-1.0\t</s>
-2.0\t<unk>
-1.0\tTHE\t-0.3
-1.0\tCAT\t-0.3
-3.0\tKAT\t-0.3
-3.0\tÉTÉ\t-0.3

\\2-grams:
-0.2\t<s> THE
-0.2\tTHE CAT
-3.0\tTHE KAT
-0.3\tCAT </s>

\\end\\
"""
IN_FAVOUR = 2.8 + 1.0  # of "the cat", to base 10


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.arpa"
    path.write_text(ARPA, encoding="utf-8")
    return path


def heard_as_kat(nats: float) -> tuple[Tensor, Tensor]:
    """Return "the kat", where a c is less probable than the k by so many nats."""
    scores, lengths = frames("t_h_e_ _k_a_t_")
    scores[0, 8, SYMBOLS.index("c")] = scores[0, 8, SYMBOLS.index("k")] - nats
    return scores, lengths


@needs_library
@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_a_language_model_overrules_what_was_heard_by_its_weight(arpa: Path, weight: float) -> None:
    model = LanguageModel(arpa, weight=weight)
    assert decode.beam(*heard_as_kat(weight * IN_FAVOUR - 0.1), 10, model) == ["the cat"]
    assert decode.beam(*heard_as_kat(weight * IN_FAVOUR + 0.1), 10, model) == ["the kat"]
    assert decode.beam(*heard_as_kat(0.1), width=10) == ["the kat"]


@needs_library
def test_only_words_of_the_language_model_are_found(arpa: Path) -> None:
    model = LanguageModel(arpa, weight=0.1)
    scores, lengths = frames("the cax", "__cat", "the ", "", time=8)
    assert decode.beam(scores, lengths, 50, model) == ["the cat", "cat", "the", ""]


@needs_library
def test_files_that_are_no_language_model(tmp_path: Path, arpa: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.arpa cannot be read"):
        decode.beam(*frames("a"), 2, LanguageModel(tmp_path / "absent.arpa"))
    (tmp_path / "text").write_text("the cat sat\n", encoding="utf-8")
    with pytest.raises(ValueError, match="text is no language model in ARPA's format"):
        decode.beam(*frames("a"), 2, LanguageModel(tmp_path / "text"))
    arpa.write_text(ARPA.replace("-0.2\tTHE CAT", "THE CAT"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"tiny\.arpa cannot be read as a language model"):
        decode.beam(*frames("a"), 2, LanguageModel(arpa))
    arpa.write_bytes(b"\\1-grams:\n-1\t\xff\n")
    with pytest.raises(ValueError, match=r"tiny\.arpa cannot be read as a language model: .*utf-8"):
        decode.beam(*frames("a"), 2, LanguageModel(arpa))
