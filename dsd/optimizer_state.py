"""What becomes of an optimizer's state where a phase starts.

Every arm calls the same function, masked or not, so that arms differ by the mask alone. Mean size of the first update
after 5,000 steps, in learning rates: a fresh Adam 1.00, Adam with its moments zeroed but its step count kept 3.15, a
naively fresh RMSprop 10 (alpha 0.99) or 32 (alpha 0.999). Here all weights under "fresh" and revived weights under
"keep" move 1.06 at most on average (tests/dsd/test_optimizer_state.py), given some 2 / (1 - alpha) steps of history for RMSprop.
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
from dsd.wrapping import Optimizers, followed
from dsd.zeroing import held_mask, prunes, zero_pruned_

Policy: TypeAlias = Literal["fresh", "keep"]
Change: TypeAlias = Callable[[], Any]

_FIRST_MOMENTS = ("momentum_buffer", "exp_avg", "grad_avg")
_DECAYING_AVERAGES = ("exp_avg_sq", "square_avg", "exp_inf", "acc_delta")
_KEPT_AS_THEY_ARE = ("max_exp_avg_sq", "sum", "prev", "step_size", "ax")
"""What else `torch.optim` keeps for each weight: none of it decays, and none moves a weight whose gradient is zero."""
_COUNTERS = ("step", "k", "weight_sum", "lr_max", "lookahead_step")
"""Of a whole parameter group: timm's Adan and LAMB, schedule-free optimizers, timm's Lookahead."""


def check_policy(policy: str) -> None:
    """Raise ValueError if `policy` is none."""
    if policy not in get_args(Policy):
        raise ValueError(f"optimizer state policy must be one of {get_args(Policy)}, got {policy!r}")


def restart(
    optimizer: Optimizers,
    policy: Policy = "fresh",
    masks: Masks | None = None,
    *,
    model: nn.Module | None = None,
) -> None:
    """Treat the state of `optimizer` as a new phase wants it, in place.

    "fresh": the state of a new optimizer, with one exception: a mean square without bias correction (`square_avg` of
    RMSprop and Adadelta) restarts at its mean over the tensor's kept entries, since from zero the first step would be
    1 / sqrt(1 - alpha) learning rates. (A tensor that is pruned wholly has its own mean, which has decayed in S: its first
    update is larger.) With no history it starts at the mean square of `.grad`, and with no gradient either it is left to
    the optimizer. Counters of a whole parameter group start anew.

    "keep": the state goes on. Only where `masks` are given, pruned entries lose their momentum, and their decaying
    averages (`exp_avg_sq`, `square_avg` ...), which fall towards zero while they are held, take the mean of the
    tensor's kept entries: revived weights move at their neighbours' pace. LBFGS forgets its curvature pairs, which
    mix kept and pruned weights.

    Learning rates and other settings are not touched.

    Args:
        optimizer: any of `torch.optim`; of others, under "keep", those whose state is named as there. Of a wrapper, and of
            what it wraps, all; or a list.
        policy: "fresh" or "keep".
        masks: the masks of the sparse phase that begins or ends here, if one does.
        model: the model the masks' names refer to.

    Raises:
        ValueError: no such policy; masks without a model; a mask's name is no parameter; `optimizer` has no step hooks, nor
            has one inside it; under "keep", the state of a weight with a mask has a tensor of its shape under a name that
            `torch.optim` does not use. Nothing has been changed then.
    """
    for change in planned(followed(optimizer), policy, masks, model):
        change()


def planned(
    optimizers: list[torch.optim.Optimizer], policy: Policy, masks: Masks | None, model: nn.Module | None
) -> list[Change]:
    """Return what `restart` would do, step by step; nothing is changed yet, and whatever may fail has been done.

    Raises:
        ValueError: see `restart`.
    """
    check_policy(policy)
    kept_by_id = _kept_by_id(masks or {}, model)
    names = {id(p): name for name, p in reversed(list(all_names(model)))} if model is not None else {}
    changes: list[Change] = []
    for optimizer in optimizers:
        if policy == "keep" and kept_by_id and isinstance(optimizer, torch.optim.LBFGS):
            changes.append(optimizer.state.clear)
            continue
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                kept = kept_by_id.get(id(parameter))
                if policy == "fresh":
                    # What another sparse phase holds has decayed where that phase prunes.
                    mask = held_mask(parameter) if kept is None else kept
                    changes.append(_fresh(optimizer, group, parameter, mask))
                elif kept is not None:
                    check_names(optimizer, parameter, names[id(parameter)])
                    changes += _revived(optimizer.state.get(parameter, {}), kept)
            if policy == "fresh":
                changes += [partial(_count_anew, optimizer, group, name) for name in _COUNTERS if name in group]
    return changes


def _kept_by_id(masks: Masks, model: nn.Module | None) -> dict[int, Tensor]:
    """Return the masks that prune something, by their parameter's id."""
    if masks and model is None:
        raise ValueError("masks are kept by name: restart(..., masks, model=...) needs the model")
    parameters = dict(all_names(model)) if model is not None else {}
    for name in masks:
        if name not in parameters:
            raise ValueError(f"mask {name!r} belongs to no parameter of the model")
    return {id(parameters[n]): mask.to(parameters[n].device) for n, mask in masks.items() if prunes(mask)}


def check_names(optimizer: torch.optim.Optimizer, parameter: Tensor, name: str) -> None:
    """Raise ValueError if the state of `parameter` holds a tensor of its shape of which nobody can say what a mask does to it."""
    known = (*_FIRST_MOMENTS, *_DECAYING_AVERAGES, *_KEPT_AS_THEY_ARE)
    for key, entry in optimizer.state.get(parameter, {}).items():
        if isinstance(entry, Tensor) and entry.shape == parameter.shape and entry.ndim and key not in known:
            raise ValueError(
                f"{type(optimizer).__name__} keeps {key!r} for {name}, and what becomes of that where weights are pruned is "
                f"known of {', '.join(known)} alone: use state='fresh', or add {name} to `skip`"
            )


def moved(
    optimizers: list[torch.optim.Optimizer], parameter: Tensor, name: str, before: Tensor, after: Tensor
) -> list[Change]:
    """Return the changes to a weight's state where its mask moves from `before` to `after`; nothing is changed yet.

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
    elif name == "step":  # which makes its first step out of 0, as out of nothing
        group[name] = torch.zeros_like(group[name]) if isinstance(group[name], Tensor) else 0


def _fresh(optimizer: torch.optim.Optimizer, group: dict[str, Any], parameter: Tensor, kept: Tensor | None) -> Change:
    state = optimizer.state.get(parameter, {})
    if "square_avg" in state:
        return partial(_zero_all_but_fill, state, "square_avg", _kept_mean(_real(state["square_avg"]), kept))
    if "sum" in state and "initial_accumulator_value" in group:  # Adagrad makes its state when it is made itself
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
    """Return what RMSprop and Adadelta make at their first step, with `mean_square` in place of zero."""
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
        found = [state.get(key) for key in keys]
        return [entry for entry in found if isinstance(entry, Tensor) and entry.shape == kept.shape]

    return [
        *(partial(zero_pruned_, entry, kept) for entry in entries(_FIRST_MOMENTS)),
        *(partial(_fill_pruned, entry, kept, _kept_mean(entry, kept)) for entry in entries(_DECAYING_AVERAGES)),
    ]


def _fill_pruned(entry: Tensor, kept: Tensor, value: float) -> None:
    local(entry).masked_fill_(~local(kept), value)


def _real(values: Tensor) -> Tensor:
    """Return a view of complex numbers as pairs, which is how optimizers treat them; others as they are."""
    return torch.view_as_real(values) if values.is_complex() else values


def _kept_mean(values: Tensor, kept: Tensor | None) -> float:
    """Return the mean over the kept entries: pruned ones have decayed and must not count.

    Values that are not one for each weight of a mask have all of them in their mean.
    """
    # A wholly pruned tensor has no better figure than its own mean.
    if kept is not None and kept.shape == values.shape and (count := _sum(local(kept).count_nonzero(), kept)):
        return _sum(torch.where(local(kept), local(values), 0.0).sum(dtype=torch.float64), values) / count
    if not values.numel():
        return 0.0
    if sharded(values):
        return _sum(local(values).sum(dtype=torch.float64), values) / values.numel()
    return float(values.mean(dtype=torch.float64))


def _sum(part: Tensor, like: Tensor) -> float:
    return float(total(part, like))
