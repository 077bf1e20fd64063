"""The default numbers of threads and loader processes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tasks.data.threads import Threads, processors


@pytest.fixture
def one_processor() -> Iterator[None]:
    """Restrict this process to one processor, as in a container or under taskset."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system binds no process to processors")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_processor")
def test_threads_are_as_many_as_processors_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert processors() == 1
    pool = Threads()
    assert len(pool._threads) == 1
    pool.close()
