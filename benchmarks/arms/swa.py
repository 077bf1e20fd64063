"""Stochastic weight averaging: the mean of a network's weights over its last steps takes their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.arms.arm import Arm, Card, Claim, Costs, Hooks

if TYPE_CHECKING:
    from torch import nn
    from torch.optim.swa_utils import AveragedModel

    from tasks.task import Task

AVERAGED = 0.25
"""The share of an arm's steps, its last, over which weights are averaged (Izmailov et al. take the last quarter of training)."""


class Averaging(Hooks):
    """The equal-weight mean of the parameters after every step from step number `first` on."""

    def __init__(self, first: int) -> None:
        self.first = first
        self._mean: AveragedModel | None = None

    def after_step(self, model: nn.Module, step: int) -> None:
        """Take the parameters of `model` into the mean."""
        from torch.optim.swa_utils import AveragedModel

        if step >= self.first:
            if self._mean is None:
                self._mean = AveragedModel(model)
            self._mean.update_parameters(model)

    def at_end(self, model: nn.Module, task: Task, first_step: int, last_step: int) -> None:
        """Put the mean in the place of the parameters, and estimate the statistics of batch norm for it."""
        import torch

        if self._mean is None:
            return
        with torch.no_grad():
            for parameter, mean in zip(model.parameters(), self._mean.module.parameters(), strict=True):
                parameter.copy_(mean)
        self._mean = None
        estimate_batch_norm(model, task, first_step, last_step)

    def state(self) -> dict[str, Any]:
        """Return the mean so far, if there is one."""
        return {"mean": self._mean.state_dict()} if self._mean is not None else {}

    def restore(self, state: dict[str, Any], model: nn.Module) -> None:
        """Go on from `state`, of a network like `model`."""
        from torch.optim.swa_utils import AveragedModel

        if state:
            self._mean = AveragedModel(model)
            self._mean.load_state_dict(state["mean"])


def estimate_batch_norm(model: nn.Module, task: Task, first_step: int, last_step: int) -> None:
    """Replace the running statistics of every batch norm by their means over the batches of steps [first_step, last_step).

    Statistics followed while the weights moved are not those of the mean of the weights.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

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


@dataclass(frozen=True, kw_only=True)
class Swa(Arm):
    """The control, averaged."""

    def own_from(self, steps: int) -> int:
        """Return the first step whose weights count."""
        return steps - round(AVERAGED * steps)

    def hooks(self, steps: int) -> Hooks:
        """Return what averages."""
        return Averaging(self.own_from(steps))


ARMS = (
    Swa(
        name="swa",
        label="Control, averaged",
        meaning="its weights over its last quarter of steps, at its own falling rates, with statistics of batch norm made "
        "anew (Izmailov et al., 2018, keep the rate high there)",
        short="control, averaged",
        rank=30,
        costs=Costs(networks_held=1, networks_saved=1, closing_epochs=1.0),
        card=Card(
            source="Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018",
            claims=(Claim("ResNet-50", "ImageNet", "top1_error", "0.82", None, None, "Table 2", "M"),),
            deviations=(
                "the rate falls while weights are averaged, as the control's does; published, it is constant or cyclical",
                "averaged after every step; published, once an epoch",
            ),
        ),
    ),
)
