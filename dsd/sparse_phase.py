"""The sparse phase as a context manager: hold the masks, then let go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from dsd.holding import Held, Holding
from dsd.masks import Scope, Selection
from dsd.masks import select as select_masks
from dsd.optimizer_state import Policy, check_policy, planned, restart
from dsd.packing import Masks
from dsd.parameters import unwrap
from dsd.sparsity import Sparsity
from dsd.wrapping import Optimizers, followed


@contextmanager
def sparse(
    model: nn.Module,
    optimizer: Optimizers,
    sparsity: Sparsity,
    *,
    skip: Iterable[str] = (),
    scope: Scope = "layer",
    select: Selection = "magnitude",
    generator: torch.Generator | None = None,
    state: Policy = "fresh",
) -> Iterator[Held]:
    """Run a sparse phase: draw masks, hold them while the body trains, then let go.

        with dsd.sparse(model, optimizer, sparsity=0.3) as masks:
            train(model, optimizer, ...)

    Entering and leaving both start a phase, so both `restart` the optimizer under the policy `state` (leaving
    by an exception does not): all of the optimizer's parameters, under a mask or not. The model stays plain throughout,
    and nothing is left on it or on the optimizer afterwards. To go on inside a sparse phase from a checkpoint, use `hold`,
    and after it `restart`, as leaving does here; or `Phases`, which does it for you.

    Args:
        model: the model, wrapped or not.
        optimizer: the one that steps its weights, a wrapper around it, or a list of them.
        sparsity: the share of weights to prune, in [0, 1], or shares by pattern; see `select`.
        skip: what to spare; see `prunable`.
        scope: "layer" or "global"; see `select`.
        select: "magnitude" or "random"; see `select`.
        generator: for "random"; see `select`.
        state: what becomes of the optimizer's state; see `restart`.

    Yields:
        mask by parameter name; see `Held`.

    Raises:
        ValueError: see `select`, `hold` and `restart`; model and optimizer have not been changed then.
        RuntimeError: see `hold`.
    """
    options = {"skip": skip, "scope": scope, "select": select, "generator": generator}
    holding = begin(model, optimizer, sparsity, state, **options)
    with _released_on_error(holding):
        yield holding.held
    end(holding, model, optimizer, state)


@contextmanager
def hold(model: nn.Module, optimizer: Optimizers, masks: Masks) -> Iterator[Held]:
    """Keep pruned weights at exactly +0.0 while the body runs: after entry, and after every step.

    Selects nothing and leaves the optimizer's state alone: the verb for going on inside a sparse phase. Where that phase
    ends, `restart(optimizer, masks=masks, model=model)` does what leaving `sparse` does.

    Gradients of pruned weights are zeroed as soon as they are accumulated, before gradient clipping or
    DistributedDataParallel reads them; the weights themselves after `optimizer.step`. A mask that prunes nothing costs
    nothing and changes nothing.

    Args:
        model: the model, wrapped or not.
        optimizer: the one that steps its weights, a wrapper around it, or a list of them: what is followed is every step, of
            the wrapper and of the optimizers inside, that has torch's step hooks.
        masks: by parameter name; of the weight's shape, True where kept. One of the weight's strides and device is held
            itself, another as a copy: do not write to them.

    Yields:
        the masks that are held, which can `move`.

    Raises:
        ValueError: a mask names no parameter, or is not bool of the parameter's shape; the optimizer does not hold its
            weight, or has no step hooks, nor has one inside it; the weight is held already, or no plain tensor; a gradient
            is sparse. Nothing has been changed then. (A gradient that becomes sparse later: raised by `backward`.)
        RuntimeError: a parameter was replaced or removed while it was held (raised by `step`), as by
            `load_state_dict(..., assign=True)` or a parametrization; pruned weights were changed by something other than the
            steps that are followed, such as a second optimizer (raised by `step` or `backward` after a warning the first time,
            or on leaving).
    """
    holding = take_hold(model, optimizer, masks)
    with _released_on_error(holding):
        yield holding.held
    holding.let_go()


@contextmanager
def _released_on_error(holding: Holding) -> Iterator[None]:
    try:
        yield
    except BaseException:
        holding.release()
        raise


def begin(model: nn.Module, optimizer: Optimizers, sparsity: Sparsity, state: Policy, **options: Any) -> Holding:
    """Begin a sparse phase: draw masks, restart the optimizer, hold the masks. `options` are those of `select`.

    Raises:
        ValueError: see `select`, `hold` and `restart`. Model and optimizer are unchanged then.
    """
    check_policy(state)
    followed(optimizer)  # refused before masks are drawn
    return take_hold(model, optimizer, select_masks(model, sparsity, **options), state)


def end(holding: Holding, model: nn.Module, optimizer: Optimizers, state: Policy) -> None:
    """End a sparse phase: check the pruned weights, remove the hooks, restart the optimizer.

    Raises:
        RuntimeError: see `hold`.
    """
    holding.let_go()
    restart(optimizer, state, holding.masks, model=model)


def take_hold(model: nn.Module, optimizer: Optimizers, masks: Masks, state: Policy | None = None) -> Holding:
    """Hold the masks; where a phase begins, restart the optimizer under the policy `state`. All that can be refused comes first.

    Raises:
        ValueError: see `hold` and `restart`. Nothing has been changed then.
    """
    plain, optimizers = unwrap(model), followed(optimizer)
    holding = Holding(plain, optimizers, masks)
    changes = planned(optimizers, state, masks, model) if state is not None else []
    holding.start()
    for change in changes:
        change()
    return holding
