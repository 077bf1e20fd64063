"""Shared parts of the fuzz tests: the number of inputs, strategies for unusual input, and checks of what a reader returns.

CI tries the same inputs every time. `DSD_FUZZ_EXAMPLES=5000 pytest tests/trust -k fuzz` tries more and different ones. If one
fails, add it to its test as an `@example`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_Result = TypeVar("_Result")

_LONGER = os.environ.get("DSD_FUZZ_EXAMPLES")

FUZZ = settings(
    max_examples=int(_LONGER or 60),
    deadline=None,
    derandomize=_LONGER is None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252")

CHARACTERS = st.one_of(
    st.sampled_from("ab'#. \t\r\n\0\v\f\x1b\x85\u2028\u00a0\ufeff\\/\u0130\u212a\u0301\u202e"),
    st.characters(exclude_categories=["Cs"]),
)
"""Any Unicode character, often one that breaks lines, ends words or moves the cursor."""

TEXT = st.text(CHARACTERS, max_size=40)

FILE_NAMES = st.one_of(
    st.text(CHARACTERS.filter(lambda character: character not in "/\0"), min_size=1, max_size=12).map(str.encode),
    st.binary(min_size=1, max_size=8).map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_")),
).filter(lambda name: name not in (b".", b".."))
"""File names on Linux: any bytes except NUL and the slash, mostly UTF-8."""


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Return a value of `whole`, unchanged or with some bytes changed, removed, doubled or cut off."""
    data = draw(whole)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 40)))
        middle = draw(st.one_of(st.binary(max_size=4), st.just(data[start:stop] * 2)))
        rest = data[stop:] if draw(st.booleans()) or draw(st.booleans()) else b""
        data = data[:start] + middle + rest
    return data


def encoded(text: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
    """Return text in UTF-8 or another encoding, with lines that end in LF, CR LF or CR."""

    def encode(text: str, encoding: str, end: str) -> bytes:
        return text.replace("\n", end).encode(encoding, "replace")

    encodings = st.one_of(st.just("utf-8"), st.sampled_from(ENCODINGS))
    return st.builds(encode, text, encodings, st.sampled_from(("\n", "\n", "\r\n", "\r")))


def answer(reader: Callable[[], _Result], *names: str | Path) -> _Result | None:
    """Return what `reader` returns; None if it raises a ValueError that is not a UnicodeError and names one of `names`."""
    try:
        return reader()
    except ValueError as error:
        refusal = error
    assert not isinstance(refusal, UnicodeError), refusal
    assert any(str(name) in str(refusal) for name in names), refusal
    return None


def assert_sentences(sentences: Iterable[str]) -> None:
    """Fail unless a terminal can show each sentence in one line, and a record can store it."""
    for sentence in sentences:
        assert sentence.isprintable(), ascii(sentence)


def lines_of(data: bytes) -> list[str] | None:
    """Return the lines with more than white space; None if `data` is not UTF-8 text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip()]
