"""What is done with masks that are there: pack them into bits, put them on another model, count what they keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from dsd.parameters import all_names, did_you_mean
from dsd.sharding import local, sharded, total, whole
from dsd.zeroing import zero_pruned_

Masks: TypeAlias = Mapping[str, Tensor]


def pack(masks: Masks) -> dict[str, dict[str, Any]]:
    """Return the masks as bits, an eighth of their size, made of nothing but what `weights_only=True` loads.

    Sharded masks are gathered, so every process must call this; all get the same bits, which fit the unsharded model too.

    Returns:
        by name: "bits", uint8 (ceil(n / 8),), row-major, lowest bit first; "shape", a list of integers.
    """
    packed = {}
    for name, mask in masks.items():
        bits = np.packbits(whole(mask.detach()).cpu().contiguous().view(-1).numpy(), bitorder="little")
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
        like: a model whose weights give the masks their memory format (and are then held at full speed) and their sharding.

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
            mask = mask_like(weight, mask)
        masks[name] = mask.to(device) if device is not None else mask
    return masks


def mask_like(weight: Tensor, kept: Tensor) -> Tensor:
    """Return `kept` with the shape, strides, device and sharding of `weight`: itself where it has them."""
    if sharded(weight):
        from dsd.sharding import shard_like

        alike = sharded(kept) and kept.placements == weight.placements  # type: ignore[attr-defined]
        return kept if alike else shard_like(weight, whole(kept).to(weight.device).view(weight.shape))
    kept = kept if kept.shape == weight.shape else kept.view(weight.shape)
    wanted = torch.empty_like(weight, dtype=torch.bool, requires_grad=False, device="meta").stride()
    if kept.device == weight.device and kept.stride() == wanted:
        return kept
    # The weight's own layout and device: zero_pruned_ is then one pass over memory.
    return torch.empty_like(weight, dtype=torch.bool, requires_grad=False).copy_(kept)


def apply(masks: Masks, model: nn.Module) -> None:
    """Set the pruned weights of another model to exactly +0.0, once: of a running average (EMA, SWA) of the one that is held.

    An average that began before the sparse phase is not zero where the mask prunes. Apply the masks to it, or to a copy, when
    it is evaluated or saved; the average itself may run on.

    Args:
        masks: by parameter name.
        model: has the same parameters under the same names, by itself or as its `module` (`AveragedModel`, timm's `ModelEmaV3`).

    Raises:
        ValueError: the model lacks a mask's parameter, or has it in another shape. Nothing has been changed then.
    """
    parameters = dict(all_names(model))
    while not masks.keys() <= parameters.keys() and isinstance(inner := model._modules.get("module"), nn.Module):
        model = inner
        parameters = dict(all_names(model))
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(f"mask {name!r} belongs to no parameter of the model{did_you_mean(name, parameters)}")
        if parameters[name].shape != mask.shape:
            raise ValueError(
                f"the mask of {name} is {tuple(mask.shape)}, and the model has {tuple(parameters[name].shape)}"
            )
    for name, mask in masks.items():
        zero_pruned_(parameters[name], mask_like(parameters[name], mask))


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
        MaskRow(name, mask.numel(), _nonzeros(mask), mask.numel() - _nonzeros(parameters[name]))
        for name, mask in masks.items()
    ]


def _nonzeros(tensor: Tensor) -> int:
    return int(total(local(tensor.detach()).count_nonzero(), tensor))
