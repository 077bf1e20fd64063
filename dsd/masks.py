"""Masks with an exact count of pruned weights.

A mask is a bool tensor with the shape and strides of its weight, True where the weight is kept. It takes one byte per weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from dsd.kth_smallest import all_but_smallest
from dsd.packing import mask_like
from dsd.parameters import prunable, unfit
from dsd.sharding import whole
from dsd.sparsity import Sparsity, check_sparsity, shares
from dsd.sparsity import pruned_count as pruned_count
from dsd.zeroing import zero_pruned_ as zero_pruned_

Scope: TypeAlias = Literal["layer", "global"]
Selection: TypeAlias = Literal["magnitude", "random"]


def magnitude_mask(weight: Tensor, sparsity: float, *, name: str = "weight") -> Tensor:
    """Return the mask that prunes exactly `pruned_count` weights, those with the smallest magnitude.

    Of equal magnitudes, the one with the lowest index in logical (row-major) order is pruned first. So the mask does not depend on
    memory format or device.

    Args:
        weight: floating point, any shape and size.
        sparsity: the share to prune, in [0, 1].
        name: name of the weight in errors.

    Returns:
        bool, with shape, device and strides of `weight`; True where kept.

    Raises:
        ValueError: `weight` contains NaN, or `sparsity` is outside [0, 1].
    """
    return mask_like(weight, _kept({name: weight.detach()}, pruned_count(weight.numel(), sparsity))[name])


def select(
    model: nn.Module,
    sparsity: Sparsity,
    *,
    skip: Iterable[str] = (),
    scope: Scope = "layer",
    select: Selection = "magnitude",
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Select a mask for every prunable weight of `model` without changing the model.

    Under `torch.distributed` with more than one process, every process must call this. All get the masks of rank 0.

    Args:
        model: see `prunable`.
        sparsity: the share to prune, in [0, 1]; or shares by name or pattern of parameters or modules, such as
            {"fc*": 0.9, "*": 0.3}. Every prunable weight uses the first match.
        skip: parameters not to prune; see `prunable`.
        scope: "layer" prunes this share of each weight tensor, "global" this share of all weights together.
        select: "magnitude" prunes the smallest weights; "random" prunes the same number of random weights (the paper's ablation).
        generator: for "random". Numbers are drawn on its device, by default the CPU. So a seed gives the same mask on every device
            of the weights and in every memory format.

    Returns:
        mask by parameter name.

    Raises:
        ValueError: a weight (named) that is ranked by magnitude contains NaN; nothing is prunable and `sparsity` > 0; an argument
            is invalid; a pattern matches no weight; a weight matches no pattern; or see `prunable`.
    """
    if scope not in ("layer", "global"):
        raise ValueError(f"scope must be 'layer' or 'global', got {scope!r}")
    if select not in ("magnitude", "random"):
        raise ValueError(f"select must be 'magnitude' or 'random', got {select!r}")
    check_sparsity(sparsity)
    if scope == "global" and isinstance(sparsity, Mapping):
        raise ValueError("sparsity by pattern is a share of each layer: scope='global' takes one number")
    found = prunable(model, skip)
    if meta := [name for name, weight in found.weights.items() if weight.is_meta]:
        raise ValueError(f"{meta[0]} {unfit(found.weights[meta[0]])}")
    if not found.weights and sparsity:
        raise ValueError(f"nothing to prune: {found.excluded or 'the model has no parameters'}")
    share = shares(found.weights, sparsity)

    def scores(weight: Tensor) -> Tensor:
        if select == "magnitude":
            return whole(weight.detach())
        device = generator.device if generator is not None else "cpu"
        return torch.rand(weight.numel(), generator=generator, device=device).to(weight.device)

    if isinstance(sparsity, Mapping) or scope == "layer":
        masks = {}
        for name, weight in found.weights.items():
            kept = _kept({name: scores(weight)}, pruned_count(weight.numel(), share[name]))
            masks[name] = mask_like(weight, from_rank_0(kept[name]))
        return masks
    count = pruned_count(sum(weight.numel() for weight in found.weights.values()), sparsity)
    kept = _kept({name: scores(weight) for name, weight in found.weights.items()}, count)
    return {name: mask_like(weight, from_rank_0(kept[name])) for name, weight in found.weights.items()}


def _kept(scores: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return masks with the shapes of the scores, False at the `count` smallest magnitudes of all, earliest first if equal.

    Raises:
        ValueError: a tensor (named) contains NaN.
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
        if surplus:  # several values equal the threshold: keep the last ones
            ties = (every == threshold).nonzero().view(-1)
            kept[ties[-surplus:]] = True
    parts = torch.split(kept, [score.numel() for score in scores.values()])
    return {name: part.view(score.shape) for (name, score), part in zip(scores.items(), parts, strict=True)}


def _magnitudes(name: str, weight: Tensor) -> Tensor:
    """Return |weight| in row-major order, (n,), float32 or float64; ValueError at NaN."""
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))
    magnitudes = wide.abs().contiguous().view(-1)
    if magnitudes.numel() and magnitudes.max().isnan():  # max propagates NaN, in a quarter of the time of isnan().any()
        raise ValueError(f"{name} holds NaN, which has no magnitude to prune by")
    return magnitudes


def from_rank_0(kept: Tensor) -> Tensor:
    """Return the mask (n,) of rank 0. Replicas need equal masks even if their weights differ in the last bit."""
    if (
        torch.distributed.is_available()
        and torch.distributed.is_initialized()
        and torch.distributed.get_world_size() > 1
    ):
        kept = kept.contiguous()
        torch.distributed.broadcast(kept.view(torch.uint8), src=0)
    return kept
