"""DSD as a callback of Lightning: `pip install dsd-training[lightning]`."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from dsd.phases import Phases


class DSD(Callback):
    """Sparse phases by `trainer.global_step`, saved in Lightning's checkpoints.

        trainer = Trainer(callbacks=[DSD(dsd.Phases(sparsity=0.3, begin=10_000, end=15_000))])

    `trainer.fit(..., ckpt_path=...)` goes on at any step, inside a sparse phase too. Names, as in `skip`, are those of the
    LightningModule's own parameters ("model.conv1"). Accumulated batches are one step; several optimizers take one each.

    Args:
        phases: when to prune, and how much. `masks` of it are those held.
    """

    def __init__(self, phases: Phases) -> None:
        self.phases = phases

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Enter, hold or leave."""
        self.phases.at(trainer.global_step, pl_module, trainer.optimizers)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check what is pruned and let go."""
        self.phases.close()

    def state_dict(self) -> dict[str, Any]:
        """Return position and masks."""
        return self.phases.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.phases.load_state_dict(state_dict)
