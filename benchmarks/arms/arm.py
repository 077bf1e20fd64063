"""The contract of an arm: a way to spend the budget after D. One file a method; the folder is the registry.

Nothing here loads torch: an arm's hooks do, when they are used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from benchmarks import paper
from dsd.schedule import Phase, Position, Schedule
from tasks.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from tasks.task import Task

Select = Literal["magnitude", "random"]
State = Literal["fresh", "keep"]


class Hooks:
    """What an arm does beside following its schedule. These do nothing; each learner has hooks of its own."""

    def gradients(self, model: nn.Module, backward: Callable[[], None]) -> None:
        """Replace the gradients of `model`, which are those of the batch; `backward` makes them anew, at the present weights."""

    def masks_at(
        self, position: Position, model: nn.Module, masks: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor] | None:
        """Return the masks to hold from now on, or None to leave them; asked in S before every step but its first.

        Args:
            position: of the step that is about to be taken.
            model: the network; its pruned weights are zero.
            masks: those held, name to boolean tensor of what is kept.
            generator: for what is drawn, of this step and arm alone.
        """
        return None

    def after_step(self, model: nn.Module, step: int) -> None:
        """See, or change, the weights after step number `step` of the arm, counted from 0."""

    def at_end(self, model: nn.Module, task: Task, first_step: int, last_step: int) -> None:
        """Change the network after the arm's last step; [first_step, last_step) are the steps of its last epoch."""

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on from here, as tensors and plain values."""
        return {}

    def restore(self, state: dict[str, Any], model: nn.Module) -> None:
        """Go on from `state`, of a network like `model`."""


@dataclass(frozen=True)
class Claim:
    """A published result that an arm stands for.

    Attributes:
        gain: over ordinary training, in points of the metric, as printed.
        budget: the method's gradients over those of what it is compared with; None where that is not clear.
        seeds: how many; None where the source does not say.
        where: in the source.
        mark: as in `benchmarks.paper`: of an M nobody could read the source, and nothing may be concluded from it.
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
    """Where a method comes from, what is claimed of it, and how ours differs.

    Attributes:
        source: the publication.
        claims: those of its results that are about dense networks and ordinary training.
        deviations: what is otherwise here, a phrase each.
        unknown: what the source does not say, a phrase each.
    """

    source: str
    claims: tuple[Claim, ...] = ()
    deviations: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Costs:
    """What an arm takes beside one gradient a step.

    Attributes:
        gradients_per_step: how many are computed.
        networks_held, networks_saved: copies of the weights in memory, and in a checkpoint.
        closing_epochs: forward passes after the last step.
    """

    gradients_per_step: float = 1.0
    networks_held: int = 0
    networks_saved: int = 0
    closing_epochs: float = 0.0


@dataclass(frozen=True)
class ArmPlan:
    """What an arm does after D with one recipe.

    Attributes:
        select: how its sparse phases draw their masks.
        state: what becomes of the optimizer's state where a phase starts (see `dsd.restart`); None is as the recipe says.
        hooks: makes what a learner calls.
        own_from: the step from which its hooks train it otherwise than its schedule alone would; None is never.
        follow_weights: whether records tell what becomes of its weights.
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
        """Return how many phases `other` begins with that are those of this arm, so that one of them may train for both.

        It is never all of them. Masks drawn at random are each arm's own.
        """
        if (self.select, self.state) != (other.select, other.state):
            return 0
        ends = self.schedule.boundaries(steps_per_epoch)
        own = min((plan.own_from for plan in (self, other) if plan.own_from is not None), default=ends[-1])
        found = 0
        for mine, theirs, end in zip(self.schedule.phases[:-1], other.schedule.phases[:-1], ends, strict=False):
            if mine != theirs or end > own or (mine.sparsity > 0 and self.select == "random"):
                break
            found += 1
        return found


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A way to spend the budget after D. As it stands it is ordinary training: the recipe's rates, no mask, no hooks.

    Attributes:
        name: on the command line and in records.
        label: what a reader calls it.
        meaning: what it does, as the end of a sentence that begins with `listed`.
        card: source, claims and deviations.
        listed: under which heading `meaning` is listed, where that is not the label: arms of one file share it.
        short: what a figure calls it, its lines broken.
        rank: its place among all arms; those of one rank go by name.
        main: whether it stands in the tables of results; others have a table of their own.
        compared_with: the arm over which its gain is taken.
        reference: for an arm that others are compared with, what tables call it there.
        sparsity: of its sparse phases, in percent, where that is all that sets it apart from `dsd`.
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
        """Return why there is no such arm of `recipe`; empty where there is one."""
        return ""

    def hooks(self, steps: int) -> Hooks:
        """Return new hooks for a learner of so many steps."""
        return Hooks()

    def own_from(self, steps: int) -> int | None:
        """Return the first of `steps` steps that the hooks have a part in; None where they have none."""
        return None if type(self).hooks is Arm.hooks else 0

    def plan(self, recipe: Recipe, steps_per_epoch: int) -> ArmPlan:
        """Return what the arm does with `recipe`.

        Raises:
            ValueError: the recipe has no such arm.
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
    """Return the D phase alone."""
    return Schedule(recipe.schedule.phases[:1])


def masked(recipe: Recipe) -> Schedule:
    """Return the phases after D, as the recipe has them."""
    return Schedule(recipe.schedule.phases[1:])


def unmasked(recipe: Recipe) -> Schedule:
    """Return the phases after D without their masks."""
    return Schedule(tuple(map(_unmasked, recipe.schedule.phases[1:])))


def _unmasked(phase: Phase) -> Phase:
    return dataclasses.replace(phase, kind="dense", sparsity=0.0)
