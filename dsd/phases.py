"""Sparse phases in a loop of steps, with a state for the user's own checkpoint."""

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
from dsd.wrapping import Optimizers, followed


class Phases:
    """Dense, sparse, dense again, by the number of the step; called once before every step.

        phases = dsd.Phases(sparsity=0.3, begin=10_000, end=15_000)
        for step, batch in enumerate(batches):
            phases.at(step, model, optimizer)
            ...

    At `begin` the masks are drawn and held, at `end` let go, just as entering and leaving `sparse` do. Put `state_dict()` beside
    the model's and the optimizer's in a checkpoint: a run that goes on from any step equals one that was never stopped.
    At a sparsity of 0 nothing is pruned and the optimizer restarts all the same: the control of equal budget.

    Args:
        sparsity: the share to prune, or shares by pattern (see `select`); for several phases a list, or one for all.
        begin: the first step of the sparse phase, counted from 0; for several phases a list.
        end: the first step after it; for several phases a list of as many.
        skip: what to spare; see `prunable`.
        scope: "layer" or "global"; see `select`.
        select: "magnitude" or "random"; see `select`.
        generator: for "random"; its state goes into `state_dict`.
        state: what becomes of the optimizer's state where a phase begins or ends; see `restart`.

    Raises:
        ValueError: a phase ends before it begins, or begins before the last has ended; not as many of each; a share outside
            [0, 1]; no such policy.
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
        self._saved: Mapping[str, Any] | None = None  # masks of a checkpoint, until the model is there to hold them on

    @classmethod
    def of(cls, schedule: Schedule, steps_per_epoch: int, **options: Any) -> Phases:
        """Return the sparse phases of a schedule; `options` are those of the class.

        Raises:
            ValueError: `steps_per_epoch` is not positive.
        """
        ends = schedule.boundaries(steps_per_epoch)
        begins = (0, *ends)
        found = [i for i, phase in enumerate(schedule) if phase.kind == "sparse"]
        sparsity = [schedule.phases[i].sparsity for i in found]
        return cls(sparsity, [begins[i] for i in found], [ends[i] for i in found], **options)

    def at(self, step: int, model: nn.Module, optimizer: Optimizers) -> Held | None:
        """Enter, hold or leave a sparse phase, as step number `step` wants it; call this before the step.

        Args:
            step: optimizer steps taken so far. It may be given twice (accumulated gradients) and may skip numbers, never a
                whole phase.
            model: see `sparse`; the same one as long as a phase lasts.
            optimizer: likewise.

        Returns:
            the masks that are held, which can `move`; None in a dense phase.

        Raises:
            ValueError: see `sparse`; another model or optimizer than those held. Model and optimizer have not been changed.
            RuntimeError: the first step that is asked for lies behind the beginning of a sparse phase of which no loaded state
                tells; steps run backwards; on leaving, see `hold`.
        """
        self._require_next(step)
        if self._saved is not None:
            self._holding = take_hold(model, optimizer, unpack(self._saved, like=model))
            self._saved = None
        elif self._holding is not None:
            self._require_same(self._holding, model, optimizer)
        if self._holding is not None and step >= self.end[self._begun - 1]:
            holding, self._holding = self._holding, None
            end_phase(holding, model, optimizer, self.state)
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
        """The masks that are held, None in a dense phase."""
        return self._holding.held if self._holding is not None else None

    def close(self) -> None:
        """Let go at the end of training: pruned weights are checked and hooks removed; nothing restarts.

        The state still tells the masks, and `at` goes on with them.

        Raises:
            RuntimeError: see `hold`.
        """
        if self._holding is not None:
            self._saved = pack(self._holding.masks)
            holding, self._holding = self._holding, None
            holding.let_go()

    def state_dict(self) -> dict[str, Any]:
        """Return position and masks, packed into bits; made of nothing but what `weights_only=True` loads.

        Where weights are sharded every process must call this; all get the same.
        """
        generator = self.options["generator"]
        return {
            "step": self._step,
            "begun": self._begun,
            "masks": pack(self._holding.masks) if self._holding is not None else self._saved,
            "generator": generator.get_state() if generator is not None else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; before or after the model and the optimizer load theirs. It is not changed.

        Raises:
            ValueError: it is no state of `Phases`, or of more phases than these; a generator lacks its state. Nothing has been
                changed then.
        """
        if missing := {"step", "begun", "masks", "generator"} - state.keys():
            raise ValueError(f"this is no state of dsd.Phases: it lacks {', '.join(sorted(missing))}")
        if state["begun"] > len(self.begin):
            raise ValueError(f"the state has begun {state['begun']} sparse phases, and here are {len(self.begin)}")
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
        """Return what a copy or a pickle is made of: it goes on from here with a model and an optimizer of its own."""
        return vars(self) | {"_holding": None, "_saved": self.state_dict()["masks"]}

    def _require_next(self, step: int) -> None:
        if self._step is None and step > self.begin[0]:
            raise RuntimeError(
                f"step {step} comes first, and a sparse phase began at {self.begin[0]}: load the state_dict of dsd.Phases that "
                "was saved with the model's (its masks cannot be drawn again), or begin later"
            )
        if self._step is not None and step < self._step:
            raise RuntimeError(
                f"step {step} comes after step {self._step}: to go back, load the state_dict of that time"
            )

    @staticmethod
    def _require_same(holding: Holding, model: nn.Module, optimizer: Optimizers) -> None:
        if unwrap(model) is not holding.plain:
            raise ValueError("this is another model than the one whose masks are held")
        given = optimizer if isinstance(optimizer, torch.optim.Optimizer) else None
        if given is not holding.optimizers[0] and followed(optimizer) != holding.optimizers:
            raise ValueError(f"{type(optimizer).__name__} is another optimizer than the one whose steps are followed")
