"""Averaging gradients by hand, as suite 0.1 did."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn


def average(model: nn.Module) -> None:
    """Replace every gradient by its mean over processes. All gradients travel as one vector."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(together)
    together /= dist.get_world_size()
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, mean in zip(gradients, torch.split(together, sizes), strict=True):
        gradient.copy_(mean.view(gradient.shape))
