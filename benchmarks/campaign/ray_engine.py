"""Trials as Ray tasks: placed on any machine of a Ray cluster, with fractional GPUs, and retried if a worker is killed.

Every machine needs this checkout and its environment at the same path, and the same data and output folders.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from benchmarks import ROOT
from benchmarks.campaign.local import handled
from benchmarks.campaign.trial import PATIENCE, Resources, Result, Trial, run

_STOPPING = 300.0
"""Seconds that trials get to save their state when this process is interrupted."""
_ANSWER = 10.0  # seconds that a cluster gets to answer; Ray itself tries for a quarter of an hour
_NO_NODE = "No node info found"  # in Ray's message if no node of the cluster runs on this machine
_TICK = 1.0  # seconds between looks for signals, and for nodes that are large enough


def submit(trials: Iterable[Trial]) -> Iterator[Result]:
    """Submit all trials as Ray tasks, in this order, and yield results as they end.

    Connects to the cluster at RAY_ADDRESS or to one that runs on this machine, else starts one. On SIGINT, SIGTERM and SIGHUP, the
    trials save and stop; a second SIGINT or SIGTERM ends the wait for that. If no node has what a trial needs, a warning is logged,
    and the trial waits for one.

    Raises:
        ValueError: Ray is not installed, or there is no connection to the cluster.
        KeyboardInterrupt: a second signal.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("--backend ray: Ray is not installed here (pip install --group ray)") from error
    ours = not ray.is_initialized()
    if ours:
        _connect(ray)
    waiting: dict[Any, Trial] = {}
    warned: set[Resources] = set()
    signals: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if signals and number != signal.SIGHUP:  # see benchmarks.training.interruption
            raise KeyboardInterrupt
        signals.append(number)

    try:
        with handled(stop):  # after `_connect`, because Ray sets a handler of its own
            for trial in trials:
                if signals:
                    break
                waiting[_task(ray, trial).remote(trial, PATIENCE)] = trial
            while waiting and not signals:
                _warn(ray, {trial.resources for trial in waiting.values()}, warned)
                ended, _ = ray.wait(list(waiting), num_returns=1, timeout=_TICK)
                for task in ended:
                    yield _result(ray, task, waiting.pop(task))
            for task, trial in _stopped(ray, waiting).items():
                yield _result(ray, task, trial, signals[0])
    finally:
        _stopped(ray, waiting)
        if ours:
            ray.shutdown()


def _stopped(ray: Any, waiting: dict[Any, Trial]) -> dict[Any, Trial]:
    """Make trials save and stop, take them from `waiting`, and return those that have stopped in time."""
    tasks = dict(waiting)
    waiting.clear()  # at first, because a second signal must not lead to a second wait
    for task in tasks:
        ray.cancel(task)  # raises KeyboardInterrupt in the worker, which then stops the trial
    stopped = ray.wait(list(tasks), num_returns=len(tasks), timeout=_STOPPING)[0] if tasks else []
    return {task: tasks[task] for task in stopped}


def _connect(ray: Any) -> None:
    """Connect to a cluster, or start one."""
    address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition(":")
    if port.isdigit() and "//" not in host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
        except OSError as error:
            raise ValueError(f"--backend ray: no Ray cluster answers at RAY_ADDRESS {address} ({error})") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        # when this process dies, a worker would kill its trial; without it, the trial saves and stops
        "RAY_kill_child_processes_on_worker_exit": "false",
    }
    try:
        ray.init(include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": environment})
    except (ray.exceptions.RayError, ImportError, OSError, RuntimeError) as error:
        causes = [error, *([error.__cause__] if error.__cause__ else [])]  # a cause may end with a traceback
        told = ": ".join(str(one).strip().splitlines()[-1] for one in causes)
        here = "; this machine must be a node of the cluster (`ray start --address`)" if _NO_NODE in told else ""
        raise ValueError(f"--backend ray: {told}{here}") from error


def _needs(needs: Resources) -> dict[str, float]:
    """Return what a trial needs, by the names that Ray gives to the resources of a node."""
    memory = {} if needs.memory_gb is None else {"memory": int(needs.memory_gb * 1e9)}
    return {"CPU": needs.cpus, "GPU": needs.gpus, **memory}


def _warn(ray: Any, wanted: set[Resources], warned: set[Resources]) -> None:
    """Log once for all trials that need the same if no node of the cluster has that. Ray would wait in silence."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    for needs in wanted - warned:
        names = _needs(needs)
        if any(all(node.get(name, 0) >= amount for name, amount in names.items()) for node in nodes):
            continue
        warned.add(needs)
        have = "; ".join(", ".join(f"{name} {node.get(name, 0):g}" for name in names) for node in nodes)
        logging.getLogger(__name__).warning(
            "no node of the Ray cluster has %s, which a trial needs (nodes: %s); it waits for one",
            ", ".join(f"{name} {amount:g}" for name, amount in names.items() if amount),
            have,
        )


def _task(ray: Any, trial: Trial) -> Any:
    """Return the Ray task that runs `trial`. If its worker is killed, Ray starts the task again, at most `retries` times."""
    needs = _needs(trial.resources)
    memory = {"memory": needs["memory"]} if "memory" in needs else {}
    return ray.remote(num_cpus=needs["CPU"], num_gpus=needs["GPU"], max_retries=trial.resources.retries, **memory)(run)


def _result(ray: Any, task: Any, trial: Trial, number: int = 0) -> Result:
    """Return the result of a task that has ended.

    If it was cancelled because of the signal `number`, the trial counts as stopped by that signal. If it was lost, it counts as
    killed, with Ray's reason.
    """
    lost = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError)
    try:
        result: Result = ray.get(task)
    except ray.exceptions.RayError as error:
        if number and isinstance(error, ray.exceptions.TaskCancelledError):
            return Result(trial, 128 + number, 1, "", 0.0, f"stopped by signal {number}; the same command resumes it")
        lines = str(error).strip().splitlines()
        line = lines[-1 if isinstance(error, ray.exceptions.RayTaskError) else 0]  # the former ends with a traceback
        starts = 1 + trial.resources.retries if isinstance(error, lost) else 1
        return Result(trial, -9, starts, "", 0.0, f"lost by Ray: {line}")
    return result
