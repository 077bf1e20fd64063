"""Safe stopping: a signal, or the death of the parent process, ends training after the current step."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType, TracebackType

from tasks import distributed
from tasks.data.loading import SIGNALS

STOP_WITH_PARENT = "DSD_STOP_WITH_PARENT"
"""Environment variable in which nox sessions pass their process id. Without it a run may outlive its shell, as with nohup."""

_UNDER_TORCHRUN = "TORCHELASTIC_RUN_ID"  # torchrun sets it for the processes that it starts and monitors
_FORWARDED = 5.0
"""Seconds within which a second signal is ignored: Ctrl-C reaches every process, and torchrun forwards it again."""

REASONS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "the process that started this one is gone": 143}
"""The exit status for each reason to stop."""


class InterruptedTrial(Exception):  # noqa: N818 - not an error: the run was asked to stop and did
    """Training stopped on request; the checkpoint is written."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stop:
    """Context in which SIGINT, SIGTERM and SIGHUP only set `reason`. A second signal ends the process at once, without saving.

    SIGHUP (a closed terminal) sets `reason`, but counts neither as the first nor as the second signal. The shell and the kernel
    may each send it, and the end of a session also sends SIGTERM. If SIGHUP is ignored, as under nohup, it stays ignored.
    """

    def __init__(self) -> None:
        self._signal: str | None = None
        self._at = 0.0
        self._forwarded = _FORWARDED if _UNDER_TORCHRUN in os.environ else 0.0
        parent = os.environ.get(STOP_WITH_PARENT) or (os.getppid() if self._forwarded else None)
        self._parent = int(parent) if parent else None
        self._previous: dict[int, object] = {}

    @property
    def reason(self) -> str | None:
        """Why to stop, one of REASONS; None to continue."""
        if self._signal is not None:
            return self._signal
        if self._parent is not None and os.getppid() != self._parent:
            return list(REASONS)[-1]
        return None

    def agreed(self) -> str | None:
        """Return why to stop, or None; the same in every process. All processes must call it at the same step."""
        if distributed.world_size() == 1:
            return self.reason
        reasons = list(REASONS)
        code = distributed.max_over_ranks(reasons.index(self.reason) if self.reason else -1)
        return None if code < 0 else reasons[code]

    def __enter__(self) -> Stop:
        for number in SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)  # type: ignore[arg-type]  # a value that signal.signal returned

    def _handle(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._signal in (None, "SIGHUP"):
            self._signal, self._at = name, time.monotonic()
        elif name != "SIGHUP" and time.monotonic() - self._at >= self._forwarded:
            os._exit(128 + number)
