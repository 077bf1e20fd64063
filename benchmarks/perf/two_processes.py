"""The backward pass in two processes: DistributedDataParallel compared with one all-reduce of all gradients after it.

`torchrun --standalone --nproc-per-node 2 -m benchmarks.perf.two_processes ROW` prints the median seconds of a row's forward and
backward pass at `small` scale as JSON, by name of the method.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

from benchmarks.perf import workloads
from benchmarks.perf.interleave import medians
from benchmarks.perf.peers.gradients import average
from tasks import distributed

OURS, PEER, ALONE = "dsd", "one all-reduce", "without averaging"
_PASSES = 5
"""Passes per measurement. Processes wait for each other after these."""
_ROUNDS = 9
_TOLERANCE = 1e-4
"""The largest difference allowed between the gradients of the two methods, relative to the largest gradient of the tensor."""


def measure(row: str, root: Path) -> dict[str, float]:
    """Return the median seconds of a pass by name of the method.

    Raises:
        RuntimeError: the two methods give different gradients.
    """
    task = workloads.task(row, root)
    batch = workloads.batch(task)
    own, plain = task.model(), task.model()

    def backward(network: nn.Module) -> None:
        task.loss(network, batch)[0].backward()  # type: ignore[no-untyped-call]

    parallel = distributed.data_parallel(own, backward)

    def once(method: str) -> None:
        model = own if method == OURS else plain
        model.zero_grad(set_to_none=True)
        backward(parallel if method == OURS else plain)
        if method == PEER:
            average(plain)

    for method in (OURS, PEER):
        torch.manual_seed(0)  # equal dropout
        once(method)
    for (name, ours), theirs in zip(own.named_parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        if (ours.grad - theirs.grad).abs().max() > _TOLERANCE * theirs.grad.abs().max():
            raise RuntimeError(f"{name}: the gradients of the two methods differ")

    def several(method: str) -> None:
        for _ in range(_PASSES):
            once(method)
        distributed.barrier()

    methods = (OURS, PEER, ALONE)
    seconds = medians({method: lambda method=method: several(method) for method in methods}, _ROUNDS)  # type: ignore[misc]
    return {method: taken / _PASSES for method, taken in seconds.items()}


def main(row: str) -> None:
    """Print the medians of the first process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, distributed.joined(torch.device("cpu")):
        seconds = measure(row, Path(folder))
        if distributed.is_rank_zero():
            print(json.dumps(seconds))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
