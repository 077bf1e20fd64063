"""One of two processes of test_fsdp.py: `fsdp_worker.py RANK FOLDER` writes FOLDER/RANK.pt."""

import copy
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import dsd

SIZES = {"even": (12, 16, 8), "uneven": (12, 17, 5), "empty shard": (12, 16, 1)}
RUNS = [
    (torch.optim.SGD, "fresh", "layer"),
    (torch.optim.Adam, "keep", "global"),
    (torch.optim.RMSprop, "fresh", "layer"),
]
STEPS = 4


def network(sizes: tuple[int, ...]) -> nn.Sequential:
    torch.manual_seed(0)
    first, hidden, last = sizes
    return nn.Sequential(nn.Linear(first, hidden), nn.Tanh(), nn.Linear(hidden, last))


def full(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: t.detach().full_tensor() if hasattr(t, "full_tensor") else t.detach().clone()
        for name, t in tensors.items()
    }


def batch(i: int) -> Tensor:
    return torch.randn(6, 12, generator=torch.Generator().manual_seed(i))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> float:
    optimizer.zero_grad()
    model(x).square().mean().backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
    optimizer.step()
    return float(norm)


def shard(model: nn.Module) -> nn.Module:
    mesh = init_device_mesh("cpu", (2,))
    for layer in model:  # type: ignore[attr-defined]
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def phases(rank: int, sizes: tuple[int, ...], sharded: bool, make: type, state: str, scope: str) -> dict[str, object]:
    """Return the results of D, S and D2 on a whole model or a sharded one. With shards, each rank trains on half of every batch."""
    model = shard(network(sizes)) if sharded else network(sizes)
    optimizer = make(model.parameters(), lr=0.01)
    one = dsd.Phases(0.5, 2, 2 + STEPS, state=state, scope=scope)  # type: ignore[arg-type]
    again: dsd.Phases | None = None
    norms, zeros = [], []
    result: dict[str, object] = {}
    for i in range(STEPS + 4):
        masks = one.at(i, model, optimizer)
        x = batch(i)
        norms.append(train(model, optimizer, x[3 * rank : 3 * rank + 3] if sharded else x))
        if masks is not None:
            now = full(dict(model.named_parameters()))
            whole = full(dict(masks))
            zeros.append(all(bool((now[n][~kept] == 0).all()) for n, kept in whole.items()))
        if i == 3 and masks is not None:  # inside S
            result |= {"masks": whole, "packed": dsd.pack(masks), "kept": _kept(model, masks)}
            saved = copy.deepcopy(one.state_dict())
            one.close()
            again = dsd.Phases(0.5, 2, 2 + STEPS, state=state, scope=scope)  # type: ignore[arg-type]
            again.load_state_dict(saved)
            one = again
    moved = dsd.select(model, 0.5)
    with dsd.hold(model, optimizer, moved) as held:
        before = full(dict(held))
        held.move({"2.weight": dsd.select(model, 0.9)["2.weight"]})
        norms.append(train(model, optimizer, x[3 * rank : 3 * rank + 3] if sharded else x))
        result |= {"before": before, "after": full(dict(held))}
    result |= {"norms": norms, "zeros": zeros, "weights": full(dict(model.named_parameters()))}
    other = shard(network(sizes)) if sharded else network(sizes)
    dsd.apply(held, other)
    result["applied"] = full(dict(other.named_parameters()))
    result["random"] = full(dsd.select(model, 0.5, select="random", generator=torch.Generator().manual_seed(5)))
    return result


def _kept(model: nn.Module, masks: object) -> list[tuple[int, int, int]]:
    return [(row.weights, row.kept, row.zeros) for row in dsd.mask_report(model, masks)]  # type: ignore[arg-type]


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    result = {}
    for name, sizes in SIZES.items():
        for make, state, scope in RUNS:
            runs = [phases(rank, sizes, sharded, make, state, scope) for sharded in (True, False)]
            result[f"{name}, {make.__name__}"] = runs
    torch.save(result, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
