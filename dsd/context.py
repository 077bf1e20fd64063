"""The sparse phase as a context manager: hold the masks, then let go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dsd.mask import GradientMask, Masks, Scope, Selection, held_mask, zero_pruned_
from dsd.mask import select as select_masks
from dsd.selection import all_names, did_you_mean, unwrap
from dsd.state import Policy, check_policy, restart


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
        optimizer: the one that steps its weights.
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
    masks = select_masks(model, sparsity, skip=skip, scope=scope, select=select, generator=generator)
    with hold(model, optimizer, masks):
        restart(optimizer, state, masks, model=model)
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
        optimizer: the one that steps its weights.
        masks: by parameter name; of the weight's shape, True where kept.

    Yields:
        `masks`.

    Raises:
        ValueError: a mask names no parameter, or is not bool of the parameter's shape; the optimizer does not hold its
            weight; the weight is held already; a gradient is sparse (one that is there already, before anything is
            changed; else raised by `backward`).
        RuntimeError: a parameter was replaced or removed while it was held (raised by `step`), as by
            `load_state_dict(..., assign=True)` or a parametrization.
    """
    plain = unwrap(model)
    held = _checked(plain, optimizer, masks)

    def after_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for name, (parameter, kept) in held.items():
            if _find(plain, name) is not parameter:
                raise RuntimeError(
                    f"{name} was replaced while its mask was held; leave the phase first, then hold again"
                )
            zero_pruned_(parameter, kept)

    with ExitStack() as stack:
        for name, (parameter, kept) in held.items():
            zero_pruned_(parameter, kept)
            mask = GradientMask(name, kept)
            mask(parameter)  # a gradient that is there already
            if parameter.requires_grad:
                stack.callback(_register(parameter, mask).remove)
        if held:
            stack.callback(optimizer.register_step_post_hook(after_step).remove)
        yield masks


def _checked(
    plain: nn.Module, optimizer: torch.optim.Optimizer, masks: Masks
) -> dict[str, tuple[nn.Parameter, Tensor]]:
    """Return parameter and mask by name, without the masks that prune nothing; ValueError where one does not fit."""
    parameters = dict(all_names(plain))
    stepped = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    held: dict[str, tuple[nn.Parameter, Tensor]] = {}
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(f"mask {name!r} belongs to no parameter of the model{did_you_mean(name, parameters)}")
        parameter = parameters[name]
        if mask.shape != parameter.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"the mask of {name} must be bool {tuple(parameter.shape)}, got {mask.dtype} {tuple(mask.shape)}"
            )
        if id(parameter) not in stepped:
            raise ValueError(f"the optimizer does not hold {name}; add it to a parameter group or to `skip`")
        if held_mask(parameter) is not None or any(parameter is other for other, _ in held.values()):
            raise ValueError(f"{name} is held by a mask already")
        if not mask.all():
            GradientMask.check(name, parameter)
            # The weight's own layout and device: zero_pruned_ is then one pass over memory.
            held[name] = (parameter, torch.empty_like(parameter, dtype=torch.bool, requires_grad=False).copy_(mask))
    return held


def _find(plain: nn.Module, name: str) -> nn.Parameter | None:
    """Return the parameter of that name, None where there is none any more."""
    try:
        return plain.get_parameter(name)
    except AttributeError:
        return None


def _register(parameter: nn.Parameter, mask: GradientMask) -> RemovableHandle:
    handle: RemovableHandle = parameter.register_post_accumulate_grad_hook(mask)  # type: ignore[no-untyped-call]
    return handle
