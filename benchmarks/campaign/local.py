"""Trials on this machine, several at a time, each on one GPU."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType

from benchmarks.campaign.trial import Result, Running, Trial

_TICK = 0.2  # seconds between polls of the processes
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def submit(trials: Iterable[Trial], jobs: int, gpus: Sequence[str] = ()) -> Iterator[Result]:
    """Yield results as trials end. `jobs` trials run at a time. The next one is taken from `trials` when it can start.

    Args:
        trials: the trials, taken one by one, so that an iterator can choose the next trial from the results so far.
        jobs: the number of trials that run at a time.
        gpus: the names of the GPUs as in CUDA_VISIBLE_DEVICES; job k gets GPU k modulo the number of GPUs.

    SIGINT, SIGTERM and SIGHUP are passed on: each running trial saves and stops, and no new trial starts.
    """
    queue = iter(trials)
    running: dict[int, Running] = {}
    stopped = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        for one in running.values():
            one.signal(number)

    with handled(pass_on), _stopped(running):
        while True:
            for slot in sorted(set(range(jobs)) - set(running)):
                trial = None if stopped else next(queue, None)
                if trial is None:
                    break
                running[slot] = Running(trial, {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else None)
                if stopped:  # a signal arrived while the trial was started
                    running[slot].signal(signal.SIGTERM)
            if not running:
                return
            ended = {slot: result for slot, one in running.items() if (result := one.poll()) is not None}
            for slot, result in ended.items():
                del running[slot]
                yield result
            if not ended:
                time.sleep(_TICK)


@contextlib.contextmanager
def _stopped(running: dict[int, Running]) -> Iterator[None]:
    """Context that makes trials that still run at its end save and stop (after an error, or if the caller stops iterating)."""
    try:
        yield
    finally:
        for one in running.values():
            one.signal(signal.SIGTERM)
        for one in running.values():
            one.stop()
            one.poll()  # reaps the process, which `stop` does not


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Context in which `handler` handles the signals. Python allows this only in the main thread; in others, nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # as under nohup
    numbers = [number for number in _SIGNALS if not (number == signal.SIGHUP and ignored)]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def visible_gpus(count: int) -> list[str]:
    """Return the names of the `count` GPUs of this process, as used in CUDA_VISIBLE_DEVICES."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return given.split(",")[:count] if given else [str(number) for number in range(count)]
