"""DSD as a callback of Hugging Face's Trainer: `pip install '.[transformers]'`."""

from __future__ import annotations

import base64
import io
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from dsd.phases import Phases
from dsd.sharding import sharded


class DSD(TrainerCallback, ExportableState):
    """Sparse phases by `state.global_step`, saved in the Trainer's checkpoints (`trainer_state.json`).

        trainer = Trainer(model, args, callbacks=[DSD(dsd.Phases(sparsity=0.3, begin=10_000, end=15_000))], ...)

    `trainer.train(resume_from_checkpoint=...)` resumes at any step, also in a sparse phase. Accumulated batches count as one
    step.

    Args:
        phases: the sparse phases; their `masks` are the masks in use.
    """

    def __init__(self, phases: Phases) -> None:
        self.phases = phases

    def on_init_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Refuse the option that would recreate this callback without its phases."""
        if args.restore_callback_states_from_checkpoint:
            raise ValueError(
                "restore_callback_states_from_checkpoint recreates callbacks from JSON, which cannot hold dsd.Phases: leave it "
                "off; DSD restores itself"
            )

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **kwargs: Any
    ) -> None:
        """Continue from the checkpoint, if any."""
        if any(sharded(parameter) for parameter in model.parameters()):
            raise ValueError(
                "the Trainer saves callbacks in one process, but sharded masks need all: use dsd.Phases in your own loop"
            )
        if state.global_step and (saved := state.stateful_callbacks.get(type(self).__name__)):
            file = io.BytesIO(base64.b64decode(saved["attributes"]["saved"]))
            self.phases.load_state_dict(torch.load(file, weights_only=True))

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        **kwargs: Any,
    ) -> None:
        """Begin, continue or end a sparse phase."""
        self.phases.at(state.global_step, model, optimizer)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check pruned weights and remove hooks."""
        self.phases.close()

    def state(self) -> dict[str, Any]:
        """Return the position and the masks as text for JSON."""
        file = io.BytesIO()
        torch.save(self.phases.state_dict(), file)
        return {"args": {}, "attributes": {"saved": base64.b64encode(file.getvalue()).decode()}}
