"""ResNet-18 and ResNet-50 at 224 pixels in bfloat16: our step as in a trial, compared with timm's training benchmark."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import tyro

from benchmarks.perf import workloads
from benchmarks.perf.gpu.measure import note, operations, peak, steps
from benchmarks.perf.interleave import medians
from benchmarks.perf.peers import timm
from benchmarks.rows import ROWS
from benchmarks.training import determinism
from benchmarks.training.learner import Learner
from tasks.imagenet import task as imagenet
from tasks.mixed_precision import train_in_bfloat16

CLASSES = 1000


def main(device: str, out: Path, rehearse: bool = False) -> int:
    """Measure both networks. `rehearse` uses tiny batches of tiny pictures, and only ResNet-18."""
    on = torch.device(device)
    batch, side, count = (4, 64, 1) if rehearse else (256, 224, 10)
    best = peak(on, torch.bfloat16, 256 if rehearse else 8192)
    note(out, "ratios", network="matrix product", flops_per_second=best)
    for name in ("resnet18",) if rehearse else ("resnet18", "resnet50"):
        with tempfile.TemporaryDirectory() as folder:
            _compare(name, Path(folder), on, out, batch, side, count, best)
    return 0


def _compare(
    name: str, folder: Path, device: torch.device, out: Path, batch: int, side: int, count: int, best: float
) -> None:
    held = workloads.pictures(folder / "set", side, train=1)  # one per class; timed steps use random pictures
    source = imagenet.Source(workloads.REPORT, CLASSES, held.test, held.test)
    paper = ROWS[f"imagenet_{name}"].recipe("paper")
    recipe = dataclasses.replace(paper, batch_size=len(held.test))  # so that the files give one batch per epoch
    x = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    pair = (x, torch.randint(CLASSES, (batch,), device=device))

    def ours(masked: bool) -> Learner:
        task = imagenet.build(recipe, source, 0, device, 0)
        train_in_bfloat16(task, device)
        return workloads.learner(task, masked)

    dense, sparse = ours(masked=False), ours(masked=True)
    model, package = timm.network(name)
    step = timm.trainer(model, device, batch, side)

    def deterministic(learner: Learner) -> Callable[[], None]:
        def run() -> None:
            with determinism.demanded(device):
                steps(learner, pair, count)

        return run

    def theirs() -> None:
        with timm.fastest_kernels():
            for _ in range(count):
                step()

    def free() -> None:
        with timm.fastest_kernels():
            steps(dense, pair, count)

    candidates: dict[str, Callable[[], object]] = {
        "dsd, dense": deterministic(dense),
        "dsd, sparse": deterministic(sparse),
        "dsd, dense, fastest kernels": free,
        "timm's loop": theirs,
    }
    seconds = medians(candidates, rounds=5)
    work = operations(step)
    for what, taken in seconds.items():
        note(
            out,
            "ratios",
            network=name,
            what=what,
            samples_per_second=batch * count / taken,
            time_over_timm=taken / seconds["timm's loop"],
            share_of_matrix_product=work * count / taken / best,
            peer_network=package,
        )
    sparse.finish()


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
