"""Sparse phases as context managers, and the functions that begin and end a phase, which `Phases` uses too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from dsd.holding import Held, Holding
from dsd.masks import Scope, Selection
from dsd.masks import select as select_masks
from dsd.optimizer_state import Policy, check_policy, planned
from dsd.packing import Masks
from dsd.parameters import unwrap
from dsd.sparsity import Sparsity
from dsd.wrapped_optimizers import Optimizers, followed


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
    """Run a sparse phase: select masks, hold them while the body trains, then release the weights.

        with dsd.sparse(model, optimizer, sparsity=0.3) as masks:
            train(model, optimizer, ...)

    A new phase starts both on entering and on leaving. Both `restart` the optimizer with `state`, for all its parameters, with or
    without a mask. Leaving by an exception does not restart it. The model gets no wrappers or parametrizations, and nothing remains
    on model or optimizer afterwards. To continue a sparse phase from a checkpoint, use `Phases`, or `hold` followed by `restart`.

    Under `torch.distributed` with more than one process, every process must enter and leave. All use the masks of rank 0.

    Args:
        model: the model, wrapped or not.
        optimizer: the optimizer of the model's weights, a wrapper around it, or a list of these.
        sparsity: the share of weights to prune, in [0, 1], or shares by pattern; see `select`.
        skip: parameters not to prune; see `prunable`.
        scope: "layer" or "global"; see `select`.
        select: "magnitude" or "random"; see `select`.
        generator: for "random"; see `select`.
        state: "fresh" or "keep": treatment of the optimizer's state; see `restart`.

    Yields:
        masks by parameter name; see `Held`.

    Raises:
        ValueError: on entering, for one of these reasons. Model, optimizer and generator are unchanged then.

            - An argument: `scope`, `select` or `state` is unknown; a share is outside [0, 1]; there are shares by pattern with
              scope "global"; a pattern or an entry of `skip` matches nothing; a weight matches no pattern.
            - The model: nothing is prunable and `sparsity` > 0; a weight that is ranked by magnitude contains NaN; it is wrapped in
              FullyShardedDataParallel (FSDP1).
            - A weight that is not skipped: it has no shape yet (a lazy module); it is on the meta device; it has a 1-byte type
              (float8); it was made in inference mode; it is expanded, so that entries share memory; it is quantised, sparse or
              another subclass of Tensor; it is a DTensor of partial sums; it is in a scripted module, or a parametrization or
              hook computes a weight from it; its gradient is sparse; it has a mask already.
            - The optimizer: none was given; it does not hold a weight with a mask; neither it nor an optimizer inside it has
              step hooks; with "keep", its state has a tensor of a weight's shape with a name that `torch.optim` does not use.

            On leaving, only for the last reason, if that state is new. The masks are released then; weights and optimizer are
            unchanged. Call `restart(optimizer, masks=masks, model=model)` to start the next phase.
        ValueError: in the body, if a gradient becomes sparse (raised by `backward`).
        RuntimeError: in the body or on leaving; see `hold`.
    """
    options = {"skip": skip, "scope": scope, "select": select, "generator": generator}
    holding = begin(model, optimizer, sparsity, state, **options)
    with _released_on_error(holding):
        yield holding.held
        end(holding, model, optimizer, state)


@contextmanager
def hold(model: nn.Module, optimizer: Optimizers, masks: Masks) -> Iterator[Held]:
    """Hold pruned weights at exactly +0.0 while the body runs: on entry and after every step.

    This selects no masks and does not change the optimizer's state. Use it to continue a sparse phase. After the phase, call
    `restart(optimizer, masks=masks, model=model)`, as leaving `sparse` does.

    Gradients of pruned weights are zeroed when they are accumulated, before gradient clipping, GradScaler or
    DistributedDataParallel reads them. Pruned weights are zeroed after `optimizer.step`. A mask that prunes nothing has no effect
    and no cost.

    Args:
        model: the model, wrapped or not.
        optimizer: the optimizer of the model's weights, a wrapper around it, or a list of these. The hooks run at every step of
            the wrapper and of the optimizers inside it, as far as they have torch's step hooks.
        masks: bool masks by parameter name, of the weight's shape, True where kept. A mask with the strides and device of the
            weight is used without a copy: do not write to it.

    Yields:
        the masks in use; `Held.move` replaces them.

    Raises:
        ValueError: a mask's name is not a parameter, or the mask is not bool of the parameter's shape; no optimizer was given, or
            none that holds the weight; neither the optimizer nor an optimizer inside it has step hooks; the weight already has a
            mask; a mask cannot be held on the weight (`sparse` lists such weights); a gradient is sparse. Nothing is changed then.
            (If a gradient becomes sparse later, `backward` raises this.)
        RuntimeError: a parameter was replaced or removed during the phase, for example by `load_state_dict(..., assign=True)` or a
            parametrization (raised by `step`, or on leaving); or something other than the optimizer, such as a second optimizer,
            changed pruned weights. The first change that a step or `backward` finds is a warning, and the next an error. A change
            that remains on leaving is an error, also without a warning before.
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
    """Begin a sparse phase: select masks, restart the optimizer, hold the masks. `options` are arguments of `select`.

    Raises:
        ValueError: see `sparse`. Model, optimizer and generator are unchanged then.
    """
    check_policy(state)
    followed(optimizer)  # raises before masks are selected
    with _undrawn_on_error(options.get("generator")):
        return take_hold(model, optimizer, select_masks(model, sparsity, **options), state)


@contextmanager
def _undrawn_on_error(generator: torch.Generator | None) -> Iterator[None]:
    drawn = torch.default_generator if generator is None else generator
    before = drawn.get_state()
    try:
        yield
    except BaseException:
        drawn.set_state(before)
        raise


def end(holding: Holding, model: nn.Module, optimizer: Optimizers, state: Policy) -> None:
    """End a sparse phase: check the pruned weights, remove the hooks, restart the optimizer.

    Raises:
        ValueError: see `restart`. The masks are still held then, and nothing is changed.
        RuntimeError: see `hold`. The hooks are removed then.
    """
    changes = planned(followed(optimizer), state, holding.masks, model)
    holding.let_go()
    for change in changes:
        change()


def take_hold(model: nn.Module, optimizer: Optimizers, masks: Masks, state: Policy | None = None) -> Holding:
    """Hold the masks and, if `state` is given, restart the optimizer with it. All checks run before any change.

    Raises:
        ValueError: see `hold` and `restart`. Nothing is changed then.
    """
    plain, optimizers = unwrap(model), followed(optimizer)
    holding = Holding(plain, optimizers, masks)
    changes = planned(optimizers, state, masks, model) if state is not None else []
    holding.start()
    for change in changes:
        change()
    return holding
