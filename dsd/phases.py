"""Sparse phases by step number, with a state for checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from dsd.holding import Held, Holding
from dsd.masks import Scope, Selection
from dsd.optimizer_state import Policy, check_policy
from dsd.packing import pack, unpack
from dsd.parameters import unwrap
from dsd.schedule import Schedule
from dsd.sparse_phase import begin as begin_phase
from dsd.sparse_phase import end as end_phase
from dsd.sparse_phase import take_hold
from dsd.sparsity import Sparsity, check_sparsity
from dsd.wrapped_optimizers import Optimizers, followed


class Phases:
    """Dense, sparse and re-dense phases by step number, run on a model; a `Phase` is only data, one phase of a `Schedule`.

        phases = dsd.Phases(sparsity=0.3, begin=10_000, end=15_000)
        for step, batch in enumerate(batches, start):
            phases.at(step, model, optimizer)
            ...

    Call `at` before every step. Step `begin` does the same as entering `sparse` (select and hold masks), and step `end` the same as
    leaving it (release the weights). Save `state_dict()` together with the state of model and optimizer and the number of steps
    taken. A run resumed at that step equals an uninterrupted run. If training ends inside a sparse phase, call `close`. With a
    sparsity of 0, nothing is pruned, but the optimizer restarts, as in the equal-budget control.

    Args:
        sparsity: the share to prune, or shares by pattern (see `select`); for several phases a list, or one value for all.
        begin: the first step of the sparse phase, counted from 0; for several phases a list.
        end: the first step after the sparse phase; for several phases a list.
        skip: parameters not to prune; see `prunable`.
        scope: "layer" or "global"; see `select`.
        select: "magnitude" or "random"; see `select`.
        generator: for "random"; `state_dict` includes its state.
        state: treatment of the optimizer's state at the start and end of a phase; see `restart`.

    Raises:
        ValueError: a phase ends before it begins, or begins before the previous one has ended; lists have different lengths; a
            share is outside [0, 1]; or `state` is unknown.
    """

    def __init__(
        self,
        sparsity: Sparsity | Sequence[Sparsity],
        begin: int | Sequence[int],
        end: int | Sequence[int],
        *,
        skip: Iterable[str] = (),
        scope: Scope = "layer",
        select: Selection = "magnitude",
        generator: torch.Generator | None = None,
        state: Policy = "fresh",
    ) -> None:
        check_policy(state)
        self.begin = [begin] if isinstance(begin, int) else list(begin)
        self.end = [end] if isinstance(end, int) else list(end)
        several = isinstance(sparsity, Sequence)
        self.sparsity: list[Any] = list(sparsity) if several else [sparsity] * len(self.begin)  # type: ignore[arg-type]
        if not len(self.begin) == len(self.end) == len(self.sparsity):
            raise ValueError(f"begin, end and sparsity differ in length: {self.begin}, {self.end}, {self.sparsity}")
        before = 0
        for first, after in zip(self.begin, self.end, strict=True):
            if not before <= first < after:
                raise ValueError(f"a sparse phase from step {first} to {after} does not follow step {before}")
            before = after
        for share in self.sparsity:
            check_sparsity(share)
        self.options: dict[str, Any] = {"skip": skip if isinstance(skip, str) else tuple(skip), "scope": scope}
        self.options |= {"select": select, "generator": generator}
        self.state = state
        self._step: int | None = None
        self._begun = 0
        self._holding: Holding | None = None
        self._saved: Mapping[str, Any] | None = None  # masks of a checkpoint, until `at` gets the model

    @classmethod
    def of(cls, schedule: Schedule, steps_per_epoch: int, **options: Any) -> Phases:
        """Return the sparse phases of a schedule. `options` are further arguments of `Phases`.

        Raises:
            ValueError: `steps_per_epoch` is not positive.
        """
        ends = schedule.boundaries(steps_per_epoch)
        begins = (0, *ends)
        sparse = [i for i, phase in enumerate(schedule) if phase.kind == "sparse"]
        sparsity = [schedule.phases[i].sparsity for i in sparse]
        return cls(sparsity, [begins[i] for i in sparse], [ends[i] for i in sparse], **options)

    def at(self, step: int, model: nn.Module, optimizer: Optimizers) -> Held | None:
        """Begin, continue or end a sparse phase according to the step number. Call this before the step.

        Args:
            step: the number of optimizer steps taken so far. Count steps that GradScaler skips too; then the numbers follow your
                batches. A number may be repeated (accumulated gradients), so `at` cannot notice if you resume one step too early.
                Numbers may be left out, but not a whole sparse phase.
            model: see `sparse`; it must be the same during a phase.
            optimizer: see `sparse`; it must be the same during a phase.

        Returns:
            the masks in use (see `Held.move`); None in a dense phase.

        Raises:
            ValueError: see `sparse`; or another model or optimizer is passed during a phase. Model, optimizer and generator are
                unchanged then, and masks that are held stay held. (If a phase begins in the step in which another one ends, the
                other one may have ended.) You can call `at` again after a correction.
            RuntimeError: the first call comes after the beginning of a sparse phase and no state was loaded; a whole sparse phase
                was left out; step numbers decrease; or, at the end of a phase, see `hold`.
        """
        self._require_next(step)
        if self._saved is not None:
            self._holding = take_hold(model, optimizer, unpack(self._saved, like=model))
            self._saved = None
        elif self._holding is not None:
            self._require_same(self._holding, model, optimizer)
        if self._holding is not None and step >= self.end[self._begun - 1]:
            holding = self._holding
            try:
                end_phase(holding, model, optimizer, self.state)
            finally:
                self._holding = None if holding.over else holding  # a refused end leaves the masks held
        if self._begun < len(self.begin) and step >= self.begin[self._begun]:
            if step >= self.end[self._begun]:
                raise RuntimeError(
                    f"step {step} is behind the whole sparse phase that begins at {self.begin[self._begun]}"
                )
            self._holding = begin_phase(model, optimizer, self.sparsity[self._begun], self.state, **self.options)
            self._begun += 1
        self._step = step
        return self.masks

    @property
    def masks(self) -> Held | None:
        """The masks in use; None in a dense phase."""
        return self._holding.held if self._holding is not None else None

    def close(self) -> None:
        """End training: check pruned weights and remove hooks, without restarting the optimizer.

        The state still contains the masks, and `at` can continue with them.

        Raises:
            RuntimeError: see `hold`.
        """
        if self._holding is not None:
            self._saved = pack(self._holding.masks)
            holding, self._holding = self._holding, None
            holding.let_go()

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the masks, packed into bits, in types that `torch.load` with `weights_only=True` accepts.

        If weights are sharded (FSDP2), every process must call this, and all get the same state. A call in only one process never
        returns.
        """
        generator = self.options["generator"]
        return {
            "step": self._step,
            "begun": self._begun,
            "masks": pack(self._holding.masks) if self._holding is not None else self._saved,
            "generator": generator.get_state() if generator is not None else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`. Load it before or after the states of model and optimizer.

        Raises:
            ValueError: `state` is not a state of `Phases`, or has more phases; or the state of the generator is missing. Nothing is
                changed then.
        """
        if missing := {"step", "begun", "masks", "generator"} - state.keys():
            raise ValueError(f"this is not a state_dict of dsd.Phases: it lacks {', '.join(sorted(missing))}")
        if state["begun"] > len(self.begin):
            raise ValueError(
                f"the state has begun {state['begun']} sparse phases, but this dsd.Phases has only {len(self.begin)}"
            )
        generator = self.options["generator"]
        if generator is not None:
            if state["generator"] is None:
                raise ValueError("the state was saved without a generator, and this one draws from one")
            generator.set_state(state["generator"])
        if self._holding is not None:
            self._holding.release()
        self._step, self._begun, self._holding = state["step"], state["begun"], None
        self._saved = dict(state["masks"]) if state["masks"] is not None else None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy or pickle, which continues from here with its own model and optimizer."""
        return vars(self) | {"_holding": None, "_saved": self.state_dict()["masks"]}

    def _require_next(self, step: int) -> None:
        if self._step is None and step > self.begin[0]:
            raise RuntimeError(
                f"step {step} comes first, but a sparse phase began at {self.begin[0]}: load the state_dict of dsd.Phases that "
                "was saved with the model's (its masks cannot be drawn again), or begin later"
            )
        if self._step is not None and step < self._step:
            raise RuntimeError(
                f"step {step} comes after step {self._step}: to go back, load the state_dict saved at that step"
            )

    @staticmethod
    def _require_same(holding: Holding, model: nn.Module, optimizer: Optimizers) -> None:
        if unwrap(model) is not holding.plain:
            raise ValueError("this is not the model whose masks are held")
        given = optimizer if isinstance(optimizer, torch.optim.Optimizer) else None
        if given is not holding.optimizers[0] and followed(optimizer) != holding.optimizers:
            raise ValueError(f"{type(optimizer).__name__} is not the optimizer whose steps are followed")
