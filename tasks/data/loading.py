"""Loader processes that end when their trainer ends, and never delay its end.

torch's DataLoader does not ensure this. Workers of a forkserver do not notice that the trainer died, since they are not its
children. DataLoader joins workers that ignore SIGTERM without a limit, and waits forever for a batch that a worker cannot send.
Here
- a worker ends when its trainer ends, even if the trainer is killed (on Linux, the kernel kills the worker);
- a trainer that fails or stops kills its workers first;
- an error in a worker reaches the trainer as one line that names the file;
- if the workers deliver no batch for PATIENCE seconds, the run ends.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import multiprocessing
import multiprocessing.connection
import multiprocessing.forkserver
import multiprocessing.process
import multiprocessing.queues
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import Generator
from torch.utils.data import DataLoader, Dataset, get_worker_info
from torch.utils.data._utils import signal_handling

from tasks.data.threads import PATIENCE, LoaderError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that only the trainer handles. A terminal and Slurm send them to all processes of a job."""

_KILLED = 5.0  # seconds to wait for a killed process; if it waits for a dead file server, it never ends
_NOT_HANDED_OVER = 75  # exit status of a worker that cannot send its batch
_NO_FORKSERVER = 255  # exit status that Python reports if the forkserver is dead
_TICK = 1.0  # seconds between checks of a process
_SET_SIGNAL = 10  # F_SETSIG on Linux, missing in the fcntl module


def loaded(
    dataset: Dataset[Any],
    plan: Iterable[list[Any]],
    collate: Callable[[list[Any]], Any],
    workers: int,
    pin_memory: bool,
) -> Iterator[Any]:
    """Yield `collate([dataset[key] for key in keys])` for every list of keys in `plan`, in order.

    Args:
        dataset: returns a sample for a key; sent to the workers.
        plan: the keys of each batch.
        collate: joins samples into a batch; a module-level function.
        workers: processes that prepare batches; 0 means this process.
        pin_memory: whether batches are put in pinned memory.

    Raises:
        LoaderError: a worker was killed, ran out of memory or delivered nothing for PATIENCE seconds.
        OSError: a file cannot be opened.
        ValueError: a file cannot be decoded.
    """
    loader: DataLoader[Any] = DataLoader(
        _Batches(dataset, collate),
        batch_size=None,
        sampler=plan,
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=pin_memory,
        # Forking a process that has threads (torch's, the decoder's) can hang the child.
        multiprocessing_context="forkserver" if workers and _has_forkserver() else None,
        worker_init_fn=_begin if workers else None,
        generator=Generator(),  # otherwise it would draw from the global generator and change dropout
    )
    if not workers:
        yield from loader
        return
    with _Workers(loader) as running:
        for batch in running:
            if isinstance(batch, _Failed):
                raise batch.error()
            yield batch


def _has_forkserver() -> bool:
    return "forkserver" in multiprocessing.get_all_start_methods()


class _Batches(Dataset[Any]):
    """A data set of whole batches: an item is the batch of a list of keys. A worker returns an error instead of raising it."""

    def __init__(self, dataset: Dataset[Any], collate: Callable[[list[Any]], Any]) -> None:
        self.dataset, self.collate = dataset, collate

    def __getitem__(self, keys: list[Any]) -> Any:
        try:
            return self.collate([self.dataset[key] for key in keys])
        except Exception as error:  # after any error, the trainer must end the run
            if get_worker_info() is None:
                raise
            return _Failed.of(error)


@dataclass(frozen=True)
class _Failed:
    """An error in a worker, in one line. torch would send a message with a traceback of 20 lines."""

    kind: type[Exception]
    text: str

    @classmethod
    def of(cls, error: Exception) -> _Failed:
        text = " ".join(str(error).split())
        if isinstance(error, MemoryError):
            return cls(LoaderError, "memory ran out in a loader process; fewer --workers take less")
        for kind in (ValueError, OSError):
            if isinstance(error, kind):
                return cls(kind, text)
        return cls(LoaderError, f"{type(error).__name__} in a loader process: {text}")

    def error(self) -> Exception:
        return self.kind(self.text)


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin(worker: int) -> None:
    """Initialise a worker: ignore signals, which the trainer handles, and end when the trainer ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # By default a batch that cannot be sent is dropped with a traceback, and the trainer waits for it forever.
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_give_up)  # type: ignore[attr-defined]
    sys.excepthook = _give_up  # called by the thread that sends the file descriptors of batches
    trainer = multiprocessing.parent_process()
    assert trainer is not None
    if sys.platform == "linux":
        # The trainer holds the other end of this pipe. When that end closes, the kernel kills this process, even if this process is
        # stopped or its decoder never returns to Python.
        pipe = trainer.sentinel
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, _SET_SIGNAL, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    # On other systems, and if the pipe is closed already:
    threading.Thread(target=_end_after, args=(trainer,), daemon=True).start()


def _end_after(trainer: Any) -> None:
    trainer.join()
    os._exit(1)


def _give_up(*_: object) -> NoReturn:
    os._exit(_NOT_HANDED_OVER)


class _Workers:
    """Context in which a DataLoader's processes run; iterates over its batches. The processes end with the context, or at exit."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader
        self.processes: list[Any] = []
        self._batches: Any = None
        self._waits = 0  # ticks that the trainer has waited
        self._waiting = self._exhausted = self._stuck = False
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> _Workers:
        before = set(multiprocessing.active_children())
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            with self._wait():
                if _has_forkserver():
                    _start_forkserver(type(self.loader.dataset.dataset).__module__)  # type: ignore[attr-defined]
                self._batches = iter(self.loader)
            atexit.unregister(self._batches._clean_up_worker)  # torch's handler waits 5 s for each worker
        except BaseException:
            self.processes = [child for child in multiprocessing.active_children() if child not in before]
            self._end()
            raise
        self.processes = [child for child in multiprocessing.active_children() if child not in before]
        atexit.register(self._end)  # runs before the handler of multiprocessing, which waits without a limit
        return self

    def __exit__(self, *_: object) -> None:
        atexit.unregister(self._end)
        self._end()

    def __iter__(self) -> Iterator[Any]:
        while True:
            with self._wait():
                try:
                    batch = next(self._batches)
                except StopIteration:
                    self._exhausted = True
                    return
            yield batch

    @contextlib.contextmanager
    def _wait(self) -> Iterator[None]:
        self._waits, self._waiting = 0, True
        try:
            yield
        except Exception as error:
            raise LoaderError(self._reason(error)) from error
        finally:
            self._waiting = False

    def _reason(self, error: Exception) -> str:
        """Return in one line why the workers ended."""
        number = self.loader.num_workers
        if self._stuck:
            return f"no batch for {PATIENCE:.0f} s from {number} loader processes, which are stuck; can every file be read?"
        multiprocessing.connection.wait([process.sentinel for process in self.processes], _TICK)  # one may be ending
        dead = {process.pid: process.exitcode for process in self.processes if not process.is_alive()}
        for pid, code in dead.items():
            if code == -signal.SIGKILL:
                return f"loader process {pid} was killed (SIGKILL), as where memory runs out; fewer --workers take less"
            if code in (-signal.SIGBUS, _NOT_HANDED_OVER):
                return (
                    f"loader process {pid} could not hand over a batch: shared memory or files ran out "
                    "(see df /dev/shm and ulimit -n); fewer --workers take less"
                )
            if code == _NO_FORKSERVER:
                return "the forkserver of the loader processes was killed, as where memory runs out; fewer --workers take less"
            if code:
                return f"loader process {pid} ended with status {code}"
        return f"loader processes failed: {type(error).__name__}: {' '.join(str(error).split())}"

    def _watch(self) -> None:
        """Kill stuck processes. This counts ticks, not time, because a suspended run is not stuck."""
        while not self._ended.wait(_TICK):
            self._waits += self._waiting
            if self._waiting and self._waits * _TICK > PATIENCE:
                self._stuck = True
                _kill(self.processes)
                if not self.processes and (server := multiprocessing.forkserver._forkserver._forkserver_pid):  # type: ignore[attr-defined]
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(server, signal.SIGKILL)
                return

    def _end(self) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            self._ended.set()
        if not self._exhausted:
            _kill(self.processes)
        _gone(self.processes)
        if self._batches is not None and not self._batches._shutdown:
            _abandon(self._batches)


def _abandon(batches: Any) -> None:
    """Close torch's iterator without waiting for locks and queues that killed workers may hold."""
    batches._shutdown = True
    if batches._worker_pids_set:
        signal_handling._remove_worker_pids(id(batches))  # type: ignore[attr-defined]
        batches._worker_pids_set = False
    if batches._pin_memory:
        batches._pin_memory_thread_done_event.set()
    for queue in batches._index_queues:
        queue.cancel_join_thread()
        queue.close()


def _start_forkserver(module: str) -> None:
    """Start the forkserver if it is not running.

    The forkserver imports `module` once for all workers, so that they start quickly and share its memory. The forkserver and its
    children block SIGNALS.
    """
    multiprocessing.set_forkserver_preload([__name__, module])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        multiprocessing.resource_tracker.ensure_running()  # unblocks SIGINT and SIGTERM in this process
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(processes: list[Any]) -> None:
    for process in processes:
        if process.is_alive():
            process.kill()


def _gone(processes: list[Any]) -> None:
    """Wait a few seconds for processes to end, then kill them. Remove those that do not end from Python's list of children."""
    for kill in (True, False):
        deadline = time.monotonic() + _KILLED
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        if kill:
            _kill(processes)
    for process in processes:
        if process.is_alive():  # it waits for a dead file server, and at exit Python would wait for the process
            multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
