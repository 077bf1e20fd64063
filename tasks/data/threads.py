"""Threads that read files: they end with the process, at work or not."""

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
"""Seconds for which a batch or a file is waited for: then the loader is stuck, and the run ends."""

_CLOSING = 5.0  # seconds that threads have to finish what they are at
_TICK = 1.0
_BATCHES_AHEAD = 3  # keeps the device busy and takes little memory

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def processors() -> int:
    """Return how many processors this process may use: taskset, Slurm and a container's cpuset grant fewer than there are."""
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
    """A loader process or thread was killed, is stuck or failed; the message is one line."""


class Threads:
    """A pool of threads. Unlike those of an executor, one that is stuck keeps neither `close` nor the process from ending.

    Args:
        count: how many; 0 takes one for each of `processors()`.
    """

    def __init__(self, count: int = 0) -> None:
        self.closed = False
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[Any], Any], Any] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count or processors())]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
        """Have `function(item)` computed, after what was submitted before."""
        future: Future[_Result] = Future()
        self._jobs.put((future, function, item))
        return future

    def result(self, future: Future[_Result], name: Callable[[], object]) -> _Result:
        """Return the result of a future, the earliest that is not done; `name` says which file that is.

        Raises:
            LoaderError: it has not come after PATIENCE seconds, not counting those in which the process was suspended.
            Exception: what the function raised.
        """
        ticks = 0
        while not future.done():
            if ticks * _TICK > PATIENCE:
                raise LoaderError(f"reading {name()} has not ended in {PATIENCE:.0f} s; can the file be read?")
            ticks += not wait([future], _TICK).done
        return future.result()

    def close(self) -> None:
        """Drop what has not begun, and wait a little for the rest."""
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
            del job, future, item  # else a thread that waits would keep its last picture
