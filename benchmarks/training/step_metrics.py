"""The numbers of training steps. They stay on the device until they are read, so that a step on a GPU never waits for the host.

The times of the readings do not change the record, because the numbers are processed step by step, in order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks import distributed
from tasks.task import Shown

EVERY = 50
"""Maximum number of steps between two readings."""
SECONDS = 1.0
"""Maximum seconds between two readings, for the display of slow steps. Several processes must read at the same step, so they
use only `EVERY`.
"""


@dataclass(frozen=True)
class Reading:
    """The loss and the task's numbers of one step, averaged over processes, and the norm of its gradient before clipping."""

    step: int
    numbers: dict[str, float]
    norm: float

    def problem(self) -> str:
        """Return a phrase that names a loss or gradient norm that is NaN or infinite; "" if both are finite."""
        for what, value in (("loss", self.numbers["loss"]), ("the gradient's norm", self.norm)):
            if not math.isfinite(value):
                return f"{what} is {value}"
        return ""


class Readings:
    """Collects the numbers of one learner's steps."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, dict[str, Shown], Tensor]] = []
        self._read = time.perf_counter()

    def add(self, step: int, loss: Tensor, norm: Tensor, shown: Mapping[str, Shown]) -> None:
        """Keep the numbers of `step`: scalars on the device."""
        self._waiting.append((step, {"loss": Shown(loss.detach()), **shown}, norm))

    def due(self) -> bool:
        """Whether to read now; the same in every process."""
        late = distributed.world_size() == 1 and time.perf_counter() - self._read > SECONDS
        return late or len(self._waiting) >= EVERY

    def take(self) -> list[Reading]:
        """Return the numbers of all steps since the last call. If there are any, wait for the device and the other processes."""
        waiting, self._waiting = self._waiting, []
        self._read = time.perf_counter()
        if not waiting:
            return []
        scalars = [[*(one.value for one in shown.values()), norm] for _, shown, norm in waiting]
        values = iter(torch.stack([value for row in scalars for value in row]).tolist())
        local, norms = [], []
        for _, shown, _ in waiting:
            local += [one.finish(next(values)) for one in shown.values()]
            norms.append(next(values))
        means = iter(distributed.mean_over_ranks(local))
        return [
            Reading(step, {name: next(means) for name in shown}, norm)
            for (step, shown, _), norm in zip(waiting, norms, strict=True)
        ]
