"""Restart of an optimizer's state at the start of a phase.

All arms call the same function, with or without masks, so that arms differ only in the mask.

After 5,000 steps, the mean size of the first update is 1.00 times the learning rate for fresh Adam, and 3.15 times for Adam with
zero moments and the old step count. It is 10 times (alpha 0.99) or 32 times (alpha 0.999) for fresh RMSprop without correction.
With this module, it is at most 1.06 times for all weights with "fresh", and for newly kept weights with "keep"
(tests/dsd/test_optimizer_state.py). For RMSprop, this needs a history of about 2 / (1 - alpha) steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor, nn

from dsd.packing import Masks
from dsd.parameters import all_names
from dsd.sharding import local, sharded, total
from dsd.wrapped_optimizers import Optimizers, followed
from dsd.zeroing import held_mask, prunes, zero_pruned_

Policy: TypeAlias = Literal["fresh", "keep"]
Change: TypeAlias = Callable[[], Any]

_FIRST_MOMENTS = ("momentum_buffer", "exp_avg", "grad_avg")
_DECAYING_AVERAGES = ("exp_avg_sq", "square_avg", "exp_inf", "acc_delta")
_KEPT_AS_THEY_ARE = ("max_exp_avg_sq", "sum", "prev", "step_size", "ax")
"""Other state per weight in `torch.optim`. It does not decay, and it does not change a weight whose gradient is zero."""
_COUNTERS = ("step", "k", "weight_sum", "lr_max", "lookahead_step")
"""Counters of a parameter group: timm's Adan and LAMB, schedule-free optimizers, timm's Lookahead."""


def check_policy(state: str) -> None:
    """Raise ValueError if the policy `state` is unknown."""
    if state not in get_args(Policy):
        raise ValueError(f"state must be one of {get_args(Policy)}, got {state!r}")


def restart(
    optimizer: Optimizers,
    state: Policy = "fresh",
    masks: Masks | None = None,
    *,
    model: nn.Module | None = None,
) -> None:
    """Prepare the state of `optimizer` for a new phase, in place.

    "fresh": the state of a new optimizer, with one exception. A mean square without bias correction (`square_avg` of RMSprop and
    Adadelta) restarts at its mean over the kept entries of the tensor. If it started at zero, the first step would be
    1 / sqrt(1 - alpha) times the learning rate. (A completely pruned tensor uses the mean over all entries, which has decayed in S,
    so its first update is larger.) If there is no mean square yet, it starts at the mean square of `.grad`. If there is no
    gradient either, the optimizer creates the state itself. Counters of parameter groups restart.

    "keep": the state continues. Changes are made only if `masks` are given. The momentum of pruned entries becomes zero. Their
    decaying averages (`exp_avg_sq`, `square_avg` and so on), which fall towards zero during the phase, are set to the mean over the
    kept entries of the tensor. So newly kept weights move as fast as the other weights. LBFGS drops its curvature pairs, which mix
    kept and pruned weights.

    Learning rates and other settings do not change.

    Args:
        optimizer: any optimizer of `torch.optim`, or with "keep" another one whose state has the same names; a wrapper, including
            all optimizers inside it; or a list of these.
        state: "fresh" or "keep".
        masks: the masks of the sparse phase that begins or ends here, if any.
        model: the model to which the names of the masks refer.

    Raises:
        ValueError: `state` is unknown; there are masks but no model; a mask's name is not a parameter; no optimizer was given;
            neither `optimizer` nor an optimizer inside it has step hooks; or, with "keep", the state of a weight with a mask has a
            tensor of its shape with a name that `torch.optim` does not use. Nothing is changed then.
    """
    for change in planned(followed(optimizer), state, masks, model):
        change()


def planned(
    optimizers: list[torch.optim.Optimizer], state: Policy, masks: Masks | None, model: nn.Module | None
) -> list[Change]:
    """Return the changes that `restart` makes, without making them. All checks that can fail run here.

    Raises:
        ValueError: see `restart`.
    """
    check_policy(state)
    kept_by_id = _kept_by_id(masks or {}, model)
    names = {id(p): name for name, p in reversed(list(all_names(model)))} if model is not None else {}
    changes: list[Change] = []
    for optimizer in optimizers:
        if state == "keep" and kept_by_id and isinstance(optimizer, torch.optim.LBFGS):
            changes.append(optimizer.state.clear)
            continue
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                kept = kept_by_id.get(id(parameter))
                if state == "fresh":
                    # If no mask is given, a mask that is held (of another sparse phase) shows which entries have decayed.
                    mask = held_mask(parameter) if kept is None else kept
                    changes.append(_fresh(optimizer, group, parameter, mask))
                elif kept is not None:
                    check_names(optimizer, parameter, names[id(parameter)])
                    changes += _revived(optimizer.state.get(parameter, {}), kept)
            if state == "fresh":
                changes += [partial(_count_anew, optimizer, group, name) for name in _COUNTERS if name in group]
    return changes


def _kept_by_id(masks: Masks, model: nn.Module | None) -> dict[int, Tensor]:
    """Return the masks that prune something, by id of the parameter."""
    if masks and model is None:
        raise ValueError("masks are kept by name: restart(..., masks, model=...) needs the model")
    parameters = dict(all_names(model)) if model is not None else {}
    for name in masks:
        if name not in parameters:
            raise ValueError(f"mask {name!r} belongs to no parameter of the model")
    return {id(parameters[n]): mask.to(parameters[n].device) for n, mask in masks.items() if prunes(mask)}


def check_names(optimizer: torch.optim.Optimizer, parameter: Tensor, name: str) -> None:
    """Raise ValueError if the state of `parameter` has a tensor of its shape with an unknown name."""
    known = (*_FIRST_MOMENTS, *_DECAYING_AVERAGES, *_KEPT_AS_THEY_ARE)
    for key, entry in optimizer.state.get(parameter, {}).items():
        if isinstance(entry, Tensor) and entry.shape == parameter.shape and entry.ndim and key not in known:
            raise ValueError(
                f"{type(optimizer).__name__} keeps {key!r} for {name}; how to treat it for pruned weights is known only of "
                f"{', '.join(known)}: use state='fresh', or add {name} to `skip`"
            )


def moved(
    optimizers: list[torch.optim.Optimizer], parameter: Tensor, name: str, before: Tensor, after: Tensor
) -> list[Change]:
    """Return the changes to a weight's state when its mask moves from `before` to `after`, without making them.

    Raises:
        ValueError: see `check_names`.
    """
    changes: list[Change] = []
    for optimizer in optimizers:
        state = optimizer.state.get(parameter, {})
        if not state:
            continue
        check_names(optimizer, parameter, name)
        if isinstance(optimizer, torch.optim.LBFGS):
            changes.append(optimizer.state.clear)
            continue
        unmoved, stayed = before == after, before & after
        for key, entry in state.items():
            if not isinstance(entry, Tensor) or entry.shape != parameter.shape or key == "step_size":
                continue
            if key in _DECAYING_AVERAGES:
                changes.append(partial(_fill_pruned, entry, unmoved, _kept_mean(entry, stayed)))
                changes.append(partial(zero_pruned_, entry, after))
            else:
                changes.append(partial(zero_pruned_, entry, unmoved))
    return changes


def _count_anew(optimizer: torch.optim.Optimizer, group: dict[str, Any], name: str) -> None:
    if name in optimizer.defaults:
        group[name] = optimizer.defaults[name]
    elif name == "step":  # for optimizers that treat 0 like a missing step count
        group[name] = torch.zeros_like(group[name]) if isinstance(group[name], Tensor) else 0


def _fresh(optimizer: torch.optim.Optimizer, group: dict[str, Any], parameter: Tensor, kept: Tensor | None) -> Change:
    state = optimizer.state.get(parameter, {})
    if "square_avg" in state:
        return partial(_zero_all_but_fill, state, "square_avg", _kept_mean(_real(state["square_avg"]), kept))
    if "sum" in state and "initial_accumulator_value" in group:  # Adagrad creates its state in its constructor
        return partial(_zero_all_but_fill, state, "sum", group["initial_accumulator_value"])
    gradient = parameter.grad
    if isinstance(optimizer, torch.optim.RMSprop | torch.optim.Adadelta) and gradient is not None:
        mean_square = _kept_mean(_real(gradient.detach()).square(), kept)
        return partial(optimizer.state.__setitem__, parameter, _first_state(optimizer, group, parameter, mean_square))
    return partial(_forget, optimizer, parameter)


def _forget(optimizer: torch.optim.Optimizer, parameter: Tensor) -> None:
    optimizer.state.pop(parameter, None)


def _zero_all_but_fill(state: dict[str, Any], name: str, value: float) -> None:
    for key, entry in state.items():
        if isinstance(entry, Tensor):
            _real(local(entry)).fill_(value if key == name else 0.0)
        elif key == "step":
            state[key] = 0


def _first_state(
    optimizer: torch.optim.Optimizer, group: dict[str, Any], parameter: Tensor, mean_square: float
) -> dict[str, Any]:
    """Return the initial state of RMSprop and Adadelta, with `mean_square` instead of zero."""
    on_device = group["capturable"] or (isinstance(optimizer, torch.optim.RMSprop) and group["differentiable"])
    scalar = torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32
    state = {
        "step": torch.zeros((), dtype=scalar, device=parameter.device if on_device else "cpu"),
        "square_avg": torch.zeros_like(parameter, requires_grad=False),
    }
    _real(local(state["square_avg"])).fill_(mean_square)
    wanted = {
        "acc_delta": isinstance(optimizer, torch.optim.Adadelta),
        "momentum_buffer": group.get("momentum", 0) > 0,
        "grad_avg": group.get("centered", False),
    }
    return state | {k: torch.zeros_like(parameter, requires_grad=False) for k, yes in wanted.items() if yes}


def _revived(state: dict[str, Any], kept: Tensor) -> list[Change]:
    def entries(keys: tuple[str, ...]) -> list[Tensor]:
        return [entry for entry in map(state.get, keys) if isinstance(entry, Tensor) and entry.shape == kept.shape]

    return [
        *(partial(zero_pruned_, entry, kept) for entry in entries(_FIRST_MOMENTS)),
        *(partial(_fill_pruned, entry, kept, _kept_mean(entry, kept)) for entry in entries(_DECAYING_AVERAGES)),
    ]


def _fill_pruned(entry: Tensor, kept: Tensor, value: float) -> None:
    local(entry).masked_fill_(~local(kept), value)


def _real(values: Tensor) -> Tensor:
    """Return a view of complex numbers as pairs of real numbers, as optimizers treat them. Return other values unchanged."""
    return torch.view_as_real(values) if values.is_complex() else values


def _kept_mean(values: Tensor, kept: Tensor | None) -> float:
    """Return the mean over the kept entries, because pruned entries have decayed.

    If `values` do not have the shape of the mask, or the mask keeps nothing, return the mean over all values.
    """
    if kept is not None and kept.shape == values.shape and (count := _sum(local(kept).count_nonzero(), kept)):
        return _sum(torch.where(local(kept), local(values), 0.0).sum(dtype=torch.float64), values) / count
    if not values.numel():
        return 0.0
    if sharded(values):
        return _sum(local(values).sum(dtype=torch.float64), values) / values.numel()
    return float(values.mean(dtype=torch.float64))


def _sum(part: Tensor, like: Tensor) -> float:
    return float(total(part, like))
