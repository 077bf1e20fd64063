"""Sharpness-aware minimisation (Foret et al. 2021): descend along the gradient of a nearby point where the loss is worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def sharpen(model: nn.Module, radius: float, backward: Callable[[], None]) -> None:
    """Replace the gradients of `model` by those at the weights a step of length `radius` up the gradient.

    The weights and the running statistics of batch norm are afterwards what they were, bit for bit.

    Args:
        model: the network, with the gradients of the batch at its weights.
        radius: length of the step, over all parameters together (the paper's rho).
        backward: makes the gradients of the same batch anew, from none.
    """
    moved = [parameter for parameter in model.parameters() if parameter.grad is not None]
    gradients = [parameter.grad for parameter in moved if parameter.grad is not None]
    length = float(nn.utils.get_total_norm(gradients))
    if length == 0:  # nowhere to climb to
        return
    before = [parameter.detach().clone() for parameter in moved]
    with torch.no_grad():
        for parameter, gradient in zip(moved, gradients, strict=True):
            parameter.add_(gradient, alpha=radius / length)
    model.zero_grad(set_to_none=True)
    with _held_statistics(model):
        backward()
    with torch.no_grad():
        for parameter, weights in zip(moved, before, strict=True):
            parameter.copy_(weights)


@contextmanager
def _held_statistics(model: nn.Module) -> Iterator[None]:
    """Let batch norm normalise by the batch and learn nothing from it, so that every batch counts once."""
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    kept = [{name: buffer.clone() for name, buffer in layer.named_buffers()} for layer in layers]
    yield
    for layer, buffers in zip(layers, kept, strict=True):
        for name, buffer in layer.named_buffers():
            buffer.copy_(buffers[name])
