"""Trials as Slurm jobs through submitit: saved before the time limit, requeued, resumed. Without Slurm, they run locally."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.campaign.trial import PATIENCE, Result, Running, Trial, run

SAVING_SECONDS = 300
"""Seconds before the time limit at which Slurm asks a job to save: enough for a step, an evaluation and a checkpoint."""

_REQUEUES = 1000  # more than a trial needs
_TICK = 1.0  # seconds between polls of the jobs


class Job:
    """The function that a Slurm job runs. Near the time limit, submitit calls `checkpoint` and requeues the job that it returns."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._running: Running | None = None

    def __call__(self) -> Result:
        """Run the trial to its end."""
        return run(self.trial, PATIENCE, self._started)

    def checkpoint(self) -> Any:
        """Ask the trial to save and stop, wait for that, and return the job that resumes it."""
        from submitit.helpers import DelayedSubmission

        if self._running is not None:
            self._running.stop()
        return DelayedSubmission(Job(self.trial))

    def _started(self, running: Running) -> None:
        self._running = running


def submit(
    trials: Iterable[Trial], folder: Path, options: Mapping[str, Any], cluster: str | None = None
) -> Iterator[Result]:
    """Submit all trials as jobs, in this order, and yield results as they end.

    The jobs outlive this process. If it is interrupted, they stay in the queue.

    Args:
        trials: the trials.
        folder: the folder for submitit's files; all machines must have access to it.
        options: further options of sbatch, such as partition and account; not used without Slurm.
        cluster: "slurm" or "local"; by default Slurm if `srun` exists, else local.

    Raises:
        ValueError: submitit is not installed, or does not support an option.
    """
    try:
        import submitit
    except ImportError as error:
        raise ValueError("--backend submitit: submitit is not installed here (pip install --group submitit)") from error
    executor = submitit.AutoExecutor(
        folder, cluster=cluster, slurm_max_num_timeout=_REQUEUES, local_max_num_timeout=_REQUEUES
    )
    waiting = [(_job(executor, trial, options), trial, 1) for trial in trials]
    while waiting:
        for entry in list(waiting):
            job, trial, starts = entry
            if not job.done():
                continue
            waiting.remove(entry)
            result = _result(submitit, job)
            if result is not None:
                yield replace(result, starts=result.starts + starts - 1)
            elif starts <= trial.resources.retries:
                waiting.append((_job(executor, trial, options), trial, starts + 1))
            else:
                yield Result(trial, -9, starts, "", 0.0)
        time.sleep(_TICK)


def _job(executor: Any, trial: Trial, options: Mapping[str, Any]) -> Any:
    """Submit the job of `trial`."""
    needs = trial.resources
    memory = {} if needs.memory_gb is None else {"mem_gb": needs.memory_gb}
    executor.update_parameters(
        name="dsd",
        timeout_min=math.ceil(60 * needs.time_limit_hours),
        gpus_per_node=math.ceil(needs.gpus),
        cpus_per_task=needs.cpus,
        slurm_signal_delay_s=SAVING_SECONDS,
        slurm_additional_parameters={"requeue": True, "comment": trial.title},
        **memory,
        **{f"slurm_{name}": value for name, value in options.items()},
    )
    return executor.submit(Job(trial))


def _result(submitit: Any, job: Any) -> Result | None:
    """Return the result of a job that has ended; None if the job was lost."""
    try:
        result: Result = job.result()
    except (submitit.core.utils.FailedJobError, submitit.core.utils.UncompletedJobError):
        return None
    return result
