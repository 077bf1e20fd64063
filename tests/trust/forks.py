"""The processes of one run, as forks of a process that has imported everything. They start faster than with `torchrun`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path


def several(size: int, work: Callable[[], int], log: Path, patience: float = 600.0) -> tuple[list[int], float]:
    """Run `work` in `size` processes that can form a group, as under `torchrun`.

    Returns:
        The exit status of each process, or minus the number of the signal that killed it. Then the seconds from the end of the
        first process until all, and all processes that they started, have ended.

    Raises:
        TimeoutError: a process did not end, or left another one behind. All these have been killed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    running = {}
    for rank in range(size):
        child = os.fork()
        if child == 0:
            _become(rank, size, port, work, log)
        running[child] = rank
    children = list(running)
    status, ends, deadline = [0] * size, [], time.monotonic() + patience
    while running:
        for child in list(running):
            done, code = os.waitpid(child, os.WNOHANG)
            if done:
                status[running.pop(child)] = os.waitstatus_to_exitcode(code)
                ends.append(time.monotonic())
        if time.monotonic() > deadline:
            for child in running:
                os.kill(child, 9)
                os.waitpid(child, 0)
            raise TimeoutError(f"processes {sorted(running.values())} of {size} did not end; see {log}")
        time.sleep(0.01)
    survivors = left_behind(children)
    if survivors:
        raise TimeoutError(f"processes were left behind: {'; '.join(survivors)}")
    return status, time.monotonic() - ends[0]


def left_behind(sessions: Collection[int], patience: float = 60.0) -> list[str]:
    """Wait for the processes of these sessions for up to `patience` seconds, kill the rest and return their command lines."""
    deadline = time.monotonic() + patience
    while (found := _alive(sessions)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [f"{pid}: {command}" for pid, command in found.items()]


def _alive(sessions: Collection[int]) -> dict[int, str]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, session = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:4]
            if int(session) in sessions and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return found


def _become(rank: int, size: int, port: str, work: Callable[[], int], log: Path) -> None:
    """Run `work` in this fork as process `rank`, and exit."""
    status = 1
    try:
        os.setsid()  # signals to the parent's process group must not reach it
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        if size > 1:
            own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
            os.environ.update({name: str(value) for name, value in own.items()})
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
