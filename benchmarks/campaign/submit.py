"""`submit(trials) -> results`: the common interface of all engines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from benchmarks.campaign.trial import Result, Trial

Backend = Literal["local", "ray", "submitit"]


def submit(
    trials: Iterable[Trial],
    backend: Backend = "local",
    *,
    jobs: int = 1,
    gpus: Sequence[str] = (),
    folder: Path = Path("runs/jobs"),
    slurm: Mapping[str, Any] | None = None,
) -> Iterator[Result]:
    """Run trials, each in its own process, and yield their results as they end.

    Args:
        trials: the trials, the most important first. "local" takes each trial when it can start; "ray" and "submitit" take all at
            once.
        backend: "local" runs on this machine, "ray" on a Ray cluster, and "submitit" as Slurm jobs, or as local jobs if there is
            no Slurm.
        jobs: local: the number of trials that run at a time.
        gpus: local: the GPUs to spread the trials over, as in CUDA_VISIBLE_DEVICES.
        folder: submitit: the folder for its files; all machines must have access to it.
        slurm: submitit: further options of sbatch, such as partition and account.

    Raises:
        ValueError: the backend is not installed, or does not support an option.
    """
    if backend == "local":
        from benchmarks.campaign import local

        return local.submit(trials, jobs, gpus)
    if backend == "ray":
        from benchmarks.campaign import ray_engine

        return ray_engine.submit(trials)
    from benchmarks.campaign import slurm_engine

    return slurm_engine.submit(trials, folder, slurm or {})
