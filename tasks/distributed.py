"""The processes of one run, as `torchrun` starts them: how they divide the work, and what all must agree on.

Without `torchrun` there is one process, and these functions change nothing. With several, every process holds the whole network
and takes its part of each batch. Gradients are averaged before the step, so all processes take the same step. No result depends on
which process is fast.

Process r of n takes the examples r, r + n, r + 2n and so on of a batch. The parts must have equal sizes: only then is the mean of
their means the mean of the batch.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others. The first process alone verifies a data set, which may hold a million pictures.

A process that dies still ends the run at once: its connections close, and `torchrun` ends the other processes.
"""

TOLD = "raised in the first process, which reports it"
"""A note on exceptions that came from the first process."""

_Sliceable = TypeVar("_Sliceable", bound=Any)
_Result = TypeVar("_Result")


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Context in which the processes of `torchrun` can exchange data; without `torchrun` it does nothing.

    On GPUs, process k of a machine takes GPU k, and the processes use NCCL. On CPUs they use gloo.

    Raises:
        ValueError: a machine has fewer GPUs than processes.
        ConnectionError: within the context, another process ended or did not answer for `PATIENCE`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    gpu = device.type == "cuda"
    if gpu:
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise ValueError(
                f"process {local} of this machine finds {torch.cuda.device_count()} GPUs: start one process per GPU"
            )
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
    store, number, count = next(rendezvous("env://", timeout=PATIENCE))
    if int(os.environ.get("LOCAL_WORLD_SIZE", "1")) == count:
        # torchrun restarts processes with the old store, which still holds the addresses of the ended ones
        # (github.com/pytorch/pytorch/issues/135712). On one machine all processes count the same restarts.
        store = PrefixStore(f"life {_lives()}", store)
    dist.init_process_group(backend, store=store, rank=number, world_size=count, timeout=PATIENCE)
    # The group must outlive every network. If a network is its last owner, the end of the network joins the group's thread and
    # holds Python's lock, for which that thread may be waiting (seen with gloo in torch 2.11). The end of the group itself
    # releases the lock. It must come before Python's own end: a thread that asks for the lock after that aborts the process.
    atexit.register(_release, [dist.group.WORLD])
    try:
        yield
    except RuntimeError as error:
        # From a backward pass, gloo's error is a plain RuntimeError that begins with a file and line of gloo's source.
        if not isinstance(error, dist.DistError) and "gloo/" not in str(error):
            raise
        said = re.sub(r"^\[\S+\] ", "", str(error).splitlines()[0])
        raise ConnectionError(f"another process of the run has ended or hangs ({said})") from None
    dist.destroy_process_group()  # not after an error: other processes may wait for this one, and it would wait for them


def _release(groups: list[Any]) -> None:
    gc.collect()  # networks in reference cycles
    groups.clear()


def _lives() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def world_size() -> int:
    """Return how many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_rank_zero() -> bool:
    """Whether this is the process that prints and writes."""
    return rank() == 0


def local_world_size() -> int:
    """Return how many of the processes share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world_size() > 1 else 1


def shard(things: _Sliceable) -> _Sliceable:
    """Return this process's part of a list or an array, such as the examples of a batch or the batches of a test set."""
    return cast("_Sliceable", things[rank() :: world_size()])


def barrier() -> None:
    """Wait for all other processes."""
    if world_size() > 1:
        dist.barrier()


def on_rank_zero(make: Callable[[], _Result]) -> _Result:
    """Return what the first process makes; the others wait for it.

    Raises:
        Exception: whatever `make` raises, in every process.
    """
    if world_size() == 1:
        return make()
    made: list[Any] = [None, None]
    if is_rank_zero():
        try:
            made[0] = make()
        except Exception as error:
            made[1] = error
    dist.broadcast_object_list(made)
    if made[1] is not None:
        if not is_rank_zero():
            made[1].add_note(TOLD)
        raise made[1]
    return cast("_Result", made[0])


def rank_zero_first(make: Callable[[], _Result]) -> _Result:
    """Return what this process makes, after the first process has made it, so that a cache is filled only once.

    Raises:
        Exception: whatever `make` raises, in every process.
    """
    if world_size() == 1:
        return make()
    made: list[_Result] = []
    on_rank_zero(lambda: made.append(make()))
    return made[0] if made else make()


def gather(mine: Sequence[_Result]) -> list[_Result]:
    """Return the results of all processes in the order of the things that `shard` divided; `mine` are those of this process.

    Evaluation divides whole batches. A batch is the same for any number of processes, so its results are too.
    """
    if world_size() == 1:
        return list(mine)
    found: list[list[_Result]] = [[] for _ in range(world_size())]
    dist.all_gather_object(found, list(mine))
    total = sum(map(len, found))
    return [found[number % world_size()][number // world_size()] for number in range(total)]


def mean_over_ranks(values: Sequence[float]) -> list[float]:
    """Return the mean over processes of each of `values`. If one is NaN in one process, its mean is NaN in all.

    Each sum is taken in the order of the processes, so a mean does not depend on its position in `values`.
    """
    if world_size() == 1:
        return list(values)
    mine = torch.tensor(values, dtype=torch.float64)
    found = [torch.empty_like(mine) for _ in range(world_size())]
    dist.all_gather(found, mine)
    return [sum(row) / world_size() for row in zip(*(one.tolist() for one in found), strict=True)]


def max_over_ranks(value: int) -> int:
    """Return the highest `value` of all processes."""
    if world_size() == 1:
        return value
    together = torch.tensor(value)
    dist.all_reduce(together, dist.ReduceOp.MAX)
    return int(together)


def data_parallel(model: nn.Module, backward: Callable[[nn.Module], None]) -> nn.Module:
    """Return a network of the same weights whose gradients are averaged over processes during the backward pass.

    With three or more processes, the order of a sum depends on the position of the number in its bucket. DDP rearranges its buckets
    after its first backward pass, but a resumed run must give the same sums. So this function does two passes first; they change
    nothing except the buckets.

    Args:
        model: the network, in training mode. Every parameter must take part in the loss. Other hooks on its gradients run
            before they are averaged.
        backward: takes the loss of the given network and calls its `backward`. It may not change the network otherwise.
    """
    if world_size() == 1:
        return model
    # Running averages are those of each process until `broadcast_buffers`.
    parallel = DistributedDataParallel(model, broadcast_buffers=False, init_sync=False, gradient_as_bucket_view=True)
    before = [buffer.clone() for buffer in model.buffers()]
    for _ in range(2):
        backward(parallel)
    with torch.no_grad():
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)
    model.zero_grad(set_to_none=True)
    return parallel


def broadcast_buffers(model: nn.Module) -> None:
    """Give every process the running averages of the first one. Before, each process has those of its own part of the batches."""
    if world_size() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)


def require_same_weights(model: nn.Module) -> None:
    """Check that all processes hold the same network.

    Raises:
        RuntimeError: they hold different weights.
    """
    if world_size() == 1:
        return
    sums = [(p.detach().double().sum(), p.detach().double().square().sum()) for p in model.parameters()]
    mine = torch.tensor(sums, dtype=torch.float64)
    theirs = mine.clone()
    dist.broadcast(theirs, 0)
    same = torch.allclose(mine, theirs, rtol=0, atol=0, equal_nan=True)  # NaN is reported elsewhere
    if max_over_ranks(int(not same)):
        raise RuntimeError(f"{world_size()} processes that train one network hold different weights")
