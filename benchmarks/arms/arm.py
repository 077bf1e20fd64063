"""The interface of an arm: a way to use the training budget after D. There is one file per method; the folder is the registry.

This module does not import torch. The hooks of an arm import it when they are called.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from benchmarks import paper
from dsd.schedule import Position, Schedule
from tasks.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from tasks.task import Task

Select = Literal["magnitude", "random"]
State = Literal["fresh", "keep"]


class Hooks:
    """What an arm does besides following its schedule. The defaults do nothing. Each learner has its own instance."""

    def gradients(self, model: nn.Module, backward: Callable[[], None]) -> None:
        """Replace the batch gradients of `model`. `backward` recomputes them at the current weights.

        Called before every step, so a hook can also inspect the weights before a step here.
        """

    def masks_at(
        self, position: Position, model: nn.Module, masks: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor] | None:
        """Return the new masks, or None to keep the current ones. Called before every step of S except the first.

        Args:
            position: the position of the next step.
            model: the network; its pruned weights are zero.
            masks: the current masks, name to boolean tensor (True: kept).
            generator: the random generator for this step and arm.
        """
        return None

    def after_step(self, model: nn.Module, step: int) -> None:
        """Inspect or change the weights after step `step` of the arm, counted from 0."""

    def at_end(self, model: nn.Module, task: Task, first_step: int, last_step: int) -> None:
        """Change the network after the arm's last step; [first_step, last_step) are the steps of its last epoch."""

    def state(self) -> dict[str, Any]:
        """Return the state needed to resume, as tensors and plain values."""
        return {}

    def restore(self, state: dict[str, Any], model: nn.Module) -> None:
        """Resume from `state`. `model` has the same architecture."""


@dataclass(frozen=True)
class Claim:
    """A published result of an arm's method.

    Attributes:
        gain: the gain over ordinary training in points of the metric, as printed.
        budget: the method's number of gradients divided by that of its comparison; None if unclear.
        seeds: the number of seeds; None if not stated.
        where: the place in the source.
        mark: as in `benchmarks.paper`. M means from memory: we could not read the source, so no result may depend on it.
    """

    network: str
    data: str
    metric: str
    gain: str
    budget: float | None
    seeds: int | None
    where: str
    mark: paper.Mark = "P"


@dataclass(frozen=True)
class Card:
    """A method's source, its authors' claims, and how our version differs.

    Attributes:
        source: the publication.
        claims: its results for dense networks compared with ordinary training.
        deviations: how our version differs, one phrase each.
        unknown: what the source does not state, one phrase each.
    """

    source: str
    claims: tuple[Claim, ...] = ()
    deviations: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Costs:
    """The cost of an arm beyond one gradient per step.

    Attributes:
        gradients_per_step: gradients computed per step.
        networks_held, networks_saved: extra copies of the weights in memory and in a checkpoint.
        closing_epochs: epochs of forward passes after the last step.
    """

    gradients_per_step: float = 1.0
    networks_held: int = 0
    networks_saved: int = 0
    closing_epochs: float = 0.0


@dataclass(frozen=True)
class ArmPlan:
    """What an arm does after D under one recipe.

    Attributes:
        select: how its sparse phases choose their masks.
        state: the optimizer state at the start of a phase (see `dsd.restart`); None uses the recipe's setting.
        hooks: makes a learner's hooks.
        own_from: the first step at which its hooks change training; None if they never do.
        follow_weights: whether records follow its weights (histograms and mask lineage).
    """

    name: str
    schedule: Schedule
    select: Select = "magnitude"
    state: State | None = None
    hooks: Callable[[], Hooks] = Hooks
    own_from: int | None = None
    follow_weights: bool = False
    costs: Costs = Costs()

    def shared_phases(self, other: ArmPlan, steps_per_epoch: int) -> int:
        """Return the number of initial phases that are the same in both arms, so that one can train them for both.

        At least the last phase is never shared. Random masks are never shared, because each arm draws its own.
        """
        if (self.select, self.state) != (other.select, other.state):
            return 0
        ends = self.schedule.boundaries(steps_per_epoch)
        own = min((plan.own_from for plan in (self, other) if plan.own_from is not None), default=ends[-1])
        shared = 0
        for mine, theirs, end in zip(self.schedule.phases[:-1], other.schedule.phases[:-1], ends, strict=False):
            if mine != theirs or end > own or (mine.sparsity > 0 and self.select == "random"):
                break
            shared += 1
        return shared


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A way to use the budget after D. The defaults are ordinary training: the recipe's rates, no mask, no hooks.

    Attributes:
        name: the arm's name on the command line and in records.
        label: the display name.
        meaning: what the arm does; lists show it after `listed`.
        card: source, claims and deviations.
        listed: the heading for `meaning` in lists, if it is not the label. Arms of one file share it.
        short: the name in figures, with line breaks.
        rank: the display position among all arms; arms of equal rank are sorted by name.
        main: whether the arm is in the main tables; the other arms are in separate tables.
        compared_with: the arm that its gain is measured against.
        reference: its name in the column of comparison arms, if other arms are compared with it.
        sparsity: the sparsity in percent, if that is the only difference from `dsd`.
        moves_masks: whether its hooks move masks within a sparse phase: weights that grow start at zero and may stay there.
    """

    name: str
    label: str
    meaning: str
    card: Card
    listed: str = ""
    short: str = ""
    rank: int = 100
    main: bool = False
    compared_with: str = "control"
    reference: str = ""
    sparsity: int | None = None
    select: Select = "magnitude"
    state: State | None = None
    moves_masks: bool = False
    follow_weights: bool = False
    costs: Costs = Costs()

    def schedule(self, recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Return the phases after D."""
        return unmasked(recipe)

    def refusal(self, recipe: Recipe) -> str:
        """Return why the arm is not possible with `recipe`; empty if it is."""
        return ""

    def hooks(self, steps: int) -> Hooks:
        """Return new hooks for a learner that takes `steps` steps."""
        return Hooks()

    def own_from(self, steps: int) -> int | None:
        """Return the first of `steps` steps that the hooks affect; None if they affect none."""
        return None if type(self).hooks is Arm.hooks else 0

    def plan(self, recipe: Recipe, steps_per_epoch: int) -> ArmPlan:
        """Return the arm's plan under `recipe`.

        Raises:
            ValueError: the arm is not possible with the recipe.
        """
        if reason := self.refusal(recipe):
            raise ValueError(f"arm {self.name!r}: {reason}")
        schedule = self.schedule(recipe, steps_per_epoch)
        steps = schedule.boundaries(steps_per_epoch)[-1]
        return ArmPlan(
            self.name,
            schedule,
            self.select,
            self.state,
            hooks=lambda: self.hooks(steps),
            own_from=self.own_from(steps),
            follow_weights=self.follow_weights,
            costs=self.costs,
        )


def dense_schedule(recipe: Recipe) -> Schedule:
    """Return only the D phase."""
    return Schedule(recipe.schedule.phases[:1])


def masked(recipe: Recipe) -> Schedule:
    """Return the recipe's phases after D."""
    return Schedule(recipe.schedule.phases[1:])


def unmasked(recipe: Recipe) -> Schedule:
    """Return the phases after D without their masks."""
    phases = recipe.schedule.phases[1:]
    return Schedule(tuple(dataclasses.replace(phase, kind="dense", sparsity=0.0) for phase in phases))
