"""Folders of pictures with any names and bytes: every picture is used, or the reason is reported."""

from __future__ import annotations

import io
import os
import re
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.records.schema import Data
from tasks.data.images import pixels
from tasks.imagenet import dataset
from tests.trust.fuzzing import FILE_NAMES, FUZZ, answer, assert_sentences, damaged

pytestmark = pytest.mark.promise(7)

KINDS = (
    ("RGB", "JPEG"),
    ("L", "JPEG"),
    ("CMYK", "JPEG"),
    ("RGB", "PNG"),
    ("P", "PNG"),
    ("RGBA", "PNG"),
    ("I;16", "PNG"),
)


@cache
def picture(mode: str, kind: str) -> bytes:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    grey = Image.fromarray(noise[:, :, 0].astype(np.uint16) << 8)
    buffer = io.BytesIO()
    (grey if mode == "I;16" else Image.fromarray(noise).convert(mode)).save(buffer, kind)
    return buffer.getvalue()


PICTURES = st.sampled_from(KINDS).map(lambda kind: picture(*kind))


@FUZZ
@given(
    st.one_of(damaged(PICTURES), st.binary(max_size=40), st.builds(lambda p, n: p[:n], PICTURES, st.integers(0, 400)))
)
@example(b"")
def test_bytes_are_a_picture_or_refused(data: bytes) -> None:
    found = answer(lambda: pixels(data), "")
    if found is not None:
        assert (found.dtype, found.ndim, found.shape[2]) == (np.uint8, 3, 3)


CLASSES = st.one_of(st.sampled_from((b"a", b"b")), FILE_NAMES)
FILES = st.lists(
    st.tuples(
        st.sampled_from((b"train", b"val")),
        CLASSES,
        st.builds(bytes.__add__, FILE_NAMES, st.sampled_from((b".jpg", b".JPEG", b".png", b".PnG", b".txt", b""))),
        st.one_of(PICTURES, damaged(PICTURES)),
    ),
    max_size=6,
)


@FUZZ
@given(FILES)
@example(
    [(b"train", b"a", b"\xff.txt", b""), (b"val", b"a", b"b.jpg", b"")]
)  # once a warning that a record cannot store, found only after training
@example([(b"train", b"caf\xe9\n", b"\x1b[2J.jpg", b""), (b"val", b"a", b"b.jpg", b"")])
@example([(b"val", b"a", b" # b.jpg", b""), (b"val", b"a", b"\n.jpg", b"\xff\xd8\xff")])
def test_every_picture_is_used_or_it_is_said_why_not(files: list[tuple[bytes, bytes, bytes, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as where:
        root = Path(where)
        for split, name, file, data in files:
            path = root / os.fsdecode(split) / os.fsdecode(name) / os.fsdecode(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        found = answer(lambda: dataset.scan(root), root)
        if found is None:
            assert not all((root / split).is_dir() for split in dataset.SPLITS)
            return
        written = {path.relative_to(root).as_posix() for path in root.glob("*/*/*")}
        shown = {name for name in written if "/." not in name}
        pictures = {name for name in shown if name.lower().endswith(dataset.SUFFIXES)}
        assert {*found.train, *found.val} == pictures
        passed_over = [int(m[1]) for warning in found.warnings if (m := re.search(r"no pictures: (\d+) ", warning))]
        assert sum(passed_over) == len(shown - pictures)
        for split in dataset.SPLITS:
            labels = found.labels(split)
            assert [found.classes[label] for label in labels] == [name.split("/")[1] for name in found.names(split)]
        report = dataset.verify(found)
        assert_sentences(report.problems + report.warnings)
        bad = sum(_is_bad(root / name) for name in pictures)
        assert sum("is not a readable image" in problem for problem in report.problems) == bad
        Data(**{key: getattr(report, key) for key in Data.model_fields} | {"warnings": list(report.warnings)})


def _is_bad(path: Path) -> bool:
    try:
        pixels(path.read_bytes())
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("name", ["a\n.jpg", "a\udcff.jpg"])
def test_a_set_whose_own_folder_has_such_a_name_still_makes_a_record(tmp_path: Path, name: str) -> None:
    for split in dataset.SPLITS:
        (tmp_path / name / split / "a").mkdir(parents=True)
        (tmp_path / name / split / "a" / "1.jpg").write_bytes(picture("RGB", "JPEG"))
    report = dataset.verify(dataset.scan(tmp_path / name))
    assert_sentences([report.name])
    assert Data(**{key: getattr(report, key) for key in Data.model_fields} | {"warnings": []}).name == report.name


def test_a_pipe_among_the_pictures_is_named_not_waited_for(tmp_path: Path) -> None:
    for split in dataset.SPLITS:
        (tmp_path / split / "a").mkdir(parents=True)
        (tmp_path / split / "a" / "1.jpg").write_bytes(picture("RGB", "JPEG"))
    os.mkfifo(tmp_path / "val" / "a" / "2.jpg")
    report = dataset.verify(dataset.scan(tmp_path))
    assert [problem.partition(";")[0] for problem in report.problems] == ["val/a/2.jpg is not a file"]
