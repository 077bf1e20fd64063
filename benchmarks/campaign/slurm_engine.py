"""Trials as Slurm jobs through submitit: saved before the time limit, requeued, resumed. Without Slurm, they run locally."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.campaign.trial import PATIENCE, Result, Running, Trial, run

SAVING_SECONDS = 300
"""Seconds before the time limit at which Slurm asks a job to save: enough for a step, an evaluation and a checkpoint."""

_STARTING_SECONDS = 120  # a job must get further than its start; Slurm may send the signal 60 seconds too early
_REQUEUES = 1000  # more than a trial needs
_TICK = 1.0  # seconds between looks for results
_ASK = 60.0  # seconds between calls of squeue
_GONE = "UNKNOWN"  # the state of a job that Slurm has forgotten; it forgets jobs five minutes after their end
_ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}


class Job:
    """The function that a Slurm job runs. Near the time limit, submitit calls `checkpoint` and requeues the job that it returns."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._running: Running | None = None

    def __call__(self) -> Result:
        """Run the trial to its end.

        Raises:
            SystemExit: the trial of a Slurm job was asked to stop. Then the job has no result: Slurm knows whether it was cancelled
                or requeued.
        """
        result = run(self.trial, PATIENCE, self._started)
        if result.status > 128 and "SLURM_JOB_ID" in os.environ:
            raise SystemExit(result.status)
        return result

    def checkpoint(self) -> Any:
        """Ask the trial to save and stop, wait for that, and return the job that resumes it."""
        from submitit.helpers import DelayedSubmission

        if self._running is not None:
            self._running.stop()
        return DelayedSubmission(Job(self.trial))

    def _started(self, running: Running) -> None:
        self._running = running


class States:
    """The states of this user's jobs, as squeue gives them. It stands in for submitit's watcher, which needs Slurm's accounting."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._asked = -math.inf

    def register_job(self, job_id: str) -> None:
        """Count a job that was just submitted as waiting."""
        self._states.setdefault(job_id, "PENDING")

    def get_state(self, job_id: str, mode: str = "standard") -> str:
        """Return the state of a job."""
        if time.monotonic() - self._asked >= _ASK:
            self._asked = time.monotonic()
            states = self.ask()
            self._states = self._states if states is None else states
        return self._states.get(job_id, _GONE)

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Return whether a job has ended for good."""
        return self.get_state(job_id) in (*_ENDED, _GONE)

    @staticmethod
    def ask() -> dict[str, str] | None:
        """Return the states of all jobs that Slurm still knows; None if it does not answer, as during a restart."""
        words = ("squeue", "--noheader", "--format=%A %T", "--states=all", f"--user={os.getuid()}")
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        return dict(line.split() for line in answer.stdout.splitlines()) if answer.returncode == 0 else None


@dataclass(frozen=True)
class _Submitted:
    job: Any
    trial: Trial
    starts: int


def submit(
    trials: Iterable[Trial], folder: Path, options: Mapping[str, Any], cluster: str | None = None
) -> Iterator[Result]:
    """Submit all trials as jobs, in this order, and yield results as they end.

    The jobs outlive this process. If it is interrupted, they stay in the queue, and the next call waits for them instead of
    submitting their trials again.

    Args:
        trials: the trials.
        folder: the folder for submitit's files; all machines must have access to it.
        options: further options of sbatch, such as partition and account; not used without Slurm.
        cluster: "slurm" or "local"; by default Slurm if `srun` exists, else local.

    Raises:
        ValueError: submitit is not installed, or does not support an option; the time limit is too short; or Slurm refuses a job or
            does not answer.
    """
    try:
        import submitit
    except ImportError as error:
        raise ValueError("--backend submitit: submitit is not installed here (pip install --group submitit)") from error
    executor = submitit.AutoExecutor(
        folder, cluster=cluster, slurm_max_num_timeout=_REQUEUES, local_max_num_timeout=_REQUEUES
    )
    slurm_job: Any = submitit.SlurmJob
    slurm_job.watcher = States()
    queued = _queued(submitit, folder) if executor.cluster == "slurm" else {}
    waiting = [
        _Submitted(queued.get(trial.command) or _job(submitit, executor, trial, options), trial, 1) for trial in trials
    ]
    while waiting:
        for one in list(waiting):
            if not one.job.done():
                continue
            waiting.remove(one)
            result = _result(submitit, one)
            if result is not None:
                yield result
            else:
                again = _job(submitit, executor, one.trial, options)
                waiting.append(_Submitted(again, one.trial, one.starts + 1))
        time.sleep(_TICK)


def _job(submitit: Any, executor: Any, trial: Trial, options: Mapping[str, Any]) -> Any:
    """Submit the job of `trial`."""
    needs = trial.resources
    minutes = math.ceil(60 * needs.time_limit_hours)
    own = {"signal_delay_s": SAVING_SECONDS, "comment": trial.title, **options}
    least = own["signal_delay_s"] + _STARTING_SECONDS
    if executor.cluster == "slurm" and 60 * minutes < least:
        raise ValueError(
            f"time_limit_hours {needs.time_limit_hours:g}: at least {least / 3600:.2f}, because Slurm asks a job to save "
            f"{own['signal_delay_s']} seconds before its time limit"
        )
    own["additional_parameters"] = {"requeue": True, **own.get("additional_parameters", {})}
    # since Slurm 22.05, srun does not take --cpus-per-task from sbatch, and binds the trial to one core
    own["srun_args"] = [f"--cpus-per-task={needs.cpus}", *own.get("srun_args", ())]
    memory = {} if needs.memory_gb is None else {"mem_gb": needs.memory_gb}
    try:
        executor.update_parameters(
            name="dsd",
            timeout_min=minutes,
            gpus_per_node=math.ceil(needs.gpus),
            cpus_per_task=needs.cpus,
            **memory,
            **{f"slurm_{name}": value for name, value in own.items()},
        )
    except (NameError, AssertionError) as error:
        raise ValueError(f"[slurm]: {str(error).splitlines()[0]}") from error
    try:
        return executor.submit(Job(trial))
    except submitit.core.utils.FailedJobError as error:
        raise ValueError(f"{trial.title}: {'; '.join(str(error).strip().splitlines())}") from error


def _queued(submitit: Any, folder: Path) -> dict[tuple[str, ...], Any]:
    """Return the jobs of earlier calls that are in Slurm's queue, by the command of their trial."""
    states = States.ask()
    if states is None:
        raise ValueError("squeue does not answer, so it is unknown which trials have a job; try again later")
    jobs = [submitit.SlurmJob(folder, number) for number, state in states.items() if state not in _ENDED]
    return {job.submission().function.trial.command: job for job in jobs if job.paths.submitted_pickle.exists()}


def _result(submitit: Any, one: _Submitted) -> Result | None:
    """Return the result of a job that has ended; None if it was lost and its trial may be started again."""
    job, name = one.job, f"job {one.job.job_id}"
    if job.state == "CANCELLED" and not job.paths.result_pickle.exists():  # submitit would wait 15 seconds for a result
        status = 128 + signal.SIGTERM
        return Result(one.trial, status, one.starts, "", 0.0, f"{name} was cancelled; the same command resumes it")
    try:
        result: Result = job.result()
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError):
        if one.starts <= one.trial.resources.retries:
            return None
        return Result(one.trial, -9, one.starts, "", 0.0, f"{name} was lost ({job.state}), see {job.paths.stderr}")
    return replace(result, starts=result.starts + one.starts - 1)
