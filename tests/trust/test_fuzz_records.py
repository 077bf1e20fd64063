"""Records with any bytes: the same record, or a refusal that names the file. And outcomes unpack only to what was packed."""

from __future__ import annotations

import base64
import bz2
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from benchmarks.__main__ import main
from benchmarks.records import store
from benchmarks.records.example_outcomes import pack_outcomes, unpack_outcomes
from tests.trust.fuzzing import FUZZ, TEXT, answer, damaged

pytestmark = pytest.mark.promise(10)

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "records").glob("*.json"))

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@cache
def golden(path: Path) -> bytes:
    return path.read_bytes()


def changed(content: Any, draw: st.DrawFn) -> Any:
    """Return `content` with one value, at any depth, replaced, removed or added."""
    if isinstance(content, dict) and content and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(content)))
        if not draw(st.integers(0, 5)):
            return {k: v for k, v in content.items() if k != key}
        return content | {key: changed(content[key], draw)}
    if isinstance(content, list) and content and draw(st.integers(0, 5)):
        index = draw(st.integers(0, len(content) - 1))
        middle = [] if not draw(st.integers(0, 5)) else [changed(content[index], draw)]
        return content[:index] + middle + content[index + 1 :]
    if isinstance(content, dict):
        return content | {draw(TEXT): draw(ANYTHING)}
    if isinstance(content, (int, float)) and draw(st.booleans()):
        return draw(st.sampled_from((content + 1, -content, float(content), str(content), bool(content), content * 10)))
    return draw(ANYTHING)


@st.composite
def edited(draw: st.DrawFn) -> tuple[Path, bytes]:
    """Return a real record's path and its content with one or two edits, of value or type, anywhere."""
    path = draw(st.sampled_from(GOLDEN))
    content = json.loads(golden(path))
    for _ in range(draw(st.integers(1, 2))):
        content = changed(content, draw)
    return path, json.dumps(content).encode()


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / "records" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


@FUZZ
@given(st.one_of(st.binary(max_size=80), ANYTHING.map(lambda value: json.dumps(value).encode())))
@example(b"[" * 100_000)  # once a RecursionError
@example(b'{"recipe": ' + b'{"a":' * 990 + b"1" + b"}" * 991)
@example(b"9" * 5_000)
@example(b"\xef\xbb\xbf{}")
def test_anything_else_is_no_record(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), "a.json", data)
        assert answer(lambda: store.read(path), path) is None


@FUZZ
@given(
    st.sampled_from(GOLDEN).flatmap(
        lambda path: st.tuples(
            st.just(path), damaged(st.builds(golden, st.just(path)))
        )  # any bytes, so the result need not be JSON
    )
)
def test_damaged_bytes_are_the_same_record_or_none(case: tuple[Path, bytes]) -> None:
    source, data = case
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), source.name, data)
        found = answer(lambda: store.read(path), path)
        assert found is None or found == store.read(source)


@FUZZ
@given(edited())
def test_no_table_is_made_of_an_edited_record(case: tuple[Path, bytes]) -> None:
    source, data = case
    same = _exact(json.loads(data)) == _exact(json.loads(golden(source)))
    assume(not same)
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), source.name, data)
        for other in GOLDEN:
            if other != source and other.name.startswith(source.name[:12]):
                put(Path(folder), other.name, golden(other))
        assert answer(lambda: store.read(path), path) is None
        assert main(["tables", "--records", str(path.parent)]) == 2
        assert [one.name for one in Path(folder).iterdir()] == ["records"]


def _exact(content: Any) -> str:
    """Return JSON, in which 1, 1.0 and true differ. In Python they are equal."""
    return json.dumps(content, sort_keys=True)


PACKED = st.sampled_from(("bits:9:moA=", "float32:2:AACAPgAAwD8=", pack_outcomes(np.array([[3.0, 0, 9, 255]]))))
BOMB = base64.b64encode(bz2.compress(bytes(50_000_000))).decode()


@FUZZ
@given(
    st.one_of(
        TEXT,
        damaged(PACKED.map(str.encode)).map(lambda data: data.decode("latin-1")),
        st.builds(
            "{}:{}{}:{}".format,
            st.sampled_from(("bits", "float32", "uint8", "int32", "uint64", "")),
            st.integers(-9, 10**12),
            st.sampled_from(("", "x2", "x-1", "x0")),
            st.binary(max_size=8).map(lambda data: base64.b64encode(data).decode()),
        ),
    )
)
@example("bits:100:moA=")  # once 100 outcomes, 84 of them made up
@example("bits:-1:moA=")
@example("bits:99999999999:moA=")  # once a MemoryError
@example("float32:1:AACAPgAAwD8=")  # once one outcome, the other lost
@example("float32:-1:AACAPgAAwD8=")
@example("bits:9:m!o!A=")
@example("uint9:1x1:moA=")  # once a KeyError
@example("uint8:1x1:moA=")  # once an OSError
@example("uint8:1x2:" + base64.b64encode(bz2.compress(b"ab")[:-6]).decode())
@example(f"uint8:2x4:{BOMB}")  # once 50 MB
@example("uint8:0x0:")  # once an empty table, which could not be packed again
def test_outcomes_are_as_many_as_they_say_or_refused(text: str) -> None:
    found = answer(lambda: unpack_outcomes(text), f"outcomes {text[:40]!r}")
    if found is not None:
        shape = text.split(":")[1].split("x")
        assert found.shape == tuple(map(int, shape))
        assert np.array_equal(unpack_outcomes(pack_outcomes(found)), found, equal_nan=True) or (
            not np.isfinite(found).all()
        )


@FUZZ
@given(
    st.one_of(
        arrays.arrays(np.float64, st.integers(0, 40), elements=st.floats(width=32, allow_nan=False)),
        arrays.arrays(np.float64, st.integers(0, 40), elements=st.sampled_from((0.0, 1.0))),
        arrays.arrays(
            np.float64,
            st.tuples(st.integers(1, 9), st.sampled_from((2, 8))),
            elements=st.integers(-(2**31), 2**31 - 1).map(float),
        ),
    )
)
def test_whatever_is_packed_unpacks(outcomes: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    back = unpack_outcomes(pack_outcomes(outcomes))
    assert back.dtype == np.float64
    assert np.array_equal(back, outcomes)


def test_the_golden_records_are_those_that_the_edits_start_from() -> None:
    assert len(GOLDEN) >= 14
    assert all(store.read(path).id == path.stem for path in GOLDEN)
