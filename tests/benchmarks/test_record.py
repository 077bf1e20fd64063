from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import record as records
from benchmarks.display import Display
from benchmarks.stop import Stop
from benchmarks.trial import Trial
from tests.benchmarks import toy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    display = Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH)
    return Trial(toy.plan(tmp_path, arms=("control", "dsd")), toy.ToyTask(), display, Stop()).run()


def test_a_record_is_read_as_it_was_written(path: Path) -> None:
    record = records.read(path)
    assert path.stem == record.id
    assert record.content_hash == records.Record.model_validate(record.model_dump()).sealed().content_hash
    assert records.read_all(path.parent) == [record]


def test_a_record_is_never_replaced(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        records.write(records.read(path), path.parent)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r["arms"]["dsd"]["test"].update(error=0.0), "changed after it was written"),
        (lambda r: r.update(seed=5), "changed after it was written"),
        (lambda r: r.update(extra=1), "not a readable record"),
        (lambda r: r.pop("commit"), "not a readable record"),
        (lambda r: r.update(schema_version=2), "not a readable record"),
        (lambda r: r["cost"].update(seconds="fast"), "not a readable record"),
    ],
)
def test_a_changed_record_is_refused_by_name(path: Path, edit: object, message: str) -> None:
    content = json.loads(path.read_text())
    edit(content)  # type: ignore[operator]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        records.read(path)
    assert str(path) in str(caught.value)


def test_a_renamed_or_cut_record_is_refused(path: Path) -> None:
    other = path.with_name("other.json")
    other.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="carries its id"):
        records.read(other)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="not a readable record"):
        records.read(path)


@pytest.mark.parametrize("outcomes", [[1.0, 0, 0, 1, 1, 0, 1, 0, 1], [], [0.25, 1.5]])
def test_outcomes_survive_packing(outcomes: list[float]) -> None:
    assert records.unpack_outcomes(records.pack_outcomes(np.array(outcomes))).tolist() == outcomes
