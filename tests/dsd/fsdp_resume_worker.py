"""One of two processes of test_fsdp.py: `fsdp_resume_worker.py RANK FOLDER` saves, resumes and writes FOLDER/RANK.pt."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn, optim
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

import dsd
from tests.dsd.fsdp_worker import batch, network, shard, train

MAKE: dict[str, Callable[..., optim.Optimizer]] = {
    "SGD": partial(optim.SGD, lr=0.1, momentum=0.9, weight_decay=1e-2),
    "AdamW": partial(optim.AdamW, lr=0.01),
    "RMSprop": partial(optim.RMSprop, lr=0.001, momentum=0.9),
}
BEGIN, END, STEPS = 2, 5, 8


def save_whole(folder: Path, rank: int, model: nn.Module, optimizer: optim.Optimizer, phases: dsd.Phases) -> None:
    parts = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
    dcp.save(parts, checkpoint_id=folder)
    masks = phases.state_dict()  # in every process
    if rank == 0:
        torch.save(masks, folder / "phases.pt")
    dist.barrier()


def load_whole(folder: Path, rank: int, model: nn.Module, optimizer: optim.Optimizer, phases: dsd.Phases) -> None:
    parts = dict(zip(("model", "optimizer"), get_state_dict(model, optimizer), strict=True))
    dcp.load(parts, checkpoint_id=folder)
    set_state_dict(model, optimizer, model_state_dict=parts["model"], optim_state_dict=parts["optimizer"])
    phases.load_state_dict(torch.load(folder / "phases.pt"))


def save_shards(folder: Path, rank: int, *parts: nn.Module | optim.Optimizer | dsd.Phases) -> None:
    """Save each process's own shards, as the loop of dsd/README.md does with a file for each process."""
    torch.save([part.state_dict() for part in parts], folder / f"{rank}.pt")


def load_shards(folder: Path, rank: int, *parts: nn.Module | optim.Optimizer | dsd.Phases) -> None:
    for part, state in zip(parts, torch.load(folder / f"{rank}.pt"), strict=True):
        part.load_state_dict(state)


HOW = {"distributed checkpoint": (save_whole, load_whole), "a file for each process": (save_shards, load_shards)}


def run(rank: int, make: str, how: str, folder: Path, first: int = 0, saved: bool = True) -> list[Tensor]:
    """Train from step `first`, saving after every step; return all weights and the optimizer's state."""
    save, load = HOW[how]
    model = shard(network((12, 16, 8)))
    optimizer, phases = MAKE[make](model.parameters()), dsd.Phases(0.5, BEGIN, END)
    if first:
        load(folder / str(first), rank, model, optimizer, phases)
    for step in range(first, STEPS):
        phases.at(step, model, optimizer)
        train(model, optimizer, batch(step)[3 * rank : 3 * rank + 3])
        if saved and not first:
            (folder / str(step + 1)).mkdir(parents=True, exist_ok=True)
            save(folder / str(step + 1), rank, model, optimizer, phases)
    states = [value for state in optimizer.state.values() for value in state.values()]
    tensors = [tensor for tensor in (*model.state_dict().values(), *states) if isinstance(tensor, Tensor)]
    return [getattr(tensor, "full_tensor", tensor.clone)().clone() for tensor in tensors]


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    result = {}
    for make in MAKE:
        plain = run(rank, make, "a file for each process", folder, saved=False)
        for how in HOW:
            place = folder / make / how
            ends = [run(rank, make, how, place), *(run(rank, make, how, place, first) for first in range(1, STEPS))]
            result[f"{make}, {how}"] = {"plain": plain, "ends": ends}
    torch.save(result, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
