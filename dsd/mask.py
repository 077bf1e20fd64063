"""Masks with an exact count: select, apply, pack into bits, report.

A mask is a bool tensor of its weight's shape and strides, True where the weight is kept: one byte a weight.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from dsd.selection import all_names, prunable

Masks: TypeAlias = Mapping[str, Tensor]
Scope: TypeAlias = Literal["layer", "global"]
Selection: TypeAlias = Literal["magnitude", "random"]


def pruned_count(weights: int, sparsity: float) -> int:
    """Return how many of `weights` are pruned: `round(sparsity * weights)`, Python's rounding (half to even).

    Raises:
        ValueError: `sparsity` lies outside [0, 1].
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must lie in [0, 1], got {sparsity}")
    return round(sparsity * weights)


def magnitude_mask(weight: Tensor, sparsity: float, *, name: str = "weight") -> Tensor:
    """Return the mask that prunes exactly `pruned_count` weights, those of smallest magnitude.

    Of equal magnitudes the one of lowest index (in logical, row-major order) is pruned first, so the mask depends
    neither on the memory format nor on the device.

    Args:
        weight: floating point, any shape and size.
        sparsity: the share to prune, in [0, 1].
        name: what an error calls the weight.

    Returns:
        bool, of `weight`'s shape, device and strides; True where kept.

    Raises:
        ValueError: `weight` holds NaN, or `sparsity` lies outside [0, 1].
    """
    return _like(weight, _kept(_magnitudes(name, weight), pruned_count(weight.numel(), sparsity)))


def select(
    model: nn.Module,
    sparsity: float,
    *,
    skip: Iterable[str] = (),
    scope: Scope = "layer",
    select: Selection = "magnitude",
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Draw a mask for every prunable weight of `model`; the model is left as it is.

    Under `torch.distributed` with more than one process, every process must call this; all get the masks of rank 0.

    Args:
        model: see `prunable`.
        sparsity: the share to prune, in [0, 1].
        skip: what to spare; see `prunable`.
        scope: "layer" prunes this share of each weight tensor, "global" this share of all of them together.
        select: "magnitude" prunes the smallest; "random" draws as many uniformly (the paper's ablation).
        generator: for "random"; numbers are drawn on its device, by default the CPU, so that a seed gives the same mask
            wherever the model lies and in any memory format.

    Returns:
        mask by parameter name.

    Raises:
        ValueError: a weight holds NaN (named), nothing is prunable though `sparsity` > 0, or an argument is none of the
            above.
    """
    if scope not in ("layer", "global"):
        raise ValueError(f"scope must be 'layer' or 'global', got {scope!r}")
    if select not in ("magnitude", "random"):
        raise ValueError(f"select must be 'magnitude' or 'random', got {select!r}")
    found = prunable(model, skip)
    if not found.weights and pruned_count(1_000_000, sparsity):
        raise ValueError(f"nothing to prune: {found.excluded or 'the model has no parameters'}")

    def scores(name: str, weight: Tensor) -> Tensor:
        if select == "magnitude":
            return _magnitudes(name, weight)
        device = generator.device if generator is not None else "cpu"
        return torch.rand(weight.numel(), generator=generator, device=device).to(weight.device)

    if scope == "layer":
        flat = {n: _kept(scores(n, w), pruned_count(w.numel(), sparsity)) for n, w in found.weights.items()}
    elif found.weights:
        device = next(iter(found.weights.values())).device
        every = torch.cat([scores(name, weight).to(device) for name, weight in found.weights.items()])
        kept = _kept(every, pruned_count(every.numel(), sparsity))
        flat = dict(zip(found.weights, torch.split(kept, [w.numel() for w in found.weights.values()]), strict=True))
    else:
        flat = {}
    return {name: _like(weight, _from_rank_0(flat[name].to(weight.device))) for name, weight in found.weights.items()}


def zero_pruned_(tensor: Tensor, kept: Tensor) -> None:
    """Set the pruned entries of `tensor` to exactly +0.0, in place; NaN and negative numbers too.

    Where both lie in memory in the same order, one pass over the bits: an integer times 0 is 0, whatever the float was.
    On one core that takes 2.2 times as long as reading the weights, `masked_fill_` 24 times (11 and 103 million float32
    weights, torch 2.12).

    Args:
        tensor: floating point, any shape.
        kept: bool, the same shape and device.
    """
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}.get(tensor.element_size())
    values, mask = _in_memory_order(tensor.detach()), _in_memory_order(kept)
    if integer is None or values is None or mask is None or _order(tensor) != _order(kept):
        with torch.no_grad():
            tensor.masked_fill_(~kept, 0)
        return
    bits, ones = values.view(integer), mask.view(torch.uint8)
    if tensor.device.type != "cpu":
        bits.mul_(ones)
        return
    # Mixed types multiply slowly on CPUs (5 to 16 reads): widen the mask first, by parts that stay in the cache.
    scratch = _scratch(integer, threading.get_ident())
    for start in range(0, bits.numel(), scratch.numel()):
        part = bits[start : start + scratch.numel()]
        part.mul_(scratch[: part.numel()].copy_(ones[start : start + scratch.numel()]))


def pack(masks: Masks) -> dict[str, dict[str, Any]]:
    """Return the masks as bits, an eighth of their size, made of nothing but what `weights_only=True` loads.

    Returns:
        by name: "bits", uint8 (ceil(n / 8),), row-major, lowest bit first; "shape", a list of integers.
    """
    packed = {}
    for name, mask in masks.items():
        bits = np.packbits(mask.detach().cpu().contiguous().view(-1).numpy(), bitorder="little")
        packed[name] = {"bits": torch.from_numpy(bits), "shape": list(mask.shape)}
    return packed


def unpack(
    packed: Mapping[str, Mapping[str, Any]],
    *,
    device: torch.device | str | None = None,
    like: nn.Module | None = None,
) -> dict[str, Tensor]:
    """Return the masks that `pack` packed.

    Args:
        packed: what `pack` returned.
        device: where the masks go; by default where `like` has the weight, or the CPU.
        like: a model whose weights give the masks their memory format (and are then held at full speed).
    """
    parameters = dict(all_names(like)) if like is not None else {}
    masks = {}
    for name, entry in packed.items():
        shape = torch.Size(entry["shape"])
        bits = np.unpackbits(entry["bits"].cpu().numpy(), count=shape.numel(), bitorder="little")
        mask = torch.from_numpy(bits).view(torch.bool).view(shape)
        weight = parameters.get(name)
        if weight is not None and weight.shape == shape:
            mask = _like(weight, mask)
        masks[name] = mask.to(device) if device is not None else mask
    return masks


@dataclass(frozen=True)
class MaskRow:
    """One pruned tensor: how many weights it has, how many the mask keeps, how many are zero in the live parameter."""

    name: str
    weights: int
    kept: int
    zeros: int


def mask_report(model: nn.Module, masks: Masks) -> list[MaskRow]:
    """Return a row per mask, in its order; zeros are counted on the model's own parameter, not on a copy.

    Raises:
        KeyError: the model has no parameter of a mask's name.
    """
    parameters = dict(all_names(model))
    return [
        MaskRow(n, m.numel(), int(m.count_nonzero()), m.numel() - int(parameters[n].detach().count_nonzero()))
        for n, m in masks.items()
    ]


def _magnitudes(name: str, weight: Tensor) -> Tensor:
    """Return |weight| in row-major order, (n,), float32 or float64; ValueError at NaN."""
    wide = weight.detach().to(torch.promote_types(weight.dtype, torch.float32))
    magnitudes = wide.abs().contiguous().view(-1)
    if magnitudes.numel() and magnitudes.max().isnan():  # max propagates NaN, at a quarter of isnan().any()
        raise ValueError(f"{name} holds NaN, which has no magnitude to prune by")
    return magnitudes


def _kept(scores: Tensor, count: int) -> Tensor:
    """Return (n,) bool, False at the `count` smallest of `scores` (n,); of equal ones the first are False."""
    if count == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    if scores.device.type == "cpu":  # 7 to 20 times faster than kthvalue or topk there
        threshold = float(np.partition(scores.numpy(), count - 1)[count - 1])
    else:
        threshold = float(scores.kthvalue(count).values)
    kept = scores > threshold
    surplus = scores.numel() - int(kept.count_nonzero()) - count
    if surplus:  # the threshold is tied: keep its last occurrences
        ties = (scores == threshold).nonzero().view(-1)
        kept[ties[-surplus:]] = True
    return kept


def _like(weight: Tensor, kept: Tensor) -> Tensor:
    """Return `kept` with the shape, strides and device of `weight`."""
    return torch.empty_like(weight, dtype=torch.bool, requires_grad=False).copy_(kept.view(weight.shape))


def _from_rank_0(kept: Tensor) -> Tensor:
    """Return rank 0's mask (n,): replicas that differ in a last bit must not hold different masks."""
    if (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and torch.distributed.get_world_size() > 1
    ):
        kept = kept.contiguous()
        torch.distributed.broadcast(kept.view(torch.uint8), src=0)
    return kept


def _order(tensor: Tensor) -> list[int]:
    """Return the dimensions from the slowest in memory to the fastest."""
    if tensor.is_contiguous():
        return list(range(tensor.ndim))
    return sorted(range(tensor.ndim), key=tensor.stride, reverse=True)


def _in_memory_order(tensor: Tensor) -> Tensor | None:
    """Return a flat view of a tensor without gaps, or None of another."""
    ordered = tensor.permute(_order(tensor))
    return ordered.view(-1) if ordered.is_contiguous() else None


@functools.lru_cache(maxsize=8)
def _scratch(dtype: torch.dtype, thread: int) -> Tensor:
    """Return a buffer of this thread's: allocating one each time costs a page fault every 4 KiB."""
    return torch.empty(1 << 20, dtype=dtype)
