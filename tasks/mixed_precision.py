"""Mixed precision: matrix products and convolutions in bfloat16; weights, gradients, optimizer and scoring in float32."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tasks.task import Batch, Shown, Task


def train_in_bfloat16(task: Task, device: torch.device) -> None:
    """Make the networks of `task` train under `torch.autocast` in bfloat16 on `device`. Losses remain float32.

    Scoring stays in float32: bfloat16 has only 8 significant bits, so two classes often share the highest score. Losses need no
    scaling, because bfloat16 has the range of float32.
    """
    in_float32 = task.loss

    def loss(model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        with torch.autocast(device.type, torch.bfloat16):
            value, shown = in_float32(model, batch)
        return value.float(), shown

    task.loss = loss  # type: ignore[method-assign]
