"""Training in mixed precision: products in bfloat16; weights, gradients, optimizer and scoring in float32."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tasks.task import Batch, Evaluation, Shown, Task


class MixedPrecision:
    """A task whose networks compute under `torch.autocast` in bfloat16 while they train.

    They are scored in float32: with 8 bits two classes often share the first place, and which of them is taken is chance. Nothing
    needs scaling: bfloat16 has float32's range. What torch finds too delicate, losses among it, stays in float32.
    """

    def __init__(self, task: Task, device: torch.device) -> None:
        self.recipe, self.metric, self.report = task.recipe, task.metric, task.report
        self._task, self._device = task, device

    def model(self) -> nn.Module:
        """Return a freshly initialised network, its weights in float32."""
        return self._task.model()

    def steps_per_epoch(self) -> int:
        """Return the number of optimizer steps in an epoch."""
        return self._task.steps_per_epoch()

    def batches(self, first_step: int, last_step: int) -> Iterator[Batch]:
        """Yield the training batches of steps [first_step, last_step)."""
        return self._task.batches(first_step, last_step)

    def batch_ids(self, step: int) -> list[str]:
        """Return the names of the samples in the batch of `step`."""
        return self._task.batch_ids(step)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        """Return the training loss in float32 and numbers worth showing."""
        with torch.autocast(self._device.type, torch.bfloat16):
            loss, shown = self._task.loss(model, batch)
        return loss.float(), shown

    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        """Score `model` on every test example exactly once, in float32."""
        return self._task.evaluate(model, thorough)

    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        """Score `model` on training examples, in float32."""
        return self._task.evaluate_training(model)
