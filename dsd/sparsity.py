"""The share of each layer to prune: the same for all, by pattern, or Erdos-Renyi-kernel shares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from torch import nn

from dsd.parameters import did_you_mean, matches, prunable

Sparsity: TypeAlias = float | Mapping[str, float]
"""A share in [0, 1], or shares by name or pattern. A weight uses the first entry that matches."""


def pruned_count(weights: int, sparsity: float) -> int:
    """Return the number of pruned weights, `round(sparsity * weights)` with Python's rounding (half to even).

    Raises:
        ValueError: `sparsity` is outside [0, 1].
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must lie in [0, 1], got {sparsity}")
    return round(sparsity * weights)


def check_sparsity(sparsity: Sparsity) -> None:
    """Raise ValueError if a share is outside [0, 1]."""
    for share in sparsity.values() if isinstance(sparsity, Mapping) else (sparsity,):
        pruned_count(0, share)


def shares(weights: Iterable[str], sparsity: Sparsity) -> dict[str, float]:
    """Return the share to prune for each of the named weights.

    Raises:
        ValueError: a share is outside [0, 1]; a pattern matches no weight; a weight matches no pattern.
    """
    check_sparsity(sparsity)
    names = list(weights)
    if not isinstance(sparsity, Mapping):
        return dict.fromkeys(names, sparsity)
    for pattern in sparsity:
        if not any(matches(pattern, name) for name in names):
            raise ValueError(f"sparsity entry {pattern!r} matches no prunable weight{did_you_mean(pattern, names)}")
    by_name: dict[str, float] = {}
    for name in names:
        first = next((pattern for pattern in sparsity if matches(pattern, name)), None)
        if first is None:
            raise ValueError(f"no entry of sparsity matches {name}: add it, or '*': 0.0 to leave the others dense")
        by_name[name] = sparsity[first]
    return by_name


def erk(model: nn.Module, sparsity: float, *, skip: Iterable[str] = ()) -> dict[str, float]:
    """Return Erdos-Renyi-kernel shares (Evci et al., 2020) that together prune the share `sparsity` of all prunable weights.

    The density of a layer is proportional to (sum of its dimensions) / (product of its dimensions), so small layers are pruned
    less. Layers whose density would exceed 1 remain dense, with a share of 0.0, and the others are pruned more.

    Args:
        model: see `prunable`.
        sparsity: the share to prune of all weights, in [0, 1].
        skip: parameters not to prune; see `prunable`. They do not count towards `sparsity`. Pass the same `skip` to
            `select` or `sparse`.

    Returns:
        shares by parameter name, for `sparsity` of `select`, `sparse` and `Phases`.

    Raises:
        ValueError: `sparsity` is outside [0, 1]; or see `prunable`.
    """
    check_sparsity(sparsity)
    shapes = {name: weight.shape for name, weight in prunable(model, skip).weights.items() if weight.numel()}
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    raw = {name: sum(shape) / sizes[name] for name, shape in shapes.items()}
    dense: set[str] = set()
    while True:
        kept = (1 - sparsity) * sum(sizes.values()) - sum(sizes[name] for name in dense)
        scale = kept / (sum(raw[name] * sizes[name] for name in shapes if name not in dense) or 1.0)
        over = {name for name in shapes if name not in dense and scale * raw[name] > 1}
        if not over:
            break
        dense |= over
    return {name: 0.0 if name in dense else 1 - scale * raw[name] for name in shapes}
