"""The alphabet: encoding and decoding with 29 symbols, and the frames that CTC needs for a text."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tasks.librispeech import alphabet
from tasks.librispeech.settings import SYMBOLS


def test_symbols_are_the_blank_the_space_the_apostrophe_and_the_letters() -> None:
    assert len(alphabet.SYMBOLS) == SYMBOLS == 29
    assert alphabet.SYMBOLS[alphabet.BLANK] == ""
    assert "".join(alphabet.SYMBOLS) == " 'abcdefghijklmnopqrstuvwxyz"
    assert alphabet.encode("it's a z") == [11, 22, 2, 21, 1, 3, 1, 28]


def test_transcripts_are_lower_case_with_single_spaces() -> None:
    assert alphabet.normalise("  HE  HOPED\tIT'S \n STEW ") == "he hoped it's stew"
    assert alphabet.normalise(" \t") == ""
    assert alphabet.normalise("CAFÉ 7") == "café 7"


@given(st.text(alphabet=" 'abcdefghijklmnopqrstuvwxyz"))
def test_an_index_is_that_of_its_symbol(transcript: str) -> None:
    assert "".join(alphabet.SYMBOLS[index] for index in alphabet.encode(transcript)) == transcript


@pytest.mark.parametrize("character", ["é", "7", "-", "A", "\n"])
def test_other_characters_are_named(character: str) -> None:
    message = f"{character!r} is not in the alphabet (a to z, space, apostrophe)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        alphabet.encode(f"ab{character}c")


@pytest.mark.parametrize(
    ("transcript", "frames"), [("", 0), ("a", 1), ("ab", 2), ("aa", 3), ("aaa", 5), ("three too", 11)]
)
def test_needed_frames_are_the_fewest_with_which_ctc_has_a_finite_loss(transcript: str, frames: int) -> None:
    target = alphabet.encode(transcript)
    assert alphabet.needed_frames(target) == frames

    def loss(time: int) -> float:
        uniform = torch.zeros(time, 1, SYMBOLS).log_softmax(2)
        lengths = torch.tensor([time]), torch.tensor([len(target)])
        return float(functional.ctc_loss(uniform, torch.tensor([target]), *lengths, reduction="sum"))

    if frames:
        assert loss(frames) < float("inf")
    if frames > 1:
        assert loss(frames - 1) == float("inf")
