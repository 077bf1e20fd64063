"""Pruned weights are held at zero: by hooks on their gradients and on the steps, which also notice who moves them otherwise."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dsd.mask import GradientMask, Masks, any_pruned, held_mask, zero_pruned_
from dsd.selection import all_names, did_you_mean, unfit
from dsd.wrapping import names, stepped

Held = dict[str, tuple[nn.Parameter, Tensor]]

ALL_OF_THE_FIRST = 32
"""Steps before which every pruned weight is looked at."""
ONE_IN = 97
"""Of the later steps, before which they are: a prime, to meet whatever happens every so many steps."""


def fitting(plain: nn.Module, optimizers: list[torch.optim.Optimizer], masks: Masks) -> Held:
    """Return parameter and mask by name, without the masks that prune nothing.

    Raises:
        ValueError: one does not fit.
    """
    parameters = dict(all_names(plain))
    reached = stepped(optimizers)
    held: Held = {}
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(f"mask {name!r} belongs to no parameter of the model{did_you_mean(name, parameters)}")
        parameter = parameters[name]
        if mask.shape != parameter.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"the mask of {name} must be bool {tuple(parameter.shape)}, got {mask.dtype} {tuple(mask.shape)}"
            )
        if id(parameter) not in reached:
            raise ValueError(f"the optimizer does not hold {name}; add it to a parameter group or to `skip`")
        if reason := unfit(parameter):
            raise ValueError(f"{name} {reason}")
        if held_mask(parameter) is not None or any(parameter is other for other, _ in held.values()):
            raise ValueError(f"{name} is held by a mask already")
        if not mask.all():
            GradientMask.check(name, parameter)
            # The weight's own layout and device: zero_pruned_ is then one pass over memory.
            held[name] = (parameter, torch.empty_like(parameter, dtype=torch.bool, requires_grad=False).copy_(mask))
    return held


class Holding:
    """Zeroes what is pruned after every step of `optimizers`, and looks whether anything else has moved it.

    Looking is cheap: at a tensor's version, which changes with most ways to write to it, and at all values before the
    first steps and some of the later ones.
    """

    def __init__(self, plain: nn.Module, optimizers: list[torch.optim.Optimizer], held: Held) -> None:
        self.plain, self.optimizers, self.held = plain, optimizers, held
        self._versions: dict[str, int] = {}
        self._steps = 0
        self._moved = 0  # how often something else was found to have moved them
        self._moved_now: set[str] = set()  # since the last step
        self._raised = False  # whether the user has been told already

    def start(self, stack: ExitStack) -> None:
        """Register all hooks, to be removed by `stack`; then zero what is pruned."""
        for one in self.optimizers if self.held else ():
            stack.callback(one.register_step_pre_hook(self._before_step).remove)
            stack.callback(one.register_step_post_hook(self._after_step).remove)
        masks = [GradientMask(name, kept, self._after_backward) for name, (_, kept) in self.held.items()]
        for mask, (parameter, _) in zip(masks, self.held.values(), strict=True):
            if parameter.requires_grad:
                stack.callback(_register(parameter, mask).remove)
        for mask, (parameter, _) in zip(masks, self.held.values(), strict=True):
            self._zero(mask.name)
            mask.apply(parameter)  # a gradient that is there already

    def end(self) -> None:
        """Look at everything once more.

        Raises:
            RuntimeError: a pruned weight is not zero, or a parameter is no longer the model's.
        """
        for name, (parameter, kept) in self.held.items() if not self._raised else ():
            self._require_in_place(name)
            if any_pruned(parameter, kept):
                raise RuntimeError(self._explain(name, "at the end of the sparse phase"))

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._steps += 1
        for name in self.held:
            self._look(name, everything=self._steps <= ALL_OF_THE_FIRST or self._steps % ONE_IN == 0)

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for name in self.held:
            self._require_in_place(name)
            self._zero(name)
        self._moved_now.clear()

    def _after_backward(self, name: str) -> None:
        if not self._steps:  # perhaps no step will ever be seen
            self._look(name)

    def _look(self, name: str, everything: bool = False) -> None:
        parameter, kept = self.held[name]
        changed = parameter._version != self._versions[name]
        if not (changed or everything):
            return
        self._versions[name] = parameter._version
        again = name in self._moved_now
        if (again and not changed) or not any_pruned(parameter, kept):
            return
        first = not self._moved_now
        self._moved_now.add(name)
        if first or again:
            self._tell(self._explain(name, "before a step" if self._steps else "and no step has been taken"))

    def _tell(self, what: str) -> None:
        self._moved += 1
        if self._moved > 1:
            self._raised = True
            raise RuntimeError(what)
        warnings.warn(f"{what}. The next step zeroes them; a second time is an error", stacklevel=3)

    def _zero(self, name: str) -> None:
        parameter, kept = self.held[name]
        zero_pruned_(parameter, kept)
        self._versions[name] = parameter._version

    def _require_in_place(self, name: str) -> None:
        try:
            there: object = self.plain.get_parameter(name)
        except AttributeError:
            there = None
        if there is not self.held[name][0]:
            self._raised = True
            raise RuntimeError(f"{name} was replaced while its mask was held; leave the phase first, then hold again")

    def _explain(self, name: str, when: str) -> str:
        return (
            f"pruned weights of {name} are not zero {when}: something beside {names(self.optimizers)} has changed them, such as "
            f"a second optimizer that holds {name}, a wrapper that writes weights after the step that it wraps (pass that "
            f"optimizer, if it has step hooks), or load_state_dict. Step {name} with the optimizer given here alone, or add it "
            "to `skip`"
        )


def _register(parameter: nn.Parameter, mask: Callable[[Tensor], None]) -> RemovableHandle:
    handle: RemovableHandle = parameter.register_post_accumulate_grad_hook(mask)  # type: ignore[no-untyped-call]
    return handle
