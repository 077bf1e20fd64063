"""Sharpness-aware minimisation: descend along the gradient at a nearby point with higher loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.arms.arm import Arm, Card, Claim, Costs, Hooks

if TYPE_CHECKING:
    from torch import nn

RADIUS = 0.05
"""The radius rho within which it searches for the weights with the highest loss: the default of Foret et al., also for ImageNet."""


class Sharpness(Hooks):
    """Uses the gradients at the weights after a step of length `RADIUS` along the gradient."""

    def gradients(self, model: nn.Module, backward: Callable[[], None]) -> None:
        """Replace the gradients of `model`. `backward` recomputes those of the same batch from zero."""
        sharpen(model, RADIUS, backward)


def sharpen(model: nn.Module, radius: float, backward: Callable[[], None]) -> None:
    """Replace the gradients of `model` by the gradients after a step of length `radius` along the gradient.

    The weights and batch norm's running statistics are restored bit for bit.

    Args:
        model: the network, with the gradients of the batch at its weights.
        radius: the length of the step over all parameters together (rho in the paper).
        backward: recomputes the gradients of the same batch from zero.
    """
    import torch
    from torch import nn

    moved = [parameter for parameter in model.parameters() if parameter.grad is not None]
    gradients = [parameter.grad for parameter in moved if parameter.grad is not None]
    length = float(nn.utils.get_total_norm(gradients))
    if length == 0:  # the gradient has no direction
        return
    before = [parameter.detach().clone() for parameter in moved]
    with torch.no_grad():
        for parameter, gradient in zip(moved, gradients, strict=True):
            parameter.add_(gradient, alpha=radius / length)
    model.zero_grad(set_to_none=True)
    with _held_statistics(model):
        backward()
    with torch.no_grad():
        for parameter, weights in zip(moved, before, strict=True):
            parameter.copy_(weights)


@contextmanager
def _held_statistics(model: nn.Module) -> Iterator[None]:
    """Context that restores batch norm's running statistics at its end, so that each batch counts only once."""
    from torch.nn.modules.batchnorm import _BatchNorm

    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    kept = [{name: buffer.clone() for name, buffer in layer.named_buffers()} for layer in layers]
    yield
    for layer, buffers in zip(layers, kept, strict=True):
        for name, buffer in layer.named_buffers():
            buffer.copy_(buffers[name])


@dataclass(frozen=True, kw_only=True)
class Sam(Arm):
    """The control trained with sharpness-aware minimisation."""

    def hooks(self, steps: int) -> Hooks:
        """Return the hooks of sharpness-aware minimisation."""
        return Sharpness()


ARMS = (
    Sam(
        name="sam",
        label="SAM",
        meaning="the control trained with sharpness-aware minimisation, at twice the compute per step (Foret et al., 2021)",
        short="SAM (twice the\ncompute)",
        rank=31,
        costs=Costs(gradients_per_step=2.0, networks_held=1),
        card=Card(
            source="Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization, ICLR 2021",
            claims=(Claim("ResNet-50, 100 epochs", "ImageNet", "top1_error", "0.4", 2.0, 5, "Table 2", "M"),),
            deviations=(
                "starts after D; the published method is used from the start of training",
                "takes as many steps as the control, so twice its compute",
            ),
        ),
    ),
)
