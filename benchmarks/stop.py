"""Stopping at a safe place: a signal, or the death of the process that started us, ends training after the current step."""

from __future__ import annotations

import os
import signal
from types import FrameType, TracebackType

STOP_WITH_PARENT = "DSD_STOP_WITH_PARENT"
"""Environment variable in which nox sessions pass their process id. Without it a run may outlive its shell, as with nohup."""


class InterruptedTrial(Exception):  # noqa: N818 - not an error: the run was asked to stop and did
    """Training stopped because it was asked to; the checkpoint is written."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stop:
    """Context in which SIGINT and SIGTERM only set `reason`. A second signal ends the process at once, without saving."""

    def __init__(self) -> None:
        self._signal: str | None = None
        parent = os.environ.get(STOP_WITH_PARENT)
        self._parent = int(parent) if parent else None
        self._previous: dict[int, object] = {}

    @property
    def reason(self) -> str | None:
        """Why to stop, or None to go on."""
        if self._signal is not None:
            return self._signal
        if self._parent is not None and os.getppid() != self._parent:
            return "the process that started this one is gone"
        return None

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)  # type: ignore[arg-type]  # what signal.signal returned, it takes

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            os._exit(128 + number)
        self._signal = signal.Signals(number).name
