"""Parts of a run, each in its own process with a time limit. A part that fails or hangs does not end the others."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks import ROOT

GRACE = 25.0
"""Seconds from SIGTERM to SIGKILL, in which a trial finishes its step and writes its checkpoint."""

# After SIGTERM: the exit status of a program that handles it, and of one that it ends.
_ASKED_TO_STOP = (128 + signal.SIGTERM, -signal.SIGTERM)


@dataclass(frozen=True)
class Part:
    """A command.

    Attributes:
        name: the name of the part and of its log in the output folder.
        command: the whole command.
        share: the maximum share of the time for all parts; a part that takes longer fails. With None, the part may use all the
            remaining time and is then asked to stop, which is not a failure.
        environment: variables to add.
    """

    name: str
    command: tuple[str, ...]
    share: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """How a part ended. `how` is "no time" if it was not started."""

    name: str
    how: Literal["finished", "failed", "too slow", "stopped at the end", "no time"]
    status: int | None
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the part succeeded."""
        return self.how in ("finished", "stopped at the end")


def run_all(parts: Sequence[Part], out: Path, seconds: float, grace: float = GRACE) -> Iterator[Ended]:
    """Run the parts in order within `seconds`, and yield how each ended. Their output goes to `out`/NAME.log.

    On an interrupt, the running part is asked to stop.
    """
    deadline = time.monotonic() + seconds
    for part in parts:
        left = deadline - time.monotonic() - grace
        limit = left if part.share is None else min(left, part.share * seconds)
        if limit <= 0:
            yield Ended(part.name, "no time", None, 0.0)
            continue
        yield _run(part, out, limit, grace)


def _run(part: Part, out: Path, limit: float, grace: float) -> Ended:
    started = time.monotonic()
    with (out / f"{part.name}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own words
            part.command,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **part.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    late = False
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        _stop(process, grace)
    seconds, status = time.monotonic() - started, process.returncode
    if late and part.share is not None:
        return Ended(part.name, "too slow", status, seconds)
    if late and status in _ASKED_TO_STOP:
        return Ended(part.name, "stopped at the end", status, seconds)
    return Ended(part.name, "failed" if status else "finished", status, seconds)


def _stop(process: subprocess.Popen[bytes], grace: float) -> None:
    """Ask the process to stop, wait up to `grace` seconds, then kill all remaining processes of its group."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
