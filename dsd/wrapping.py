"""Optimizers that wrap optimizers: which of them step weights and can be followed, and who else holds a weight."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import torch

Optimizers: TypeAlias = Any
"""A `torch.optim.Optimizer`, a wrapper around one (Accelerate's, Lightning's, fastai's ...), or a list of either."""

INSIDE = ("optimizer", "opt", "optim", "base_optimizer", "inner_optimizer", "_optimizer", "_optim")
"""Names under which wrappers keep what they wrap (Accelerate, fastai, ZeroRedundancyOptimizer, SAM, Lookahead, Lightning ...)."""


def followed(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    """Return `optimizer` and those it wraps, the outermost first, as far as they have step hooks of their own.

    Raises:
        ValueError: none has, or none of one that a list has.
    """
    found: dict[int, torch.optim.Optimizer] = {}
    for given in optimizer if isinstance(optimizer, list | tuple) else (optimizer,):
        hooked = [one for one in _layers(given) if _has_step_hooks(one)]
        if not hooked:
            raise ValueError(
                f"{type(given).__name__} has no step hooks, and no optimizer that has was found inside (as "
                f"{', '.join(INSIDE)}): pass the torch.optim.Optimizer that steps the weights"
            )
        found |= {id(one): one for one in hooked}
    if not found:
        raise ValueError("no optimizer was given: pass the torch.optim.Optimizer that steps the weights")
    return list(found.values())


def stepped(optimizers: Iterable[torch.optim.Optimizer]) -> set[int]:
    """Return the ids of the parameters that these optimizers hold."""
    return {id(parameter) for one in optimizers for group in one.param_groups for parameter in group["params"]}


def names(optimizers: Iterable[torch.optim.Optimizer]) -> str:
    """Return what to call their steps."""
    return " and ".join(dict.fromkeys(f"{type(one).__name__}.step" for one in optimizers))


def others(parameter: torch.Tensor, optimizers: list[torch.optim.Optimizer]) -> list[torch.optim.Optimizer]:
    """Return every other optimizer of this process that holds `parameter`. Asks all objects there are: for errors alone."""
    alive = [one for one in gc.get_objects() if issubclass(type(one), torch.optim.Optimizer) and _has_step_hooks(one)]
    return [one for one in alive if not any(one is known for known in optimizers) and id(parameter) in stepped([one])]


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
    """Whether hooks can be registered and will run.

    A subclass that does not call Optimizer's __init__ (Accelerate) has the methods alone; one that hands attributes on to what
    it wraps (Lightning, Fabric) has only that one's hooks, which are found there.
    """
    return isinstance(layer, torch.optim.Optimizer) and isinstance(vars(layer).get("_optimizer_step_post_hooks"), dict)
