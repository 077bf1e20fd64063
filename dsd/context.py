"""The sparse phase as a context manager: hold the masks, then let go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from dsd.holding import Holding, fitting
from dsd.mask import Masks, Scope, Selection
from dsd.mask import select as select_masks
from dsd.selection import unwrap
from dsd.state import Policy, check_policy, planned, restart
from dsd.wrapping import followed


@contextmanager
def sparse(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    sparsity: float,
    *,
    skip: Iterable[str] = (),
    scope: Scope = "layer",
    select: Selection = "magnitude",
    generator: torch.Generator | None = None,
    state: Policy = "fresh",
) -> Iterator[dict[str, Tensor]]:
    """Run a sparse phase: draw masks, hold them while the body trains, then let go.

        with dsd.sparse(model, optimizer, sparsity=0.3) as masks:
            train(model, optimizer, ...)

    Entering and leaving both start a phase, so both `restart` the optimizer under the policy `state` (leaving
    by an exception does not): all of the optimizer's parameters, under a mask or not. The model stays plain throughout,
    and nothing is left on it or on the optimizer afterwards. To go on inside a sparse phase from a checkpoint, use `hold`,
    and after it `restart`, as leaving does here.

    Args:
        model: the model, wrapped or not.
        optimizer: the one that steps its weights, or a wrapper around it.
        sparsity: the share of weights to prune, in [0, 1].
        skip: what to spare; see `prunable`.
        scope: "layer" or "global"; see `select`.
        select: "magnitude" or "random"; see `select`.
        generator: for "random"; see `select`.
        state: what becomes of the optimizer's state; see `restart`.

    Yields:
        mask by parameter name.

    Raises:
        ValueError: see `select`, `hold` and `restart`; model and optimizer have not been changed then.
        RuntimeError: see `hold`.
    """
    check_policy(state)
    optimizers = followed(optimizer)
    masks = select_masks(model, sparsity, skip=skip, scope=scope, select=select, generator=generator)
    with _held(model, optimizers, masks, planned(optimizers, state, masks, model)):
        yield masks
    restart(optimizer, state, masks, model=model)


@contextmanager
def hold(model: nn.Module, optimizer: torch.optim.Optimizer, masks: Masks) -> Iterator[Masks]:
    """Keep pruned weights at exactly +0.0 while the body runs: after entry, and after every step.

    Selects nothing and leaves the optimizer's state alone: the verb for going on inside a sparse phase. Where that phase
    ends, `restart(optimizer, masks=masks, model=model)` does what leaving `sparse` does.

    Gradients of pruned weights are zeroed as soon as they are accumulated, before gradient clipping or
    DistributedDataParallel reads them; the weights themselves after `optimizer.step`. A mask that prunes nothing costs
    nothing and changes nothing.

    Args:
        model: the model, wrapped or not.
        optimizer: the one that steps its weights, or a wrapper around it: what is followed is every step, of the wrapper and of
            the optimizers inside, that has torch's step hooks.
        masks: by parameter name; of the weight's shape, True where kept.

    Yields:
        `masks`.

    Raises:
        ValueError: a mask names no parameter, or is not bool of the parameter's shape; the optimizer does not hold its
            weight, or has no step hooks, nor has one inside it; the weight is held already, or no plain tensor; a gradient
            is sparse. Nothing has been changed then. (A gradient that becomes sparse later: raised by `backward`.)
        RuntimeError: a parameter was replaced or removed while it was held (raised by `step`), as by
            `load_state_dict(..., assign=True)` or a parametrization; pruned weights were changed by something other than the
            steps that are followed, such as a second optimizer (raised by `step` or `backward` after a warning the first time,
            or on leaving).
    """
    with _held(model, followed(optimizer), masks, ()):
        yield masks


@contextmanager
def _held(
    model: nn.Module, optimizers: list[torch.optim.Optimizer], masks: Masks, at_entry: Iterable[Callable[[], None]]
) -> Iterator[None]:
    """Hold the masks; do what is planned for the entry after all that can be refused, before the body."""
    plain = unwrap(model)
    holding = Holding(plain, optimizers, fitting(plain, optimizers, masks))
    with ExitStack() as stack:
        holding.start(stack)
        for change in at_entry:
            change()
        yield
        holding.end()
