"""The 29 output symbols: CTC's blank, space, apostrophe and a to z (standard library only)."""

from __future__ import annotations

import string
from collections.abc import Sequence
from itertools import pairwise

BLANK = 0
SYMBOLS = ("", " ", "'", *string.ascii_lowercase)
"""Symbols by index; the blank is the empty string."""

_INDEX = {symbol: index for index, symbol in enumerate(SYMBOLS) if symbol}


def normalise(transcript: str) -> str:
    """Return a transcript in lower case, with one space between words and none at its ends.

    LibriSpeech's transcripts are upper case. Characters outside the alphabet are kept; `encode` reports them.
    """
    return " ".join(transcript.lower().split())


def encode(transcript: str) -> list[int]:
    """Return the index of every character of a normalised transcript.

    Raises:
        ValueError: a character is not in the alphabet; the message names it.
    """
    try:
        return [_INDEX[character] for character in transcript]
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is not in the alphabet (a to z, space, apostrophe)") from None


def needed_frames(indices: Sequence[int]) -> int:
    """Return the minimum number of output frames that CTC can align with a transcript.

    CTC needs a frame for each character, and one for the blank between two equal neighbours.
    """
    return len(indices) + sum(left == right for left, right in pairwise(indices))
