"""Optimizers that wrap optimizers: which of them step weights and can be followed, and which steps nobody can follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

INSIDE = ("optimizer", "opt", "optim", "base_optimizer", "inner_optimizer", "_optimizer", "_optim")
"""Names under which wrappers keep what they wrap (Accelerate, fastai, ZeroRedundancyOptimizer, SAM, Lookahead, Lightning ...)."""


def followed(optimizer: Any) -> list[torch.optim.Optimizer]:
    """Return `optimizer` and those it wraps, the outermost first, as far as they have step hooks.

    Raises:
        ValueError: none has.
    """
    found = [one for one in _layers(optimizer) if _has_step_hooks(one)]
    if not found:
        raise ValueError(
            f"{type(optimizer).__name__} has no step hooks, and no optimizer that has was found inside (as {', '.join(INSIDE)}): "
            "pass the torch.optim.Optimizer that steps the weights"
        )
    return found


def stepped(optimizers: list[torch.optim.Optimizer]) -> set[int]:
    """Return the ids of the parameters that these optimizers hold."""
    return {id(parameter) for one in optimizers for group in one.param_groups for parameter in group["params"]}


def names(optimizers: list[torch.optim.Optimizer]) -> str:
    """Return what to call their steps."""
    return " and ".join(dict.fromkeys(f"{type(one).__name__}.step" for one in optimizers))


def _layers(optimizer: Any) -> list[Any]:
    layers: list[Any] = []
    waiting = [optimizer]
    while waiting:
        layer = waiting.pop(0)
        if not any(layer is known for known in layers):
            layers.append(layer)
            waiting += _inside(layer)
    return layers


def _inside(layer: Any) -> Iterator[Any]:
    """Yield what a layer wraps: optimizers that it keeps, by themselves or in a list, and whatever has one of those names."""
    for name, value in list(getattr(layer, "__dict__", {}).items()):
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, torch.optim.Optimizer) or (name in INSIDE and hasattr(one, "step")):
                yield one


def _has_step_hooks(layer: Any) -> bool:
    """Whether hooks can be registered and will run. A subclass that does not call Optimizer's __init__ has the methods alone."""
    return isinstance(layer, torch.optim.Optimizer) and isinstance(
        getattr(layer, "_optimizer_step_post_hooks", None), dict
    )
