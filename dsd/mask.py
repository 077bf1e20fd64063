"""Masks with an exact count: select, apply, pack into bits, report.

A mask is a bool tensor of its weight's shape and strides, True where the weight is kept: one byte a weight.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from dsd.selection import all_names, prunable, unfit
from dsd.smallest import INTEGERS, all_but_smallest, in_memory_order

Masks: TypeAlias = Mapping[str, Tensor]
Scope: TypeAlias = Literal["layer", "global"]
Selection: TypeAlias = Literal["magnitude", "random"]

BUFFER = 1024  # values


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
    return _like(weight, _kept({name: weight.detach()}, pruned_count(weight.numel(), sparsity))[name])


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
        ValueError: a weight that is ranked by magnitude holds NaN (named), nothing is prunable though `sparsity` > 0, an
            argument is none of the above, or see `prunable`.
    """
    if scope not in ("layer", "global"):
        raise ValueError(f"scope must be 'layer' or 'global', got {scope!r}")
    if select not in ("magnitude", "random"):
        raise ValueError(f"select must be 'magnitude' or 'random', got {select!r}")
    found = prunable(model, skip)
    if meta := [name for name, weight in found.weights.items() if weight.is_meta]:
        raise ValueError(f"{meta[0]} {unfit(found.weights[meta[0]])}")
    if not found.weights and pruned_count(1_000_000, sparsity):
        raise ValueError(f"nothing to prune: {found.excluded or 'the model has no parameters'}")

    def scores(weight: Tensor) -> Tensor:
        if select == "magnitude":
            return weight.detach()
        device = generator.device if generator is not None else "cpu"
        return torch.rand(weight.numel(), generator=generator, device=device).to(weight.device)

    kept: dict[str, Tensor] = {}
    if scope == "layer":
        for name, weight in found.weights.items():
            kept |= _kept({name: scores(weight)}, pruned_count(weight.numel(), sparsity))
    else:
        count = pruned_count(sum(weight.numel() for weight in found.weights.values()), sparsity)
        kept = _kept({name: scores(weight) for name, weight in found.weights.items()}, count)
    return {name: _like(weight, _from_rank_0(kept[name])) for name, weight in found.weights.items()}


def zero_pruned_(tensor: Tensor, kept: Tensor) -> None:
    """Set the pruned entries of `tensor` to exactly +0.0, in place; NaN and negative numbers too.

    Where both lie in memory in the same order, one pass over the bits: an integer times 0 is 0, whatever the float was.
    On one core that takes 1.6 times as long as reading the weights, `masked_fill_` 24 times (11 and 103 million float32
    weights, torch 2.12, numpy 2.4).

    Args:
        tensor: floating point, any shape.
        kept: bool, the same shape and device.
    """
    integer = INTEGERS.get(tensor.element_size())
    values, mask = _in_memory_order(tensor.detach()), _in_memory_order(kept)
    if integer is None or values is None or mask is None or in_memory_order(tensor) != in_memory_order(kept):
        with torch.no_grad():
            tensor.masked_fill_(~kept, 0)
        return
    bits, ones = values.view(integer), mask.view(torch.uint8)
    if tensor.device.type != "cpu":
        bits.mul_(ones)
        return
    if torch.get_num_threads() == 1:
        # numpy widens the mask by bufferfuls, which at this size stay in the first cache; its own default takes twice as long
        before = np.setbufsize(BUFFER)
        np.multiply(bits.numpy(), ones.numpy(), out=bits.numpy())
        np.setbufsize(before)
        torch.autograd.graph.increment_version(tensor)
        return
    # torch shares a part among its threads, but multiplies mixed types slowly (5 to 16 reads): widen the mask first.
    scratch = _scratch(integer, threading.get_ident())
    for start in range(0, bits.numel(), scratch.numel()):
        part = bits[start : start + scratch.numel()]
        part.mul_(scratch[: part.numel()].copy_(ones[start : start + scratch.numel()]))


def any_pruned(tensor: Tensor, kept: Tensor) -> bool:
    """Return whether any pruned entry of `tensor` is not zero."""
    return bool((tensor.detach() != 0).logical_and_(~kept).any())


class GradientMask:
    """A hook that masks `.grad` once it is accumulated: before gradient clipping, and before DistributedDataParallel."""

    def __init__(self, name: str, kept: Tensor, look: Callable[[str], None] = lambda name: None) -> None:
        self.name, self.kept, self.look = name, kept, look

    def __call__(self, parameter: Tensor) -> None:
        """Zero the gradient of pruned weights, and `look` at the weight of that name.

        Raises:
            ValueError: the gradient is sparse.
        """
        self.apply(parameter)
        self.look(self.name)

    def apply(self, parameter: Tensor) -> None:
        """Zero the gradient of pruned weights, if there is one."""
        self.check(self.name, parameter)
        if parameter.grad is not None:
            zero_pruned_(parameter.grad, self.kept)

    @staticmethod
    def check(name: str, parameter: Tensor) -> None:
        """Raise ValueError if the parameter has a sparse gradient."""
        if parameter.grad is not None and parameter.grad.layout != torch.strided:
            raise ValueError(f"the gradient of {name} is sparse, which a mask cannot hold; add {name} to `skip`")


def held_mask(parameter: Tensor) -> Tensor | None:
    """Return the mask that is held on a parameter, None where none is.

    It is known from the parameter's own hook alone, so copies and forgotten models cannot mislead.
    """
    hooks = (parameter._post_accumulate_grad_hooks or {}).values()
    return next((hook.kept for hook in hooks if isinstance(hook, GradientMask)), None)


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

    Raises:
        ValueError: a mask has more or fewer bits than its shape takes.
    """
    parameters = dict(all_names(like)) if like is not None else {}
    masks = {}
    for name, entry in packed.items():
        shape = torch.Size(entry["shape"])
        if (found := entry["bits"].numel()) != (wanted := -(-shape.numel() // 8)):
            raise ValueError(f"the mask of {name} has {found:,} bytes, and its shape {tuple(shape)} takes {wanted:,}")
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


def _kept(scores: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return masks of the scores' shapes, False at the `count` smallest magnitudes of all of them, the first of equals.

    Raises:
        ValueError: a tensor (named) holds NaN.
    """
    if not scores or next(iter(scores.values())).device.type == "cpu":
        return all_but_smallest({name: score.cpu() for name, score in scores.items()}, count)
    device = next(iter(scores.values())).device
    every = torch.cat([_magnitudes(name, score).to(device) for name, score in scores.items()])
    kept = torch.ones_like(every, dtype=torch.bool)
    if count:
        threshold = every.kthvalue(count).values
        kept = every > threshold
        surplus = every.numel() - int(kept.count_nonzero()) - count
        if surplus:  # the threshold is tied: keep its last occurrences
            ties = (every == threshold).nonzero().view(-1)
            kept[ties[-surplus:]] = True
    parts = torch.split(kept, [score.numel() for score in scores.values()])
    return {name: part.view(score.shape) for (name, score), part in zip(scores.items(), parts, strict=True)}


def _magnitudes(name: str, weight: Tensor) -> Tensor:
    """Return |weight| in row-major order, (n,), float32 or float64; ValueError at NaN."""
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
    magnitudes = wide.abs().contiguous().view(-1)
    if magnitudes.numel() and magnitudes.max().isnan():  # max propagates NaN, at a quarter of isnan().any()
        raise ValueError(f"{name} holds NaN, which has no magnitude to prune by")
    return magnitudes


def _like(weight: Tensor, kept: Tensor) -> Tensor:
    """Return `kept` with the shape, strides and device of `weight`."""
    kept = kept.view(weight.shape)
    like = torch.empty_like(weight, dtype=torch.bool, requires_grad=False)
    return kept if (kept.device, kept.stride()) == (like.device, like.stride()) else like.copy_(kept)


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


def _in_memory_order(tensor: Tensor) -> Tensor | None:
    """Return a flat view of a tensor without gaps, or None of another."""
    ordered = tensor.permute(in_memory_order(tensor))
    return ordered.view(-1) if ordered.is_contiguous() else None


@functools.lru_cache(maxsize=8)
def _scratch(dtype: torch.dtype, thread: int) -> Tensor:
    """Return a buffer of this thread's: allocating one each time costs a page fault every 4 KiB."""
    return torch.empty(1 << 20, dtype=dtype)
