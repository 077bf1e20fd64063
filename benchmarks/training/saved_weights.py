"""Weights saved on request at the end of D, of every sparse phase and of every arm, and the masks that follow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from safetensors.torch import save_file
from torch import Tensor

import dsd
from benchmarks.records.schema import LayerMask
from benchmarks.training.learner import Learner
from benchmarks.training.plan import Plan
from tasks.task import Task


def save(learner: Learner, plan: Plan, task: Task) -> None:
    """Save the weights of `learner` if it is at the end of D, a sparse phase or its arm."""
    if not learner.at_phase_end():
        return
    position = learner.schedule.at(learner.step - 1, learner.steps_per_epoch)
    last = learner.step == learner.steps
    if not last and position.phase.kind != "sparse":
        return
    number = sum(phase.kind == "sparse" for phase in learner.journal.phases)
    weights = {key: value.contiguous() for key, value in learner.model.state_dict().items()}
    # GoogLeNet from torchvision's weights changes its input, which a state_dict does not record.
    metadata = {"transform_input": "1"} if getattr(learner.model, "transform_input", False) else {}
    if plan.row.frozen:  # the network's inputs and outputs depend on this data's features and vocabulary
        metadata["data"] = task.report.fingerprint
    path = plan.weights(task, learner.name, "" if last else f"sparse{number}")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, metadata or None)


def masks(
    sparse: Mapping[str, Tensor], recorded: Sequence[LayerMask], dense: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """Return the mask under which the network `sparse` was trained: name to bool, in the shape of its weight, True where kept.

    Args:
        sparse: the weights at the end of a sparse phase with a magnitude mask.
        recorded: the mask's counts in the record.
        dense: the weights from which the mask was computed, if available. Without them, the mask is where `sparse` is not
            zero. With them, a kept weight may also be zero.

    Raises:
        ValueError: the counts differ from the recorded ones, or a pruned weight is not zero.
    """
    found = {}
    for layer in recorded:
        weight = sparse[layer.name]
        kept = weight != 0
        zeros = int((~kept).sum())
        if zeros != layer.zeros:
            raise ValueError(f"{layer.name} has {zeros} zeros, the record {layer.zeros}")
        if dense is not None:
            kept = dsd.magnitude_mask(dense[layer.name], 1 - layer.kept / layer.weights)
        if int(kept.sum()) != layer.kept or bool(weight[~kept].any()):
            raise ValueError(f"{layer.name}: its zeros are not the mask of {layer.kept} kept weights in the record")
        found[layer.name] = kept
    return found
