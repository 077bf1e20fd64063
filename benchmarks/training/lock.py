"""One process per trial: a lock on its folder, and its owner.

The operating system releases the lock when the process that holds it ends, for any reason. A leftover lock file does not block
other processes. Loader processes that outlive a killed trainer do not hold the lock, because filelock closes it in forked
processes. The owner file is only for the error message, which may appear on another machine of a shared file system.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.data.cache import write_whole


@dataclass(frozen=True)
class Owner:
    """The owner of a lock: process id, host, start time (UTC) and command."""

    pid: int
    host: str
    since: str
    command: str

    def __str__(self) -> str:
        """Return the text for error messages."""
        return f"pid {self.pid} on {self.host} since {self.since} ({self.command})"


_LOOK = 0.5
"""Seconds to wait for the lock, because `owners` holds it for a moment while checking it."""


TAKEN = 75
"""Exit status (EX_TEMPFAIL) of a command that cannot run now because another process is running its trial."""


class TakenError(ValueError):
    """Another process is running the trial."""

    exit_status = TAKEN


@contextlib.contextmanager
def held(folder: Path, command: str) -> Iterator[None]:
    """Hold the lock of the trial in `folder` (created if needed) while the body runs. Other processes' errors show `command`.

    Raises:
        TakenError: another process holds the lock; the message names that process.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=_LOOK)
    except Timeout as error:
        who = _owner(folder) or "it has not said who it is"
        raise TakenError(f"another process is running this trial: {who}; it holds {lock.lock_file}") from error
    try:
        owner = Owner(os.getpid(), socket.gethostname(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), command)
        write_whole(folder / "owner.json", json.dumps(asdict(owner)).encode())
        yield
    finally:
        (folder / "owner.json").unlink(missing_ok=True)
        lock.release()


def _owner(folder: Path) -> Owner | None:
    """Return the owner in the owner file; None if the file is missing or unreadable."""
    try:
        return Owner(**json.loads((folder / "owner.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def owners(folder: Path) -> dict[str, Owner]:
    """Return the trials in `folder` that are running now, by name, and their owners. Stale owner files are ignored."""
    held = (path.parent for path in folder.glob("*/lock") if _is_held(path))
    return {trial.name: owner for trial in held if (owner := _owner(trial))}


def commands(folder: Path) -> set[str]:
    """Return the commands of the trials in `folder` that are running now."""
    return {owner.command for owner in owners(folder).values()}


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
