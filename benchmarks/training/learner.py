"""A network trained along a schedule: steps, phase starts, evaluations, and all state."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

import dsd
from benchmarks.arms.arm import ArmPlan, Hooks
from benchmarks.records.schema import LayerMask, Scores
from benchmarks.training.journal import Journal
from benchmarks.training.step_metrics import Readings
from benchmarks.training.stopwatch import Stopwatch
from benchmarks.training.weight_log import WeightLog
from dsd.schedule import Position, Schedule
from tasks import distributed
from tasks.random_streams import derive
from tasks.recipe import Recipe, RmsProp, Sgd
from tasks.task import Batch, Evaluation, Shown, Task


class NonFiniteError(RuntimeError):
    """A training loss, a gradient (before the update) or a test score was not finite. `step` counts the arm's steps from 0."""

    def __init__(self, learner: Learner, what: str, step: int, rest: str) -> None:
        """Name the arm, the phase and the step."""
        position = learner.schedule.at(step, learner.steps_per_epoch)
        self.arm, self.phase, self.step = learner.name, position.phase.kind, step
        super().__init__(
            f"{what} in arm {self.arm!r}, {self.phase} phase, step {step} (phase step {position.step}); {rest}"
        )


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimizer for all parameters of `model`. The learning rate is set before each step."""
    rule = recipe.optimizer
    first = recipe.schedule.phases[0].lr
    if isinstance(rule, Sgd):
        return torch.optim.SGD(
            model.parameters(),
            lr=first,
            momentum=rule.momentum,
            nesterov=rule.nesterov,
            weight_decay=rule.weight_decay,
            fused=True,
        )
    assert isinstance(rule, RmsProp)
    return torch.optim.RMSprop(
        model.parameters(), lr=first, alpha=rule.alpha, eps=rule.eps, weight_decay=rule.weight_decay
    )


def evaluations(schedule: Schedule, steps_per_epoch: int, every_epochs: float) -> tuple[int, ...]:
    """Return the steps after which a network is tested: every `every_epochs` within a phase, and at its end."""
    # Round multiples of the interval, not the interval, so that the last of four intervals ends with the phase.
    every = max(1.0, every_epochs * steps_per_epoch)
    found, start = [], 0
    for end in schedule.boundaries(steps_per_epoch):
        within = (start + round(number * every) for number in range(1, math.ceil((end - start) / every) + 1))
        found += [*dict.fromkeys(step for step in within if step < end), end]
        start = end
    return tuple(found)


class Learner:
    """A network, its optimizer and its position in the schedule. `journal` collects its results for the record.

    The numbers of a step stay on the device until `read`. If its loss or gradient is not finite, the optimizer itself skips
    this step and all later ones, and the next reading raises.

    Args:
        plan: the arm's plan; the plan of the shared D phase is called "dense".
        task: the task to train and test on.
        model, optimizer: the initial network and optimizer.
        offset: the step of the data stream at which the schedule starts.
        mask_seed: the seed of random masks.
    """

    def __init__(
        self,
        plan: ArmPlan,
        task: Task,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        offset: int = 0,
        mask_seed: int = 0,
    ) -> None:
        self.plan, self.name, self.schedule = plan, plan.name, plan.schedule
        self.task, self.mask_seed = task, mask_seed
        self.model, self.optimizer, self.offset = model, optimizer, offset
        self.state_policy = plan.state or task.recipe.optimizer_state
        self.steps_per_epoch = task.steps_per_epoch()
        self.ends = self.schedule.boundaries(self.steps_per_epoch)
        self.step = 0
        self._held: Mapping[str, Tensor] = {}
        self.weights = WeightLog(active=plan.follow_weights)
        self.hooks = plan.hooks()
        self.journal = Journal(self.schedule, self.steps_per_epoch, task.recipe.batch_size)
        self._evaluations = set(evaluations(self.schedule, self.steps_per_epoch, task.recipe.evaluate_every))
        self._holding = contextlib.ExitStack()
        self._parallel: nn.Module | None = None  # made with the first batch
        device = next(model.parameters()).device
        self._readings, self._stopwatch = Readings(), Stopwatch(device)
        # 1.0 after the first step that is not finite. Fused optimizers read it (float32) and skip steps, at no cost. (In torch
        # 2.12, skipping the very first step leaves momentum uninitialised, but no later step uses it.)
        found_inf = torch.zeros((), dtype=torch.float32, device=device)
        self._found_inf = optimizer.found_inf = found_inf  # type: ignore[attr-defined]
        # Hooks after a step could change the weights although the step was skipped.
        hooked = type(self.hooks).after_step is not Hooks.after_step
        self._reads_every_step = hooked or not optimizer.defaults.get("fused")

    @property
    def steps(self) -> int:
        """Total number of steps in the schedule."""
        return self.ends[-1]

    @property
    def masks(self) -> dict[str, Tensor]:
        """The current masks by name (True: kept); empty outside sparse phases."""
        return dict(self._held)

    def position(self) -> Position:
        """Return the position of the next step."""
        return self.schedule.at(min(self.step, self.steps - 1), self.steps_per_epoch)

    def train_step(self, batch: Batch, noise_seed: int) -> None:
        """Take one optimizer step. At intervals (see `Readings.due`), read the numbers of the steps so far.

        Raises:
            NonFiniteError: see `read`.
        """
        self._stopwatch.start()
        position = self.position()
        if position.first:
            self._start_phase(position)
        elif self._held:
            self._move_masks(position)
        for group in self.optimizer.param_groups:
            group["lr"] = position.lr
        loss, shown = self._loss(batch, noise_seed)
        self._backward(loss)
        self.hooks.gradients(self.model, lambda: self._backward(self._loss(batch, noise_seed)[0]))
        norm = self._clip()
        self._found_inf.logical_or_(~(loss.detach().isfinite() & norm.isfinite()))
        self._readings.add(self.step, loss, norm, shown)
        if self._reads_every_step:
            self.read()
        before = [p.detach().clone() for p in self.model.parameters()] if position.first else []
        self.optimizer.step()
        if before:
            moved = _mean_update(before, self.model.parameters(), self.masks)
            self.journal.first_step_in_lr.append(moved / position.lr)
        self.hooks.after_step(self.model, self.step)
        self.step += 1
        self._stopwatch.stop()
        if self._readings.due():
            self.read()

    def read(self) -> None:
        """Count the steps since the last reading in the journal. Several processes must call this at the same step.

        Raises:
            NonFiniteError: the loss or gradient of a step was not finite. The weights and `step` are those before that step.
        """
        readings = self._readings.take()
        self.journal.spend(self._stopwatch.take())
        for one in readings:
            if problem := one.problem():
                self.step = one.step
                samples = self.task.batch_ids(self.offset + one.step)
                shown = ", ".join(samples[:8]) + (f" and {len(samples) - 8} more" if len(samples) > 8 else "")
                raise NonFiniteError(self, problem, one.step, f"no update was made. Batch: {shown}")
            self.journal.step(one.numbers)
            if (bound := self.task.recipe.clip_norm) is not None:
                self.journal.clip(one.norm, bound)

    def _loss(self, batch: Batch, noise_seed: int) -> tuple[Tensor, dict[str, Shown]]:
        self.model.train()
        if self._parallel is None:
            self._parallel = distributed.data_parallel(
                self.model,
                lambda network: self.task.loss(network, batch)[0].backward(),  # type: ignore[no-untyped-call]
            )
        # All arms, and resumed runs, draw the same dropout noise. Each process of a run draws different noise.
        torch.manual_seed(derive(noise_seed, distributed.rank()) if distributed.rank() else noise_seed)
        return self.task.loss(self._parallel, batch)

    def _backward(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        # The backward pass starts with 1, the derivative of the loss with respect to itself. If the loss is not finite, it starts
        # with NaN instead. The averaged gradient is then NaN in every process, and all processes skip the step.
        loss.backward(loss.detach() * 0 + 1)  # type: ignore[no-untyped-call]

    def _clip(self) -> Tensor:
        """Clip the gradient as in the recipe. Return the norm before clipping. It is finite only if all elements are."""
        recipe, parameters = self.task.recipe, list(self.model.parameters())
        norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if recipe.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(parameters, recipe.clip_norm, norm)
        if isinstance(recipe.optimizer, RmsProp) and recipe.optimizer.clip_value is not None:
            nn.utils.clip_grad_value_(parameters, recipe.optimizer.clip_value)
        return norm

    def at_phase_end(self) -> bool:
        """Whether the last step taken was the last of its phase."""
        return self.step in self.ends

    def due(self) -> bool:
        """Whether to evaluate now (see `evaluations`)."""
        return self.step in self._evaluations

    def evaluate(self) -> Evaluation:
        """Score the network, add a point to the curve and, at the end of a phase, the phase's result.

        Raises:
            NonFiniteError: a score is NaN or infinite, because the last update broke the network; or see `read`.
        """
        self.read()
        started = time.perf_counter()
        position = self.schedule.at(self.step - 1, self.steps_per_epoch)
        if self.step == self.steps:
            last = self.offset + self.steps
            self.hooks.at_end(self.model, self.task, last - self.steps_per_epoch, last)
        distributed.broadcast_buffers(self.model)
        distributed.require_same_weights(self.model)
        result = self.task.evaluate(self.model, self.at_phase_end())
        for name, score in result.metrics.items():
            if not math.isfinite(score):
                raise NonFiniteError(self, f"test {name} is {score}", self.step - 1, "training cannot go on from there")
        train = self.task.evaluate_training(self.model) if self.at_phase_end() else {}
        self.journal.evaluated(self.step, position.lr, result.metrics)
        if self._found_inf.is_cuda:
            torch.cuda.synchronize()  # otherwise some of this GPU time would count for the next arm
        self.journal.spend(time.perf_counter() - started)
        if self.at_phase_end():
            self._end_phase(position, result, train)
        return result

    def finish(self) -> None:
        """Release the masks."""
        self._holding.close()
        self._held = {}

    def results(self, final: Evaluation) -> dict[str, Any]:
        """Return the fields of a record's `Arm`."""
        return self.journal.results(final, self.step, self.weights.histograms)

    def fork(self, other: Learner, phases: int) -> None:
        """Continue from `other` at the end of its first `phases` phases, which both arms share.

        This arm's hooks start here. The hooks of `other` did not affect these phases.
        """
        state = copy.deepcopy(other.state())
        state["weights"] = state["weights"] if self.weights.active else self.weights.state()
        state["journal"] |= {"forked_from": other.name, "shared_phases": phases}
        self.restore(state | {"hooks": self.hooks.state()})

    def state(self) -> dict[str, Any]:
        """Return the state needed to resume, as tensors and plain values.

        Raises:
            NonFiniteError: see `read`, which is called first, so that no state is saved after a step that is not finite.
        """
        self.read()
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "masks": dsd.pack(self.masks),
            "weights": self.weights.state(),
            "hooks": self.hooks.state(),
            "journal": self.journal.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from `state`. If the state is from within a sparse phase, hold its masks again."""
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.weights.restore(state["weights"])
        self.hooks.restore(state["hooks"], self.model)
        self.journal.restore(state["journal"])
        if masks := dsd.unpack(state["masks"], like=self.model):
            self._held = self._holding.enter_context(dsd.hold(self.model, self.optimizer, masks))
            self._holding.callback(self._let_go)

    def _start_phase(self, position: Position) -> None:
        self.read()
        held = self.masks
        self._holding.close()
        self._held = {}
        self.weights.after_release(self.model, held)
        if position.phase.sparsity > 0:
            self.weights.before_pruning(self.model, self.task.recipe.skip)
            generator = torch.Generator().manual_seed(self.mask_seed + position.index)
            self._held = self._holding.enter_context(
                dsd.sparse(
                    self.model,
                    self.optimizer,
                    position.phase.sparsity,
                    skip=self.task.recipe.skip,
                    select=self.plan.select,
                    generator=generator,
                    state=self.state_policy,
                )
            )
            self.weights.after_pruning(self.model, self.masks)
            test = self.task.evaluate(self.model, False).metrics
            self.journal.pruned = Scores(test=test, train=self.task.evaluate_training(self.model))
        elif not held:  # the end of a sparse phase has already restarted the optimizer
            dsd.restart(self.optimizer, self.state_policy)

    def _move_masks(self, position: Position) -> None:
        if type(self.hooks).masks_at is Hooks.masks_at:
            return
        generator = torch.Generator().manual_seed(derive(self.mask_seed, "move", self.step))
        masks = self.hooks.masks_at(position, self.model, self.masks, generator)
        if masks is not None:
            self.read()  # moving changes weights
            assert isinstance(self._held, dsd.Held)
            self._held.move(masks)

    def _let_go(self) -> None:
        dsd.restart(self.optimizer, self.state_policy, self.masks, model=self.model)

    def _end_phase(self, position: Position, result: Evaluation, train: dict[str, float]) -> None:
        mask = None
        if self.masks:
            mask = [
                LayerMask(**dataclasses.asdict(layer), again=self.weights.again.get(layer.name))
                for layer in dsd.mask_report(self.model, self.masks)
            ]
        regrown = self.weights.end(self.model, position.phase.kind)
        clips = self.task.recipe.clip_norm is not None
        self.journal.end_phase(position, result.metrics, train, mask, regrown, clips)


def _mean_update(before: list[Tensor], after: Iterable[nn.Parameter], masks: dict[str, Tensor]) -> float:
    """Return the mean |change| over the unmasked weights."""
    moved = sum(float((a.detach() - b).abs().sum(dtype=torch.float64)) for a, b in zip(after, before, strict=True))
    free = sum(b.numel() for b in before) - sum(int((~kept).sum()) for kept in masks.values())
    return moved / max(free, 1)
