"""One of two processes of test_plain_torch.py: `plain_worker.py RANK FOLDER` writes FOLDER/RANK.pt.

DistributedDataParallel, torch.compile, GradScaler with autocast and a running average, all at once.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import dsd
from tests.integrations import runs


class Run:
    def __init__(self, rank: int) -> None:
        self.rank, self.plain, self.phases = rank, runs.network(), runs.phases()
        self.model: Any = torch.compile(DistributedDataParallel(self.plain), backend="aot_eager")
        self.optimizer = runs.sgd(self.model.parameters())
        self.scaler = torch.amp.GradScaler("cpu")
        self.ema = AveragedModel(self.plain, multi_avg_fn=get_ema_multi_avg_fn(0.9))

    def step(self, step: int) -> None:
        model, optimizer, ema, phases, scaler = self.model, self.optimizer, self.ema, self.phases, self.scaler
        phases.at(step, model, optimizer)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = runs.loss_of(model(runs.BATCHES[2 * step + self.rank]))
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        assert nn.utils.clip_grad_norm_(model.parameters(), runs.CLIP) > runs.CLIP
        scaler.step(optimizer)
        scaler.update()
        ema.update_parameters(model)
        average = copy.deepcopy(ema)
        dsd.apply(phases.masks or {}, average)
        for name, kept in (phases.masks or {}).items():
            weight = average.module.get_parameter(name)
            assert not weight[~kept].any()
            assert weight[kept].all()

    def states(self) -> dict[str, Any]:
        parts = {"model": self.plain, "optimizer": self.optimizer, "phases": self.phases, "ema": self.ema}
        return {name: part.state_dict() for name, part in (parts | {"scaler": self.scaler}).items()}

    def load(self, states: dict[str, Any]) -> None:
        self.plain.load_state_dict(states["model"])
        self.optimizer.load_state_dict(states["optimizer"])
        self.phases.load_state_dict(states["phases"])
        self.ema.load_state_dict(states["ema"])
        self.scaler.load_state_dict(states["scaler"])


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    ends: list[dict[str, Any]] = []
    runs.resumes_at_every_step(lambda: Run(rank), ends.append)
    torch.save({"runs": len(ends), "model": ends[-1]["model"]}, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
