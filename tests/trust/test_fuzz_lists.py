"""Lists of names with any bytes: every line is used or reported, and every file can be left out."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.data.verification import QUARANTINE, printable, quarantined, read_lines
from tests.trust.fuzzing import FILE_NAMES, FUZZ, TEXT, answer, damaged, encoded, lines_of

pytestmark = pytest.mark.promise(7)

NAMES = ("train/a/1.jpg", "train/a/2 #3.jpg", "#4.jpg", "train/\u00e9\u0301 \u4e00/5.jpg")
LINES = st.one_of(TEXT, st.sampled_from(NAMES), st.builds("{}{}".format, st.sampled_from(NAMES), TEXT))


@FUZZ
@given(damaged(encoded(st.lists(LINES, max_size=6).map("\n".join))))
@example(b"\xef\xbb\xbf\xef\xbb\xbfa\n")
@example(b"a\r\r\nb\rc")
@example(b"\xef")  # once read as empty: the decoder of text files waits for the rest of a byte order mark
def test_lines_are_the_texts_or_the_file_is_named(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list.txt"
        path.write_bytes(data)
        lines = answer(lambda: read_lines(path), path)
        expected = lines_of(data)
        assert (lines is None) == (expected is None)
        if lines is not None:
            assert [line for line in lines if line.strip()] == expected
            assert not any("\n" in line or "\r" in line for line in lines)


@FUZZ
@given(damaged(encoded(st.lists(LINES, max_size=6).map("\n".join))))
@example("train/a/1.jpg\n".encode("utf-16-le"))  # valid UTF-8, in which every other character is NUL
def test_every_line_of_a_quarantine_list_counts_or_is_complained_of(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / QUARANTINE).write_bytes(data)
        found = answer(lambda: quarantined(Path(folder), NAMES), Path(folder) / QUARANTINE)
        lines = lines_of(data)
        assert (found is None) == (lines is None)
        if found is None or lines is None:
            return
        excluded, problems = found
        assert excluded <= set(NAMES)
        meant = [line for line in lines if not line.startswith("#") and line.split(" #")[0].strip() not in ("", "./")]
        assert len(problems) <= len(meant) <= len(problems) + sum(any(name in line for name in NAMES) for line in meant)


@FUZZ
@given(st.lists(FILE_NAMES, min_size=1, max_size=6, unique=True), st.sampled_from(("\n", "\r\n")))
@example([b"a #1.jpg"], "\n")  # once read as the name "a" and a comment
def test_every_file_whose_name_is_a_line_can_be_left_out(names: list[bytes], end: str) -> None:
    written = [name for name in (f"c/{raw.decode('utf-8', 'surrogateescape')}.jpg" for raw in names) if _is_line(name)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / QUARANTINE).write_bytes("".join(name + end for name in written).encode())
        assert quarantined(Path(folder), {*written, "c/other.jpg"}) == (set(written), [])


def _is_line(name: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" or character in "\r\n" for character in name)


@FUZZ
@given(FILE_NAMES)
@example(b"caf\xe9\n\\.jpg")
def test_a_printable_name_can_be_shown_and_told_from_others(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    assert printable(text).isprintable()
    assert (printable(text) == text) == text.isprintable()


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_list_that_is_no_file_is_refused_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / QUARANTINE
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(ValueError, match="is not a file") as refused:
        quarantined(tmp_path, NAMES)
    assert str(path) in str(refused.value)
