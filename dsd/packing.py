"""Operations on masks: pack them into bits, apply them to another model, count kept weights."""

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
    """Return the masks as bits, with an eighth of their size, in types that `torch.load` with `weights_only=True` accepts.

    Sharded masks are gathered, so every process must call this. All get the same bits, which also fit the unsharded model.

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
        packed: the result of `pack`.
        device: the device of the masks; by default that of the weight in `like`, or the CPU.
        like: a model; the masks get the memory format (for speed) and the sharding of its weights.

    Raises:
        ValueError: the number of bytes of a mask does not fit its shape.
    """
    parameters = dict(all_names(like)) if like is not None else {}
    masks = {}
    for name, entry in packed.items():
        shape = torch.Size(entry["shape"])
        if (held := entry["bits"].numel()) != (needed := -(-shape.numel() // 8)):
            raise ValueError(f"the mask of {name} has {held:,} bytes, but its shape {tuple(shape)} takes {needed:,}")
        bits = np.unpackbits(entry["bits"].cpu().numpy(), count=shape.numel(), bitorder="little")
        mask = torch.from_numpy(bits).view(torch.bool).view(shape)
        weight = parameters.get(name)
        if weight is not None and weight.shape == shape:
            mask = mask_like(weight, mask)
        masks[name] = mask.to(device) if device is not None else mask
    return masks


def mask_like(weight: Tensor, kept: Tensor) -> Tensor:
    """Return `kept` with the shape, strides, device and sharding of `weight`, without a copy if it has these already."""
    if sharded(weight):
        from dsd.sharding import shard_like

        alike = sharded(kept) and kept.placements == weight.placements  # type: ignore[attr-defined]
        return kept if alike else shard_like(weight, whole(kept).to(weight.device).view(weight.shape))
    kept = kept if kept.shape == weight.shape else kept.view(weight.shape)
    wanted = torch.empty_like(weight, dtype=torch.bool, requires_grad=False, device="meta").stride()
    if kept.device == weight.device and kept.stride() == wanted:
        return kept
    # With the layout and device of the weight, `zero_pruned_` is a single pass over memory.
    return torch.empty_like(weight, dtype=torch.bool, requires_grad=False).copy_(kept)


def apply(masks: Masks, model: nn.Module) -> None:
    """Set the pruned weights of another model, such as a running average (EMA, SWA), to exactly +0.0, once.

    In an average that started before the sparse phase, pruned weights are not zero. Apply the masks to the average or to a copy
    before evaluating or saving it. Averaging may continue afterwards.

    Args:
        masks: bool masks by parameter name, True where kept.
        model: a model with the same parameter names, directly or in its `module` (`AveragedModel`, timm's `ModelEmaV3`).

    Raises:
        ValueError: the model lacks the parameter of a mask, or the parameter has another shape. Nothing is changed then.
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
                f"the mask of {name} has shape {tuple(mask.shape)}, but the parameter has {tuple(parameters[name].shape)}"
            )
    for name, mask in masks.items():
        zero_pruned_(parameters[name], mask_like(parameters[name], mask))


@dataclass(frozen=True)
class MaskRow:
    """A pruned tensor: the numbers of its weights, of weights that the mask keeps, and of zeros in the parameter."""

    name: str
    weights: int
    kept: int
    zeros: int


def mask_report(model: nn.Module, masks: Masks) -> list[MaskRow]:
    """Return a row per mask, in order. Zeros are counted in the parameters of the model.

    Raises:
        KeyError: the model lacks the parameter of a mask.
    """
    parameters = dict(all_names(model))
    return [
        MaskRow(name, mask.numel(), _nonzeros(mask), mask.numel() - _nonzeros(parameters[name]))
        for name, mask in masks.items()
    ]


def _nonzeros(tensor: Tensor) -> int:
    return int(total(local(tensor.detach()).count_nonzero(), tensor))
