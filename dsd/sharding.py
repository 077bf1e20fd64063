"""Sharded tensors (FSDP2's `DTensor`): local shards, gathered values, and masks with the same sharding."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor


def sharded(tensor: Tensor) -> bool:
    """Return whether `tensor` is a DTensor. If the module of DTensor is not loaded, no tensor is one, so it is not imported."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def local(tensor: Tensor) -> Tensor:
    """Return this process's shard, without a copy. Return a plain tensor unchanged."""
    if not sharded(tensor):
        return tensor
    shards: Any = tensor
    with torch.no_grad():
        shard: Tensor = shards.to_local()
    return shard


def whole(tensor: Tensor) -> Tensor:
    """Return the gathered values of all shards; every process must call this. Return a plain tensor unchanged."""
    if not sharded(tensor):
        return tensor
    if tensor.dtype != torch.bool:
        shards: Any = tensor
        gathered: Tensor = shards.full_tensor()
        return gathered
    # Some backends cannot gather bool.
    return whole(_of_shards(local(tensor).view(torch.uint8), tensor, tensor)).view(torch.bool)


def shard_like(weight: Tensor, values: Tensor) -> Tensor:
    """Return `values` (whole shape, equal in all processes) with the sharding and memory layout of `weight`."""
    from torch.distributed.tensor import DTensor, Replicate

    mesh, placements = weight.device_mesh, weight.placements  # type: ignore[attr-defined]
    replicated = DTensor.from_local(values, mesh, [Replicate()] * mesh.ndim, run_check=False)
    part = local(replicated.redistribute(placements=placements))
    shard = torch.empty_like(local(weight), dtype=values.dtype, requires_grad=False).copy_(part)
    return _of_shards(shard, weight, values)


def total(part: Tensor, like: Tensor) -> Tensor:
    """Return the sum of `part` over the shards of `like`. If `like` is a plain tensor, return `part`."""
    if not sharded(like):
        return part
    from torch.distributed.tensor import DTensor, Partial, Replicate

    mesh, placements = like.device_mesh, like.placements  # type: ignore[attr-defined]
    how = [Replicate() if placement.is_replicate() else Partial() for placement in placements]
    return whole(DTensor.from_local(part.to(local(like).device), mesh, how, run_check=False))


def _of_shards(shard: Tensor, placed: Tensor, whole_values: Tensor) -> Tensor:
    from torch.distributed.tensor import DTensor

    where: Any = placed
    made: Tensor = DTensor.from_local(
        shard,
        where.device_mesh,
        where.placements,
        run_check=False,
        shape=whole_values.shape,
        stride=whole_values.stride(),
    )
    return made
