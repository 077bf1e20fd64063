"""Masks that move: SET (Mocanu et al., 2018) and RigL (Evci et al., 2020) as plain functions for `dsd.hold`.

    with dsd.hold(model, optimizer, dsd.select(model, dsd.erk(model, 0.9), select="random")) as held:
        for step, batch in enumerate(batches):
            if step % 100 == 0:
                dense = torch.autograd.grad(loss(model, batch), [model.get_parameter(name) for name in held])
                held.move({
                    name: rigl(model.get_parameter(name), kept, gradient, share=0.3)
                    for (name, kept), gradient in zip(held.items(), dense, strict=True)
                })
            train(model, optimizer, batch)

`torch.autograd.grad` returns the gradients of pruned weights too: what `backward` accumulates is masked.
"""

from __future__ import annotations

import torch
from torch import Tensor

import dsd


def set_(weight: Tensor, kept: Tensor, share: float, generator: torch.Generator | None = None) -> Tensor:
    """Drop this share of the kept weights, the smallest, and grow as many at random among the pruned.

    Args:
        weight: any shape.
        kept: bool, the same shape.
        share: of the kept weights, in [0, 1]; fewer where fewer are pruned.
        generator: on the CPU.

    Returns:
        bool, the same shape, with as many kept as before.
    """
    return dsd.drop_and_grow(weight, kept, torch.rand(weight.shape, generator=generator).to(weight.device), share)


def rigl(weight: Tensor, kept: Tensor, gradient: Tensor, share: float) -> Tensor:
    """Drop this share of the kept weights, the smallest, and grow as many where the gradient is largest among the pruned."""
    return dsd.drop_and_grow(weight, kept, gradient.abs(), share)
