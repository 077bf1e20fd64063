"""Loader processes and threads that end with their trainer, and never keep it from ending.

torch's DataLoader leaves this open. Its workers do not see a trainer die whose children they are not (those of a
forkserver), workers that ignore SIGTERM are joined without a limit, a batch that cannot be handed over is waited for
without end, and Python joins the threads of an executor before it exits, stuck or not. Here
- a worker is killed by the kernel when its trainer ends, in whatever way;
- a trainer that fails or stops kills its workers first;
- an error in a worker reaches the trainer as one line that names the file;
- a worker or thread that delivers nothing for PATIENCE seconds ends the run.
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
"""Ctrl-C and its end reach every process of a terminal, Slurm's signals every one of a job: they are for the trainer to act on."""

_KILLED = 5.0  # seconds that a killed process has to be gone; one that waits for a dead file server never is
_NOT_HANDED_OVER = 75  # exit status of a worker that cannot pass on its batch
_NO_FORKSERVER = 255  # what Python takes for the exit status of a process whose forkserver cannot say
_TICK = 1.0  # seconds between looks at a process that is waited for
_SET_SIGNAL = 10  # fcntl's F_SETSIG on Linux, which the module does not name


def loaded(
    dataset: Dataset[Any],
    plan: Iterable[list[Any]],
    collate: Callable[[list[Any]], Any],
    workers: int,
    pin_memory: bool,
) -> Iterator[Any]:
    """Yield `collate([dataset[key] for key in keys])` for every list of keys in `plan`, in order.

    Args:
        dataset: gives a sample for a key; travels to the workers.
        plan: the keys of each batch; has a length.
        collate: joins samples; a function of a module.
        workers: processes that prepare batches; 0 prepares them in this one.
        pin_memory: whether batches are to lie in pinned memory.

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
        generator=Generator(),  # of its own: else it would draw from the global one, and dropout would change
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
    """Whole batches by their keys; in a worker, an error is returned and not raised."""

    def __init__(self, dataset: Dataset[Any], collate: Callable[[list[Any]], Any]) -> None:
        self.dataset, self.collate = dataset, collate

    def __getitem__(self, keys: list[Any]) -> Any:
        try:
            return self.collate([self.dataset[key] for key in keys])
        except Exception as error:  # whatever it is, the run must end, in the trainer
            if get_worker_info() is None:
                raise
            return _Failed.of(error)


@dataclass(frozen=True)
class _Failed:
    """What went wrong in a worker. torch would send a traceback of 20 lines as the message of the error."""

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
    """Prepare a worker: leave signals to the trainer, and end when it ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # By default a batch that cannot be handed over is dropped with a traceback, and the trainer waits for it.
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_give_up)  # type: ignore[attr-defined]
    sys.excepthook = _give_up  # called by the thread that passes on files in which batches lie, and then goes on
    trainer = multiprocessing.parent_process()
    assert trainer is not None
    if sys.platform == "linux":
        # The trainer holds the other end of this pipe. As it closes, the kernel kills this process: even one that is
        # stopped, or whose decoder never comes back to Python.
        pipe = trainer.sentinel
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, _SET_SIGNAL, signal.SIGKILL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    # Elsewhere, and where it has closed already:
    threading.Thread(target=_end_after, args=(trainer,), daemon=True).start()


def _end_after(trainer: Any) -> None:
    trainer.join()
    os._exit(1)


def _give_up(*_: object) -> NoReturn:
    os._exit(_NOT_HANDED_OVER)


class _Workers:
    """Context of a DataLoader's processes: an iterator over its batches. Afterwards they are gone, as they are at exit."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader
        self.processes: list[Any] = []
        self._batches: Any = None
        self._waits = 0  # ticks for which the trainer has waited
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
            atexit.unregister(self._batches._clean_up_worker)  # torch's, which waits 5 s for each worker
        except BaseException:
            self.processes = [one for one in multiprocessing.active_children() if one not in before]
            self._end()
            raise
        self.processes = [one for one in multiprocessing.active_children() if one not in before]
        atexit.register(self._end)  # goes before the handler of multiprocessing, which waits without a limit
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
        """Return in one line what ended the workers."""
        number = self.loader.num_workers
        if self._stuck:
            return f"no batch for {PATIENCE:.0f} s from {number} loader processes, which are stuck; can every file be read?"
        multiprocessing.connection.wait([one.sentinel for one in self.processes], _TICK)  # for one that is just ending
        dead = {one.pid: one.exitcode for one in self.processes if not one.is_alive()}
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
        """Kill processes that are waited for too long. Ticks are counted, not time: a run that is suspended is not stuck."""
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
    """Do what torch does at the end of an iterator, without waiting for locks and queues that killed workers may hold."""
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
    """Start the forkserver, or leave the one that runs.

    It imports `module`, once for all workers: one starts in a fraction of a second then, and shares that memory. The
    SIGNALS are blocked, in its children, too.
    """
    multiprocessing.set_forkserver_preload([__name__, module])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        multiprocessing.resource_tracker.ensure_running()  # which ignores SIGINT and SIGTERM, and lets them through here again
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(processes: list[Any]) -> None:
    for process in processes:
        if process.is_alive():
            process.kill()


def _gone(processes: list[Any]) -> None:
    """Wait for processes that were told to end, a little; then kill them, and let Python forget those that cannot be."""
    for kill in (True, False):
        deadline = time.monotonic() + _KILLED
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        if kill:
            _kill(processes)
    for process in processes:
        if process.is_alive():  # in the kernel, for a file server that is gone: at exit Python would wait for it
            multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
