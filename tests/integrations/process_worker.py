"""One of two processes of test_processes.py: `TRAINER=lightning process_worker.py RANK FOLDER` writes FOLDER/RANK.pt."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from tests.integrations import runs


def lightning(folder: Path) -> Callable[[int], list[Tensor]]:
    from lightning.pytorch.strategies import DDPStrategy

    from tests.integrations.test_lightning import Module, train

    def run(first: int) -> list[Tensor]:
        checkpoint = folder / f"step={first}.ckpt" if first else None
        return train(folder, Module, checkpoint, devices=2, strategy=DDPStrategy(process_group_backend="gloo"))

    return run


def transformers(folder: Path) -> Callable[[int], list[Tensor]]:
    from tests.integrations.test_transformers import train

    def run(first: int) -> list[Tensor]:
        checkpoint = folder / "from 0" / f"checkpoint-{first}" if first else None
        return train(folder, "adamw", checkpoint, ddp_backend="gloo")

    return run


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    # The variables that torchrun sets. The process group exists before the trainers start.
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    run = {"lightning": lightning, "transformers": transformers}[os.environ["TRAINER"]](folder)
    wanted = run(0)
    for first in (runs.BEGIN + 1, runs.END):
        dist.barrier()  # rank 0 writes the checkpoints
        assert runs.same(run(first), wanted), first
    torch.save(wanted, folder / f"{rank}.pt")
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
