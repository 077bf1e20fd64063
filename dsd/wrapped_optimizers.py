"""Optimizers inside wrappers: which of them have step hooks, and which other optimizers hold a weight."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import torch

Optimizers: TypeAlias = Any
"""A `torch.optim.Optimizer`, a wrapper around one (such as Accelerate's, Lightning's or fastai's), or a list of these."""

INSIDE = ("optimizer", "opt", "optim", "base_optimizer", "inner_optimizer", "_optimizer", "_optim")
"""Attributes of wrappers that hold the optimizer (in Accelerate, fastai, ZeroRedundancyOptimizer, SAM, Lookahead, Lightning)."""


def followed(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    """Return the optimizers that have step hooks, from `optimizer` itself to the innermost inside it.

    Raises:
        ValueError: there is no such optimizer, also for a single entry of a list.
    """
    by_id: dict[int, torch.optim.Optimizer] = {}
    for given in optimizer if isinstance(optimizer, list | tuple) else (optimizer,):
        hooked = [layer for layer in _layers(given) if _has_step_hooks(layer)]
        if not hooked:
            raise ValueError(
                f"{type(given).__name__} has no step hooks, nor has an optimizer inside it (as "
                f"{', '.join(INSIDE)}): pass the torch.optim.Optimizer that steps the weights"
            )
        by_id |= {id(layer): layer for layer in hooked}
    if not by_id:
        raise ValueError("no optimizer was given: pass the torch.optim.Optimizer that steps the weights")
    return list(by_id.values())


def stepped(optimizers: Iterable[torch.optim.Optimizer]) -> set[int]:
    """Return the ids of the parameters that these optimizers hold."""
    return {id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}


def names(optimizers: Iterable[torch.optim.Optimizer]) -> str:
    """Return the names of the optimizers' step methods, for messages."""
    return " and ".join(dict.fromkeys(f"{type(optimizer).__name__}.step" for optimizer in optimizers))


def others(parameter: torch.Tensor, optimizers: list[torch.optim.Optimizer]) -> list[torch.optim.Optimizer]:
    """Return the other optimizers of this process that hold `parameter`. Slow, because it searches all objects; for errors only."""
    alive = [o for o in gc.get_objects() if issubclass(type(o), torch.optim.Optimizer) and _has_step_hooks(o)]
    return [o for o in alive if not any(o is known for known in optimizers) and id(parameter) in stepped([o])]


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
    """Yield the optimizers inside a wrapper: attributes that are optimizers, lists of optimizers, or named in INSIDE."""
    for name, value in list(getattr(layer, "__dict__", {}).items()):
        for inner in value if isinstance(value, list | tuple) else (value,):
            if isinstance(inner, torch.optim.Optimizer) or (name in INSIDE and hasattr(inner, "step")):
                yield inner


def _has_step_hooks(layer: Any) -> bool:
    """Return whether hooks can be registered and will run.

    A subclass that does not call Optimizer's __init__ (Accelerate) has the methods but no hooks. A wrapper that forwards
    attributes (Lightning, Fabric) has only the hooks of the inner optimizer, which `followed` returns itself.
    """
    return isinstance(layer, torch.optim.Optimizer) and isinstance(vars(layer).get("_optimizer_step_post_hooks"), dict)
