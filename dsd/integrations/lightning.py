"""DSD as a callback of Lightning: `pip install '.[lightning]'`."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from dsd.phases import Phases


class DSD(Callback):
    """Sparse phases by `trainer.global_step`, saved in Lightning's checkpoints.

        trainer = Trainer(callbacks=[DSD(dsd.Phases(sparsity=0.3, begin=10_000, end=15_000))])

    `trainer.fit(..., ckpt_path=...)` resumes at any step, also in a sparse phase. Names, such as those in `skip`, are names of the
    LightningModule's parameters ("model.conv1"). Accumulated batches count as one step. With two optimizers, `global_step`
    increases by 2 per batch: double `begin` and `end`.

    Args:
        phases: the sparse phases; their `masks` are the masks in use.
    """

    def __init__(self, phases: Phases) -> None:
        self.phases = phases

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin, continue or end a sparse phase."""
        self.phases.at(trainer.global_step, pl_module, trainer.optimizers)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check pruned weights and remove hooks."""
        self.phases.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the position and the masks."""
        return self.phases.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        self.phases.load_state_dict(state_dict)
