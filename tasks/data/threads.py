"""Threads that read files and never keep the process alive."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar

PATIENCE = 600.0
"""Maximum wait for a batch or a file, in seconds. Then the loader counts as stuck and the run ends."""

_CLOSING = 5.0  # seconds that threads have to finish their current item
_TICK = 1.0
_BATCHES_AHEAD = 3  # keeps the device busy and takes little memory

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def processors() -> int:
    """Return the number of processors that this process may use. taskset, Slurm and cpusets of containers can limit it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_ahead(
    read: Callable[[_Item], _Result], plan: Iterable[Sequence[_Item]], name: Callable[[_Item], object], workers: int = 0
) -> Generator[list[_Result], None, None]:
    """Yield `[read(item) for item in batch]` for each batch in `plan`. Threads read a few batches ahead.

    Args:
        read: called in a thread.
        plan: the batches.
        name: returns the file of an item, for messages.
        workers: threads; 0 means one per processor.

    Raises:
        LoaderError: reading an item has not ended in PATIENCE seconds.
        Exception: whatever `read` raises.
    """
    pool = Threads(workers)
    ahead: deque[list[tuple[_Item, Future[_Result]]]] = deque()

    def first() -> list[_Result]:
        return [pool.result(future, partial(name, item)) for item, future in ahead.popleft()]

    try:
        for batch in plan:
            ahead.append([(item, pool.submit(read, item)) for item in batch])
            if len(ahead) > _BATCHES_AHEAD:
                yield first()
        while ahead:
            yield first()
    finally:
        pool.close()


class LoaderError(ChildProcessError):
    """A loader process or thread was killed, got stuck or failed. The message is one line."""


class Threads:
    """A pool of threads. Unlike in an executor, a stuck thread delays neither `close` nor the end of the process.

    Args:
        count: number of threads; 0 means one per processor.
    """

    def __init__(self, count: int = 0) -> None:
        self.closed = False
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[Any], Any], Any] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count or processors())]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
        """Queue the call `function(item)`."""
        future: Future[_Result] = Future()
        self._jobs.put((future, function, item))
        return future

    def result(self, future: Future[_Result], name: Callable[[], object]) -> _Result:
        """Wait for `future`, which must be the oldest, and return its result; `name` returns its file, for the message.

        Raises:
            LoaderError: there is no result after PATIENCE seconds. Time in which the process is suspended does not count.
            Exception: whatever the function raised.
        """
        ticks = 0
        while not future.done():
            if ticks * _TICK > PATIENCE:
                raise LoaderError(f"reading {name()} has not ended in {PATIENCE:.0f} s; can the file be read?")
            ticks += not wait([future], _TICK).done
        return future.result()

    def close(self) -> None:
        """Cancel queued calls and wait a few seconds for running ones."""
        self.closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + _CLOSING
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function, item = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(item))
                except BaseException as error:
                    future.set_exception(error)
            del job, future, item  # otherwise a waiting thread would keep its last picture in memory
