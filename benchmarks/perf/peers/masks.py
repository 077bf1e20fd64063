"""Pruning with other libraries: `torch.nn.utils.prune`, `numpy.partition`, and multiplication in every forward pass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import prune


def prune_by_torch(network: nn.Module, sparsity: float) -> nn.Module:
    """Prune all convolution and linear layers of `network` and return it. Each forward pass multiplies by the masks."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            prune.l1_unstructured(module, "weight", amount=sparsity)  # type: ignore[no-untyped-call]
    return network


def partition(weights: Mapping[str, Tensor], sparsity: float) -> dict[str, Tensor]:
    """Return masks by layer. Ties at the threshold are all pruned, so more weights may be pruned than requested."""
    masks = {}
    for name, weight in weights.items():
        magnitudes = np.abs(weight.detach().contiguous().numpy())
        last = round(sparsity * magnitudes.size) - 1
        masks[name] = torch.from_numpy(magnitudes > np.partition(magnitudes, last, axis=None)[last])
    return masks


def multiply(weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the masked weights for a forward pass. masks: float, 0 or 1."""
    return [weight * masks[name] for name, weight in weights.items()]
