"""Speech with any bytes and names: every line and file is used or reported, and the cached contents are the same."""

from __future__ import annotations

import contextlib
import os
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.data.cache import cache_dir
from tasks.librispeech import alphabet, dataset, layout
from tasks.librispeech.utterances import spoken_lines
from tests.trust.fuzzing import FILE_NAMES, FUZZ, TEXT, answer, assert_sentences, damaged, encoded, lines_of

pytestmark = pytest.mark.promise(7)

CHAPTERS = ("train-clean/1/2", "test-clean/3/4")
LINES = st.one_of(
    st.builds("{}{}{}".format, st.sampled_from(("1-2-0", "1-2-1", "3-4-0")), st.sampled_from((" ", "\t", "")), TEXT),
    st.builds("{} {}".format, st.sampled_from(("1-2-0", "1-2-1", "3-4-0")), st.sampled_from(("A DOG", "I'M", "A1"))),
    TEXT,
)
TRANSCRIPTS = damaged(encoded(st.lists(LINES, max_size=6).map("\n".join)))


@cache
def flac() -> bytes:
    """Return a FLAC file with a tenth of a second of noise."""
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.Generator(np.random.PCG64(0)).integers(-9000, 9000, 1600, dtype=np.int16)
        soundfile.write(Path(folder) / "a.flac", noise, 16_000)
        return (Path(folder) / "a.flac").read_bytes()


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@FUZZ
@given(TEXT)
@example("\u212aELVIN \u0130")
def test_a_transcript_is_spelt_as_it_is_or_the_character_is_named(text: str) -> None:
    transcript = alphabet.normalise(text)
    assert alphabet.normalise(transcript) == transcript
    strange = [character for character in transcript if character not in alphabet.SYMBOLS]
    spelt = answer(lambda: alphabet.encode(transcript), *map(repr, strange[:1]))
    assert (spelt is None) == bool(strange)
    assert spelt is None or "".join(alphabet.SYMBOLS[index] for index in spelt) == transcript


@FUZZ
@given(TRANSCRIPTS, TRANSCRIPTS)
@example(b"1-2-0 a\n1-2-0 b\nx/y a\n\0\x1b[2J a\n", b"\xff")
@example(b"1-2-0 a\x1b[2J", b"3-4-0\n")
def test_every_line_of_a_transcript_counts_or_is_complained_of(train: bytes, test: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for chapter, data in zip(CHAPTERS, (train, test), strict=True):
            stem = "-".join(chapter.split("/")[1:])
            put(root / chapter / f"{stem}.trans.txt", data)
            put(root / chapter / f"{stem}-0.flac", flac())
        contents = layout.read(root, [chapter.partition("/")[0] for chapter in CHAPTERS])
        assert contents == layout.read(root, [chapter.partition("/")[0] for chapter in CHAPTERS])
        spoken, again = spoken_lines(contents)
        assert len(spoken) + len(again) == sum(len(lines_of(data) or []) for data in (train, test))
        found = answer(lambda: dataset.scan(root), root)
        assert found is not None
        usable = {one.file for one in (*found.train, *found.test)}
        assert all(alphabet.encode(one.transcript) for one in (*found.train, *found.test))
        # At least one problem for each line without a usable utterance, each transcript file that is not text, and each recording
        # without a line.
        broken = sum(lines_of(data) is None for data in (train, test))
        mute = len(contents.recordings.keys() - spoken.keys()) - broken
        assert len(found.problems) >= len(again) + len(spoken.keys() - usable) + broken + max(mute, 0)
        report = dataset.verify(found, lambda what, done, total: None)
        assert_sentences(report.problems + report.warnings)


ENDS = st.sampled_from((b"", b".flac", b".FLAC", b".trans.txt"))
PATHS = st.builds(
    lambda start, names, end: b"/".join([start, *names]) + end,
    st.sampled_from((b"train-clean", b"train-clean/1", b"train-clean/1/2", b"test-clean/3/4")),
    st.lists(FILE_NAMES, min_size=1, max_size=3),
    ENDS,
)


@FUZZ
@given(st.lists(PATHS, max_size=6), damaged(st.just(flac())))
@example(
    [b"train-clean/1/2/\xff.flac", b"train-clean/\n\x1b/2/a.flac", b"train-clean/1/2/\xfe", b"train-clean/b\n.flac"],
    b"",
)
def test_every_file_of_a_layout_counts_or_is_complained_of(paths: list[bytes], sound: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(root / "train-clean/1/2/1-2.trans.txt", b"1-2-0 A")
        for path in paths:
            if not any(part.startswith(b".") for part in path.split(b"/")):  # hidden
                with contextlib.suppress(OSError):  # a file where a folder should be, or the reverse
                    put(root / os.fsdecode(path), sound)
        files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        names = layout.folders(root, "train") + layout.folders(root, "test")
        contents = layout.read(root, names)
        assert layout.read(root, names) == contents
        there = [name for name, lines in contents.transcripts.items() if lines is not None]
        entered = [*contents.recordings, *there, *contents.loose, *contents.others]
        assert len(set(entered)) == len(entered)
        for name in files:
            assert sum(name == one or (one.endswith("/") and name.startswith(one)) for one in entered) == 1, ascii(name)
        found = answer(lambda: dataset.scan(root), root)
        if found is not None:
            report = dataset.verify(found, lambda what, done, total: None)
            assert_sentences(report.problems + report.warnings)
            chapters = {layout.transcript_file(name) for name in contents.recordings}
            missing = [chapter for chapter in chapters if contents.transcripts[chapter] is None]
            assert sum(" is missing: " in problem for problem in found.problems) == len(missing)


@FUZZ
@given(st.one_of(st.binary(max_size=20), st.sampled_from((b'{"key": 1e999}', b"[]", b"null"))))
@example(b"")
def test_a_damaged_manifest_is_made_again(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSD_CACHE", str(Path(folder) / "cache"))
        root = Path(folder) / "set"
        put(root / "train-clean/1/2/1-2.trans.txt", b"1-2-0 A")
        put(root / "train-clean/1/2/1-2-0.flac", flac())
        contents = layout.read(root, ["train-clean"])
        (manifest,) = (cache_dir() / "manifests").iterdir()
        manifest.write_bytes(data)
        assert layout.read(root, ["train-clean"]) == contents
        manifest.write_bytes(b"[" * 100_000)  # once a RecursionError
        assert layout.read(root, ["train-clean"]) == contents
        manifest.unlink()
