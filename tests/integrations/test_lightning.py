"""Lightning's Trainer: clipping, accumulation, bfloat16, stopped at every step of the sparse phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dsd
from tests.integrations import runs

pytest.importorskip("lightning", reason="Lightning is not installed: nox -s integrations")

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from dsd.integrations.lightning import DSD


class Module(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = runs.network()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        # Take the batch by its number: after a resume within an epoch, Lightning gives the first batches again.
        number = self.trainer.world_size * batch_idx + self.trainer.global_rank
        return runs.loss_of(self.model(runs.BATCHES[number].to(batch.dtype)))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return runs.sgd(self.parameters())


class TwoOptimizers(Module):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Tensor, batch_idx: int) -> None:  # type: ignore[override]
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        for optimizer in self.optimizers():
            self.clip_gradients(optimizer, runs.CLIP, "norm")
            optimizer.step()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:  # type: ignore[override]
        return [runs.sgd(self.model[0].parameters()), torch.optim.AdamW(self.model[2].parameters(), lr=0.01)]


class Looks(Callback):
    def __init__(self, phases: dsd.Phases, first: int, each: int) -> None:
        self.phases, self.watch, self.each = phases, runs.Watch(first), each

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        if trainer.fit_loop._should_accumulate():
            return
        self.watch.look(trainer.global_step // self.each - 1, self.phases.masks, pl_module)


def train(folder: Path, kind: type[Module], checkpoint: Path | None = None, **options: Any) -> list[Tensor]:
    each = 1 if kind is Module else 2  # global_step counts the steps of every optimizer
    first = int(checkpoint.stem.split("=")[1]) // each if checkpoint else 0
    phases = dsd.Phases(sparsity=0.5, begin=runs.BEGIN * each, end=runs.END * each)
    looks = Looks(phases, first, each)
    saves = ModelCheckpoint(folder, "{step}", every_n_train_steps=each, save_top_k=-1, save_last=False)
    module = kind()
    callbacks = [DSD(phases)]
    trainer = Trainer(
        callbacks=[*callbacks, looks, *([] if first else [saves])],
        max_steps=runs.STEPS * each,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=first == 0,
        enable_progress_bar=False,
        enable_model_summary=False,
        **({"gradient_clip_val": runs.CLIP} if kind is Module else {}),
        **options,
    )
    data: Any = DataLoader(runs.BATCHES.flatten(0, 1), batch_size=4)
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    looks.watch.done(module)
    assert phases.masks is None
    assert not any(optimizer._optimizer_step_post_hooks for optimizer in trainer.optimizers)
    return runs.bits(module.state_dict(), [optimizer.state_dict() for optimizer in trainer.optimizers])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Module, {}),
        (Module, {"accumulate_grad_batches": 2}),
        (Module, {"precision": "bf16-mixed"}),
        (Module, {"precision": "bf16-true"}),
        (TwoOptimizers, {}),
    ],
    ids=["plain", "accumulated", "bf16-mixed", "bf16-true", "two optimizers"],
)
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(
    kind: type[Module], options: dict[str, Any], tmp_path: Path
) -> None:
    wanted = train(tmp_path, kind, **options)
    each = 1 if kind is Module else 2
    for step in runs.STOPS:
        assert runs.same(train(tmp_path, kind, tmp_path / f"step={step * each}.ckpt", **options), wanted), step


def test_a_fit_that_ends_in_the_sparse_phase_leaves_zeros_and_no_hooks(tmp_path: Path) -> None:
    phases, module = dsd.Phases(0.5, begin=1, end=99), Module()
    trainer = Trainer(callbacks=[DSD(phases)], max_steps=3, accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.fit(module, DataLoader(runs.BATCHES.flatten(0, 1), batch_size=4))  # type: ignore[arg-type]
    assert sum(int((p == 0).sum()) for p in module.parameters()) == 160
    assert not trainer.optimizers[0]._optimizer_step_post_hooks
    assert list(phases.state_dict()["masks"]) == ["model.0.weight", "model.2.weight"]


def test_a_checkpoint_without_masks_is_refused(tmp_path: Path) -> None:
    trainer = Trainer(max_steps=3, accelerator="cpu", logger=False, default_root_dir=tmp_path)
    data: Any = DataLoader(runs.BATCHES.flatten(0, 1), batch_size=4)
    trainer.fit(Module(), data)
    trainer.save_checkpoint(tmp_path / "without.ckpt")
    again = Trainer(
        callbacks=[DSD(runs.phases())],
        max_steps=6,
        accelerator="cpu",
        logger=False,
        default_root_dir=tmp_path / "again",
    )
    with pytest.raises(RuntimeError, match=r"step 3 comes first, but a sparse phase began at 2: load"):
        again.fit(Module(), data, ckpt_path=tmp_path / "without.ckpt")
