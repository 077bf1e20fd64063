"""Hooks on gradients and optimizer steps that hold pruned weights at zero, and detect if anything else changes these."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dsd.masks import from_rank_0
from dsd.optimizer_state import moved
from dsd.packing import Masks, mask_like
from dsd.parameters import all_names, did_you_mean, unfit
from dsd.sharding import local, sharded
from dsd.wrapped_optimizers import names, others, stepped
from dsd.zeroing import GradientMask, any_pruned, held_mask, prunes, zero_pruned_

PACE = 100
"""Steps between two routine checks of values on a GPU, because each check waits for the GPU."""


class Held(Mapping[str, Tensor]):
    """The masks of a sparse phase by parameter name, during the phase and afterwards.

    These are the tensors in use. Replace them with `move`; never write to them. A copy or pickle is a plain dict.
    """

    def __init__(self, masks: dict[str, Tensor], holding: Holding) -> None:
        self._masks, self._holding = masks, holding

    def __getitem__(self, name: str) -> Tensor:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __repr__(self) -> str:
        return f"Held({self._masks!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self._masks,)

    def move(self, masks: Masks) -> None:
        """Replace masks between two steps.

        Newly pruned weights, their gradients and their optimizer state become +0.0. Newly kept weights and their momentum start at
        +0.0. Their decaying averages (`exp_avg_sq`, `square_avg` and so on) start at the mean over those weights of the tensor that
        both masks keep. If they started at zero, the first step would be 3 times the learning rate with Adam and 10 to 32 times
        with RMSprop. Step counts continue. LBFGS drops its curvature pairs.

        Under `torch.distributed` with more than one process, every process must call this with masks of the same names. All use
        the masks of rank 0.

        Args:
            masks: bool masks by name, of the weights' shapes, True where kept. Masks that are not given do not change.

        Raises:
            ValueError: a name has no mask; a mask is not bool of the weight's shape; the weight's gradient is sparse; or the
                optimizer's state has a name that `torch.optim` does not use (see `restart`). Nothing is changed then.
            RuntimeError: the sparse phase is over.
        """
        self._holding.move(masks)


class Holding:
    """Zeroes pruned weights after every step of `optimizers`, and checks whether anything else has changed them.

    The check is cheap. Before each step it compares the version counter of every tensor, which most writes increase. It also reads
    all values of one tensor per step, in rotation; on a GPU only in every hundredth step.
    """

    def __init__(self, plain: nn.Module, optimizers: list[torch.optim.Optimizer], masks: Masks) -> None:
        self.plain, self.optimizers = plain, optimizers
        self.parameters: dict[str, nn.Parameter] = {}
        self.masks: dict[str, Tensor] = {}
        self.held = Held(self.masks, self)
        self._pruned: list[str] = []  # without masks that prune nothing, which need no hooks
        self._on_steps: list[RemovableHandle] = []
        self._on_gradients: dict[str, RemovableHandle] = {}
        self._versions: dict[str, int] = {}
        self.over = False
        self._pace = 1
        self._steps = 0
        self._moved = 0  # how often something other than the optimizers changed pruned weights
        self._moved_now: set[str] = set()  # names of weights changed since the last step
        self._raised = False  # whether an error was raised
        known, reached = dict(all_names(plain)), stepped(optimizers)
        for name, mask in masks.items():
            self._fit(name, mask, known, reached)
        if any(mask.device.type != "cpu" for mask in self.masks.values()):
            self._pace = PACE

    def start(self) -> None:
        """Register all hooks, then zero pruned weights."""
        try:
            self._register()
        except BaseException:
            self.release()
            raise
        for name in self._pruned:
            self._apply(name)

    def let_go(self) -> None:
        """Check the pruned weights, then remove all hooks.

        Raises:
            RuntimeError: see `check`.
        """
        try:
            self.check()
        finally:
            self.release()

    def release(self) -> None:
        """Remove all hooks."""
        self.over = True
        for handle in (*self._on_steps, *self._on_gradients.values()):
            handle.remove()

    def check(self) -> None:
        """Check all pruned weights.

        Raises:
            RuntimeError: a pruned weight is not zero, or a parameter was replaced in the model.
        """
        for name in self._pruned if not self._raised else ():
            self._require_in_place(name)
            if any_pruned(self.parameters[name], self.masks[name]):
                raise RuntimeError(self._explain(name, "at the end of the sparse phase"))

    def move(self, masks: Masks) -> None:
        """See `Held.move`."""
        if self.over:
            raise RuntimeError("the sparse phase is over: its masks no longer move")
        changes, arrived = [], {}
        for name, mask in masks.items():
            if name not in self.masks:
                raise ValueError(f"{name} is not held, so its mask cannot move{did_you_mean(name, self.masks)}")
            self._require_fit(name, mask, self.parameters[name])
            GradientMask.check(name, self.parameters[name])
            own = mask.detach().clone()  # a copy, because the caller may change its tensor afterwards
            own = mask_like(self.parameters[name], own if sharded(own) else from_rank_0(own))
            changes += moved(self.optimizers, self.parameters[name], name, self.masks[name], own)
            arrived[name] = own
        for change in changes:
            change()
        self.masks |= arrived
        self._register()
        for name in arrived:
            if name in self._pruned:
                self._apply(name)

    def _fit(self, name: str, mask: Tensor, known: Mapping[str, nn.Parameter], reached: set[int]) -> None:
        if name not in known:
            raise ValueError(f"mask {name!r} belongs to no parameter of the model{did_you_mean(name, known)}")
        parameter = known[name]
        self._require_fit(name, mask, parameter)
        if id(parameter) not in reached:
            raise ValueError(f"the optimizer does not hold {name}; add it to a parameter group or to `skip`")
        if reason := unfit(parameter):
            raise ValueError(f"{name} {reason}")
        if held_mask(parameter) is not None or any(parameter is other for other in self.parameters.values()):
            raise ValueError(f"{name} is held by a mask already")
        if prunes(mask):
            GradientMask.check(name, parameter)
        self.parameters[name], self.masks[name] = parameter, mask_like(parameter, mask)

    @staticmethod
    def _require_fit(name: str, mask: Tensor, parameter: Tensor) -> None:
        if mask.shape != parameter.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"the mask of {name} must be bool {tuple(parameter.shape)}, got {mask.dtype} {tuple(mask.shape)}"
            )

    def _register(self) -> None:
        """Register hooks for every mask that prunes something."""
        self._pruned = [name for name, mask in self.masks.items() if prunes(mask)]
        for handle in self._on_gradients.values():
            handle.remove()
        self._on_gradients.clear()
        for name in self._pruned:
            if self.parameters[name].requires_grad:
                hook = GradientMask(name, self.masks[name], self._after_backward)
                self._on_gradients[name] = self.parameters[name].register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
        if self._pruned and not self._on_steps:
            for optimizer in self.optimizers:
                self._on_steps.append(optimizer.register_step_pre_hook(self._before_step))
                self._on_steps.append(optimizer.register_step_post_hook(self._after_step))

    def _apply(self, name: str) -> None:
        self._zero(name)
        GradientMask(name, self.masks[name]).apply(self.parameters[name])  # an existing gradient

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        turn, between = divmod(self._steps, self._pace)
        self._steps += 1
        for number, name in enumerate(self._pruned):
            self._look(name, everything=not between and number == turn % len(self._pruned))

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for name in self._pruned:
            self._require_in_place(name)
            self._zero(name)
        self._moved_now.clear()

    def _after_backward(self, name: str) -> None:
        if not self._steps:  # the optimizer may never step
            self._look(name)

    def _look(self, name: str, everything: bool = False) -> None:
        version = local(self.parameters[name])._version
        changed = version != self._versions[name]
        if not (changed or everything):
            return
        self._versions[name] = version
        again = name in self._moved_now
        if (again and not changed) or not any_pruned(self.parameters[name], self.masks[name]):
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
        zero_pruned_(self.parameters[name], self.masks[name])
        self._versions[name] = local(self.parameters[name])._version

    def _require_in_place(self, name: str) -> None:
        try:
            there: object = self.plain.get_parameter(name)
        except AttributeError:
            there = None
        if there is not self.parameters[name]:
            self._raised = True
            raise RuntimeError(f"{name} was replaced while its mask was held; leave the phase first, then hold again")

    def _explain(self, name: str, when: str) -> str:
        who = names(others(self.parameters[name], self.optimizers))
        culprit = f" {who} holds it too." if who else ""
        return (
            f"pruned weights of {name} are not zero {when}: something other than {names(self.optimizers)} has changed them, such "
            f"as a second optimizer that holds {name}, a wrapper that writes weights after the step that it wraps (pass that "
            f"optimizer, if it has step hooks), or load_state_dict.{culprit} Step {name} with the optimizers given here alone, or "
            "add it to `skip`"
        )
