"""Promise 9 inside one trainer: if a loader process or thread fails, one line reports it, and no process is left."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.data import loading, threads, verification
from tasks.data.loading import loaded
from tasks.data.threads import LoaderError, Threads
from tests.trust.broken_datasets import GET_BATCH, OFTEN, Broken, join

pytestmark = [
    pytest.mark.promise(9),
    # torch warns on a machine with one core.
    pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes"),
]


@pytest.fixture
def files_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(GET_BATCH, "__defaults__", OFTEN)
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff and no more")
    os.mkfifo(tmp_path / "pipe")
    yield tmp_path
    with contextlib.suppress(OSError):  # release threads that still wait
        os.close(os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK))


def batches(how: str, path: Path, at: int = 5, number: int = 8) -> Iterator[Any]:
    plan = [[key, key + 1] for key in range(0, 2 * number, 2)]
    return loaded(Broken(how, at, path), plan, join, 2, pin_memory=False)


def test_batches_come_in_order_and_the_processes_go(files_of: Path) -> None:
    found = torch.stack(list(batches("nothing", files_of)))
    assert found[:, :, 0].flatten().tolist() == list(map(float, range(16)))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        (
            "killed",
            LoaderError,
            r"loader process \d+ was killed \(SIGKILL\), as where memory runs out; fewer --workers",
        ),
        (
            "no_shared_memory",
            LoaderError,
            r"loader process \d+ could not hand over a batch: shared memory or files ran out",
        ),
        ("no_space", LoaderError, r"loader process \d+ could not hand over a batch: shared memory or files ran out"),
        (
            "no_descriptors",
            LoaderError,
            r"loader process \d+ could not hand over a batch: shared memory or files ran out",
        ),
        ("no_memory", LoaderError, "memory ran out in a loader process; fewer --workers"),
        ("bug", LoaderError, r"KeyError in a loader process: 'first line\\nsecond line'"),
        ("vanished", OSError, r"No such file or directory: '.*gone\.jpg'"),
        ("damaged", ValueError, r"damaged\.jpg is not a readable image"),
    ],
)
def test_what_happens_in_a_worker_ends_the_run_in_one_line(
    how: str, kind: type[Exception], message: str, files_of: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(kind, match=message) as caught:
        list(batches(how, files_of))
    assert len(str(caught.value).splitlines()) == 1
    assert time.monotonic() - started < 60
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("how", ["stuck", "stopped"])
def test_a_worker_that_is_stuck_ends_the_run(how: str, files_of: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PATIENCE", 3.0)
    with pytest.raises(LoaderError, match="no batch for 3 s from 2 loader processes, which are stuck"):
        list(batches(how, files_of))
    assert multiprocessing.active_children() == []


def test_a_trainer_that_is_slow_itself_is_not_taken_for_a_stuck_loader(
    files_of: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PATIENCE", 4.0)
    for number, _ in enumerate(batches("nothing", files_of)):
        if number == 1:
            time.sleep(7)


def test_signals_to_the_whole_job_stop_no_loader(files_of: Path) -> None:
    found = batches("nothing", files_of, number=30)
    next(found)
    server = multiprocessing.forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    for pid in (server, *(worker.pid for worker in multiprocessing.active_children())):
        for number in loading.SIGNALS:
            os.kill(pid, number)
    assert len(list(found)) == 29
    assert len(list(batches("nothing", files_of))) == 8
    assert multiprocessing.forkserver._forkserver._forkserver_pid == server  # type: ignore[attr-defined]


def test_a_loader_that_is_left_takes_its_processes_with_it(files_of: Path) -> None:
    found = batches("stuck", files_of)
    next(found)
    assert len(multiprocessing.active_children()) == 2
    found.close()  # type: ignore[attr-defined]
    assert multiprocessing.active_children() == []


class Unkillable:
    """A process in a system call that never returns."""

    exitcode = None

    def is_alive(self) -> bool:
        return True

    def kill(self) -> None:
        pass

    def join(self, timeout: float) -> None:
        time.sleep(min(timeout, 0.1))


def test_a_process_that_cannot_be_killed_is_not_waited_for() -> None:
    process: Any = Unkillable()
    multiprocessing.process._children.add(process)  # type: ignore[attr-defined]
    loading._gone([process])
    assert process not in multiprocessing.process._children  # type: ignore[attr-defined]


def read(path: Path) -> Callable[[str], bytes]:
    return lambda name: (path / name).read_bytes()


def test_a_thread_that_is_stuck_ends_the_run_and_names_the_file(
    files_of: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "PATIENCE", 2.0)
    monkeypatch.setattr(threads, "_CLOSING", 0.5)
    names = ["damaged.jpg"] * 3 + ["pipe"] + ["damaged.jpg"] * 3
    with pytest.raises(LoaderError, match=r"reading \S+/pipe has not ended in 2 s; can the file be read\?$"):
        list(verification.threaded(read(files_of), names, 2, name=files_of.joinpath))


def test_what_a_thread_raises_names_the_file_and_stops_the_rest(files_of: Path) -> None:
    names = ["damaged.jpg", "gone.jpg"] + ["damaged.jpg"] * 3
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        list(verification.threaded(read(files_of), names, 2))


def test_threads_end_with_their_pool_and_are_daemons() -> None:
    before = threading.active_count()
    pool = Threads(3)
    assert all(thread.daemon for thread in pool._threads)
    futures = [pool.submit(str, number) for number in range(5)]
    assert [pool.result(future, str) for future in futures] == list("01234")
    pool.close()
    assert threading.active_count() == before


def test_a_timeout_that_a_read_raises_is_its_own() -> None:
    def late(name: str) -> str:
        raise TimeoutError(f"the server of {name} does not answer")

    with pytest.raises(TimeoutError, match="the server of a does not answer"):
        list(verification.threaded(late, ["a"], 1))
