"""One trial of a campaign: its command, its resources, and its run in its own process."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from benchmarks import ROOT
from benchmarks.training.lock import TAKEN

PROGRAM = (sys.executable, "-m", "benchmarks")
"""The program and first arguments of every command of the suite."""

_STOP_WITH_PARENT = "DSD_STOP_WITH_PARENT"  # as in benchmarks.training.interruption, which imports torch
PATIENCE = 600.0
"""Seconds that a retried trial waits until the process of a killed worker has saved and ended."""

_TICK = 0.2  # seconds between polls of a process
_BETWEEN_TRIES = 5.0  # seconds before the next try, if another process is running the trial


@pydantic_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Resources:
    """The resources of one trial.

    Attributes:
        gpus: GPUs, at most 1; 0 for none. Below 1, trials share a GPU (Slurm gives each a whole one).
        cpus: processor cores. A trial without a GPU computes with one thread per core.
        memory_gb: host memory in GB, for Ray and Slurm; None for their defaults.
        time_limit_hours: Slurm's time limit for one job. A trial that needs longer is saved, requeued and resumed.
        retries: how often a trial is started again after its process was killed; it resumes from its checkpoint.
    """

    gpus: Annotated[float, Field(ge=0, le=1)] = 0.0
    cpus: Annotated[int, Field(ge=1)] = 1
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    time_limit_hours: Annotated[float, Field(gt=0)] = 24.0
    retries: Annotated[int, Field(ge=0)] = 3


@dataclass(frozen=True)
class Trial:
    """A command of the suite that trains one trial.

    Attributes:
        title: a description of what the trial trains.
        command: the whole command, program included.
        log: the file to which the command's output is appended.
        resources: the resources of the trial.
        hours: the expected time; None if unknown.
    """

    title: str
    command: tuple[str, ...]
    log: Path
    resources: Resources = field(default=Resources())
    hours: float | None = None


@dataclass(frozen=True)
class Result:
    """How a trial ended.

    Attributes:
        trial: the trial.
        status: the exit status of its command: 0 finished, 1 failed, 2 invalid, 75 taken (another process is running the trial),
            128 + n stopped by signal n, -n killed by signal n. The record is in the `records` folder of its output folder.
        starts: how often the trial was started.
        host: the machine of its last process.
        seconds: the time from its first start to its end.
        reason: why there is no result of the command, such as a cancelled job; empty if there is one.
    """

    trial: Trial
    status: int
    starts: int
    host: str
    seconds: float
    reason: str = ""


class Running:
    """A trial that runs in its own process.

    The process has its own session, so signals of the terminal do not reach it: it gets signals only from the method `signal`, each
    once. It saves and stops if the process that started it dies.

    Args:
        trial: the trial.
        environment: variables to add, such as CUDA_VISIBLE_DEVICES.
    """

    def __init__(self, trial: Trial, environment: Mapping[str, str] | None = None) -> None:
        self.trial, self.starts = trial, 0
        self._environment = dict(environment or {})
        self._began = time.monotonic()
        self.start()

    def start(self) -> None:
        """Start the trial, or start it again."""
        on_cpu = {"OMP_NUM_THREADS": str(self.trial.resources.cpus), "CUDA_VISIBLE_DEVICES": ""}
        own = {
            **os.environ,
            **({} if self.trial.resources.gpus else on_cpu),
            **self._environment,
            _STOP_WITH_PARENT: str(os.getpid()),
        }
        self.trial.log.parent.mkdir(parents=True, exist_ok=True)
        with self.trial.log.open("ab") as log, _blocked({signal.SIGUSR1, signal.SIGUSR2}):
            self._process = subprocess.Popen(
                self.trial.command,
                cwd=ROOT,
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.starts += 1
        self._stopping = False

    def poll(self) -> Result | None:
        """Return the result if the trial has ended. A trial whose process was killed is started again, `retries` times."""
        status = self._process.poll()
        if status is None:
            return None
        if status < 0 and not self._stopping and self.starts <= self.trial.resources.retries:
            self.start()
            return None
        return Result(self.trial, status, self.starts, socket.gethostname(), time.monotonic() - self._began)

    def signal(self, number: int) -> None:
        """Send a signal to the trial. The first signal makes it save and stop, the second ends it at once."""
        self._stopping = True
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def wait(self) -> Result:
        """Wait for the result. If the wait is interrupted, the trial saves and stops."""
        try:
            while (result := self.poll()) is None:
                time.sleep(_TICK)
        except BaseException:
            self.stop()
            self.poll()  # reaps the process, which `stop` does not
            raise
        return result

    def stop(self) -> None:
        """Ask the trial to save and stop, and wait for that. This may be called in a signal handler."""
        if not self._stopping:
            self.signal(signal.SIGTERM)
        with contextlib.suppress(ChildProcessError):  # the process was already reaped
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)  # unlike Popen.wait, this takes no lock


@contextlib.contextmanager
def _blocked(numbers: set[signal.Signals]) -> Iterator[None]:
    """Context in which signals are blocked. Processes started in it block them for good, and so do their own processes.

    Before the time limit, Slurm sends SIGUSR2 to all processes of a job. It would kill the trial, or a loader, before the trial
    saves.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(trial: Trial, patience: float = 0.0, started: Callable[[Running], None] = lambda running: None) -> Result:
    """Run a trial to its end in its own process.

    Args:
        trial: the trial.
        patience: seconds to wait while another process is running the trial. After a worker was killed, its process still needs
            the time of a step and a checkpoint before it ends.
        started: called with the running trial after each start.
    """
    deadline = time.monotonic() + patience
    while True:
        running = Running(trial)
        started(running)
        result = running.wait()
        if result.status != TAKEN or time.monotonic() > deadline:
            return result
        time.sleep(_BETWEEN_TRIES)
