"""Stochastic weight averaging: replace the weights by their mean over the last steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.arms.arm import Arm, Card, Claim, Costs, Hooks

if TYPE_CHECKING:
    from torch import nn
    from torch.optim.swa_utils import AveragedModel

    from tasks.task import Batch, Task

AVERAGED = 0.25
"""The final share of an arm's steps over which weights are averaged (Izmailov et al.: the last quarter of training)."""


class Averaging(Hooks):
    """The equal-weight mean of the parameters after every step from step `first` on."""

    def __init__(self, first: int) -> None:
        self.first = first
        self._mean: AveragedModel | None = None

    def after_step(self, model: nn.Module, step: int) -> None:
        """Add the parameters of `model` to the mean."""
        from torch.optim.swa_utils import AveragedModel

        if step >= self.first:
            if self._mean is None:
                self._mean = AveragedModel(model)
            self._mean.update_parameters(model)

    def at_end(self, model: nn.Module, task: Task, first_step: int, last_step: int) -> None:
        """Replace the parameters by the mean and re-estimate batch norm's statistics."""
        import torch

        if self._mean is None:
            return
        with torch.no_grad():
            for parameter, mean in zip(model.parameters(), self._mean.module.parameters(), strict=True):
                parameter.copy_(mean)
        self._mean = None
        estimate_batch_norm(model, task, first_step, last_step)

    def state(self) -> dict[str, Any]:
        """Return the mean so far, if any."""
        return {"mean": self._mean.state_dict()} if self._mean is not None else {}

    def restore(self, state: dict[str, Any], model: nn.Module) -> None:
        """Resume from `state`. `model` has the same architecture."""
        from torch.optim.swa_utils import AveragedModel

        if state:
            self._mean = AveragedModel(model)
            self._mean.load_state_dict(state["mean"])


def estimate_batch_norm(model: nn.Module, task: Task, first_step: int, last_step: int) -> None:
    """Replace every batch norm's running statistics by their means over the batches of steps [first_step, last_step).

    Statistics collected during training do not fit the averaged weights.
    """
    from torch import Tensor, nn
    from torch.optim.swa_utils import update_bn

    class Forward(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, batch: Batch) -> Tensor:
            return task.loss(self.model, batch)[0]

    update_bn(([batch] for batch in task.batches(max(0, first_step), last_step)), Forward())


@dataclass(frozen=True, kw_only=True)
class Swa(Arm):
    """The control with averaged weights."""

    def own_from(self, steps: int) -> int:
        """Return the first step whose weights are averaged."""
        return steps - round(AVERAGED * steps)

    def hooks(self, steps: int) -> Hooks:
        """Return the averaging hooks."""
        return Averaging(self.own_from(steps))


ARMS = (
    Swa(
        name="swa",
        label="Control, averaged",
        meaning="the control with weights averaged over its last quarter of steps, at its own decaying learning rates, and "
        "batch norm's statistics re-estimated (Izmailov et al., 2018, keep the rate high)",
        short="control, averaged",
        rank=30,
        costs=Costs(networks_held=1, networks_saved=1, closing_epochs=1.0),
        card=Card(
            source="Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018",
            claims=(Claim("ResNet-50", "ImageNet", "top1_error", "0.82", None, None, "Table 2", "M"),),
            deviations=(
                "the learning rate decays during averaging, as the control's does; in the paper it is constant or cyclical",
                "averages after every step; the paper averages once per epoch",
            ),
        ),
    ),
)
