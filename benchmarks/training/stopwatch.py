"""Measures how long steps take. On a GPU, events on the device mark their starts and ends, so the host does not wait for them."""

from __future__ import annotations

import time

import torch


class Stopwatch:
    """Adds up the time between starts and stops on `device`.

    On a GPU this is the device's time. It excludes work that was still queued when the interval began.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seconds = 0.0
        self._started = 0.0
        self._events: list[torch.cuda.Event] = []  # alternating starts and stops

    def start(self) -> None:
        """Start."""
        self._mark()
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Stop."""
        self._mark()
        self._seconds += time.perf_counter() - self._started

    def take(self) -> float:
        """Return the seconds of the intervals that have ended since the last call. Does not wait for the device."""
        taken, self._seconds = self._seconds, 0.0
        if self._device.type != "cuda":
            return taken
        taken = 0.0
        while len(self._events) > 1 and self._events[1].query():  # type: ignore[no-untyped-call]
            start, stop, *self._events = self._events
            taken += start.elapsed_time(stop) / 1000  # milliseconds
        return taken

    def _mark(self) -> None:
        if self._device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record()
            self._events.append(event)
