"""Trials as Ray tasks: placed on any machine of a Ray cluster, with fractional GPUs, and retried if a worker is killed.

Every machine needs this checkout and its environment at the same path, and the same data and output folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks import ROOT
from benchmarks.campaign.trial import PATIENCE, Result, Trial, run

_STOPPING = 300.0
"""Seconds that trials get to save their state when the driver is interrupted."""


def submit(trials: Iterable[Trial]) -> Iterator[Result]:
    """Submit all trials as Ray tasks, in this order, and yield results as they end.

    Connects to the cluster at RAY_ADDRESS or to one that runs on this machine, else starts one. On KeyboardInterrupt, the trials
    save and stop.

    Raises:
        ValueError: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("--backend ray: Ray is not installed here (pip install --group ray)") from error
    ours = not ray.is_initialized()
    if ours:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        environment = {
            "env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        }
        ray.init(include_dashboard=False, log_to_driver=False, runtime_env=environment)
    waiting: dict[Any, Trial] = {}
    try:
        for trial in trials:
            waiting[_task(ray, trial).remote(trial, PATIENCE)] = trial
        while waiting:
            (ended,), _ = ray.wait(list(waiting), num_returns=1)
            yield _result(ray, ended, waiting.pop(ended))
    finally:
        for task in waiting:
            ray.cancel(task)  # raises KeyboardInterrupt in the worker, which then stops the trial
        if waiting:
            ray.wait(list(waiting), num_returns=len(waiting), timeout=_STOPPING)
        if ours:
            ray.shutdown()


def _task(ray: Any, trial: Trial) -> Any:
    """Return the Ray task that runs `trial`. If its worker is killed, Ray starts the task again, at most `retries` times."""
    needs = trial.resources
    memory = {} if needs.memory_gb is None else {"memory": int(needs.memory_gb * 1e9)}
    return ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=needs.retries, **memory)(run)


def _result(ray: Any, task: Any, trial: Trial) -> Result:
    """Return the result of a task that has ended. If the task was lost, it counts as killed."""
    try:
        result: Result = ray.get(task)
    except ray.exceptions.RayError:
        return Result(trial, -9, 1 + trial.resources.retries, "", 0.0)
    return result
