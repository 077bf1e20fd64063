"""One of two processes of test_ddp.py: `ddp_worker.py RANK FOLDER` writes FOLDER/RANK.pt."""

import copy
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import dsd

BUCKETS = {"plain": {}, "bucket_view": {"gradient_as_bucket_view": True}, "static": {"static_graph": True}}


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 8))


def train(rank: int, **options: bool) -> dict[str, object]:
    torch.manual_seed(0)
    plain = network()
    model = DistributedDataParallel(plain, **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = torch.Generator().manual_seed(100 + rank)
    norms, expected = [], []
    with dsd.sparse(model, optimizer, 0.5) as masks:
        for _ in range(4):
            x = torch.randn(5, 12, generator=data)
            local = copy.deepcopy(plain)
            local.zero_grad()
            local(x).square().sum().backward()
            squares = torch.zeros(())
            for name, parameter in local.named_parameters():
                dist.all_reduce(parameter.grad)
                squares += (parameter.grad / 2 * masks.get(name, torch.ones(()))).square().sum()
            expected.append(float(squares.sqrt()))
            optimizer.zero_grad()
            model(x).square().sum().backward()
            norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
            optimizer.step()
        sparse = {name: p.detach().clone() for name, p in plain.named_parameters()}
        result = {"masks": dict(masks), "sparse": sparse, "norms": norms, "expected": expected}
    model(torch.randn(5, 12, generator=data)).square().sum().backward()
    optimizer.step()
    result["dense"] = {name: p.detach().clone() for name, p in plain.named_parameters()}
    return result


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.manual_seed(rank)  # models that differ from rank to rank
    other = network()
    alone = {name: dsd.magnitude_mask(p, 0.5) for name, p in other.named_parameters() if p.ndim == 2}
    drawn = {scope: dsd.select(other, 0.5, scope=scope) for scope in ("layer", "global")}
    drawn["random"] = dsd.select(other, 0.5, select="random")
    result = {name: train(rank, **options) for name, options in BUCKETS.items()}
    torch.save({"alone": alone, "drawn": drawn, "train": result}, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
