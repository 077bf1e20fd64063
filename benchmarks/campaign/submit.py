"""`submit(trials) -> results`: the one function behind which all engines stand."""

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
    """Run trials, each in a process of its own, and yield their results as they end.

    Args:
        trials: the trials, the most wanted first. "local" takes one from it when it may start; "ray" and "submitit" take all.
        backend: "local" runs on this machine; "ray" on a Ray cluster; "submitit" as Slurm jobs, or as jobs of this machine
            where there is no Slurm.
        jobs: local: how many trials run at a time.
        gpus: local: the GPUs to spread them over, as in CUDA_VISIBLE_DEVICES.
        folder: submitit: where its files go; all machines must see it.
        slurm: submitit: further options of sbatch, such as partition and account.

    Raises:
        ValueError: the backend is not installed, or does not know an option.
    """
    if backend == "local":
        from benchmarks.campaign import local

        return local.submit(trials, jobs, gpus)
    if backend == "ray":
        from benchmarks.campaign import ray_engine

        return ray_engine.submit(trials)
    from benchmarks.campaign import slurm_engine

    return slurm_engine.submit(trials, folder, slurm or {})
