"""Runs that end at the same time in one folder: the tables contain all records, in any order of writing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.reporting import results_folder
from tests.golden import build

pytestmark = pytest.mark.promise(10)


def keep(out: Path, record: Record) -> None:
    store.write(record, out / "records")


def test_who_waits_to_publish_reads_the_records_when_its_turn_comes(tmp_path: Path) -> None:
    first, second, _ = build.trio()
    keep(tmp_path, first)
    found: list[int] = []
    with FileLock(tmp_path / "records" / ".lock"):  # another run is publishing
        waiting = threading.Thread(target=lambda: found.append(len(results_folder.publish(tmp_path)[0])))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        assert not (tmp_path / "README.md").exists()
        keep(tmp_path, second)
    waiting.join(60)
    assert found == [2]
    assert results_folder.check(tmp_path, store.read_all(tmp_path / "records")) == []
