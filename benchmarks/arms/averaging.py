"""Stochastic weight averaging (Izmailov et al. 2018): the mean of a network's weights over its last steps takes their place."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from tasks.task import Task


class WeightAverage:
    """The equal-weight mean of the parameters after each of the last `steps` of `total` steps.

    With `steps` 0 it does nothing.
    """

    def __init__(self, steps: int, total: int) -> None:
        self.first = total - steps if steps else None  # the first step whose outcome counts
        self._mean: AveragedModel | None = None

    def update(self, model: nn.Module, step: int) -> None:
        """Take the parameters of `model` after step number `step`, counted from 0, into the mean."""
        if self.first is not None and step >= self.first:
            if self._mean is None:
                self._mean = AveragedModel(model)
            self._mean.update_parameters(model)

    def into(self, model: nn.Module) -> bool:
        """Put the mean in the place of the parameters of `model`, and return whether there was one."""
        if self._mean is None:
            return False
        with torch.no_grad():
            for parameter, mean in zip(model.parameters(), self._mean.module.parameters(), strict=True):
                parameter.copy_(mean)
        self._mean = None
        return True

    def state(self) -> dict[str, Any] | None:
        """Return the mean so far, as tensors; None where there is none."""
        return self._mean.state_dict() if self._mean is not None else None

    def restore(self, state: dict[str, Any] | None, model: nn.Module) -> None:
        """Go on from `state`, of a network like `model`."""
        if state is not None:
            self._mean = AveragedModel(model)
            self._mean.load_state_dict(state)


def estimate_batch_norm(model: nn.Module, task: Task, first_step: int, last_step: int) -> None:
    """Replace the running statistics of every batch norm by their means over the batches of steps [first_step, last_step).

    Statistics followed while the weights moved are not those of the mean of the weights.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for an equal-weight mean
    model.train()
    with torch.no_grad():
        for batch in task.batches(max(0, first_step), last_step):
            task.loss(model, batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
