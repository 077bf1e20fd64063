"""Hugging Face's Trainer: clipping, accumulation, stopped at every step of the sparse phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dsd
from tests.integrations import runs

pytest.importorskip("transformers", reason="transformers is not installed: nox -s integrations")
pytest.importorskip("accelerate", reason="accelerate is not installed: nox -s integrations")

from transformers import Trainer, TrainerCallback, TrainingArguments

from dsd.integrations.transformers import DSD


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = runs.network()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"loss": runs.loss_of(self.model(x))}


class Looks(TrainerCallback):  # type: ignore[misc]
    def __init__(self, phases: dsd.Phases, first: int) -> None:
        self.phases, self.watch = phases, runs.Watch(first)

    def on_step_end(self, args: Any, state: Any, control: Any, model: nn.Module, **kwargs: Any) -> None:
        self.watch.look(state.global_step - 1, self.phases.masks, model)


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    return TrainingArguments(
        str(folder),
        max_steps=runs.STEPS,
        per_device_train_batch_size=4,
        save_strategy="steps",
        save_steps=1,
        max_grad_norm=runs.CLIP,
        learning_rate=0.1,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        **options,
    )


def train(folder: Path, optimizer: str, checkpoint: Path | None = None, **options: Any) -> list[Tensor]:
    first = int(checkpoint.name.split("-")[1]) if checkpoint else 0
    model, phases = Model(), runs.phases()
    looks = Looks(phases, first)
    callbacks = [DSD(phases)]
    trainer = Trainer(
        model,
        arguments(folder / f"from {first}", **options),
        train_dataset=[{"x": row} for row in runs.BATCHES.flatten(0, 1)],
        callbacks=[*callbacks, looks],
        **({"optimizers": (runs.sgd(model.parameters()), None)} if optimizer == "sgd" else {}),
    )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    looks.watch.done(model)
    assert phases.masks is None
    assert not trainer.optimizer.optimizer._optimizer_step_post_hooks
    return runs.bits(model.state_dict(), trainer.optimizer.state_dict())


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}, {"bf16": True}], ids=str)
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(
    optimizer: str, options: dict[str, Any], tmp_path: Path
) -> None:
    wanted = train(tmp_path, optimizer, **options)
    for step in runs.STOPS:
        found = train(tmp_path, optimizer, tmp_path / "from 0" / f"checkpoint-{step}", **options)
        assert runs.same(found, wanted), step


def test_what_it_cannot_do_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = arguments(tmp_path, restore_callback_states_from_checkpoint=True)
    with pytest.raises(ValueError, match=r"which holds no dsd\.Phases: leave it off, DSD restores itself"):
        Trainer(Model(), options, callbacks=[DSD(runs.phases())])
    monkeypatch.setattr("dsd.integrations.transformers.sharded", lambda tensor: True)
    with pytest.raises(ValueError, match=r"sharded masks take all: use dsd\.Phases in a loop"):
        train(tmp_path, "sgd")


def test_a_checkpoint_without_masks_is_refused(tmp_path: Path) -> None:
    data = [{"x": row} for row in runs.BATCHES.flatten(0, 1)]
    Trainer(Model(), arguments(tmp_path), train_dataset=data).train()
    again = Trainer(Model(), arguments(tmp_path), train_dataset=data, callbacks=[DSD(runs.phases())])
    with pytest.raises(RuntimeError, match=r"step 3 comes first, but a sparse phase began at 2: load"):
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))


def test_a_run_that_ends_in_the_sparse_phase_leaves_zeros_and_no_hooks(tmp_path: Path) -> None:
    phases, model = dsd.Phases(0.5, begin=1, end=99), Model()
    data = [{"x": row} for row in runs.BATCHES.flatten(0, 1)]
    trainer = Trainer(model, arguments(tmp_path), train_dataset=data, callbacks=[DSD(phases)])
    trainer.train()
    assert sum(int((p == 0).sum()) for p in model.parameters()) == 160
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
    assert torch.equal(dsd.unpack(phases.state_dict()["masks"])["model.0.weight"], model.model[0].weight != 0)
