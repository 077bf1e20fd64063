"""Weights saved on request at the end of D, of every sparse phase and of every arm."""

from __future__ import annotations

from safetensors.torch import save_file

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
    # GoogLeNet from torchvision's weights changes its input; a state_dict alone would not say so.
    metadata = {"transform_input": "1"} if getattr(learner.model, "transform_input", False) else {}
    if plan.row.frozen:  # its inputs and outputs depend on this data's features and vocabulary
        metadata["data"] = task.report.fingerprint
    path = plan.weights(task, learner.name, "" if last else f"sparse{number}")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, metadata or None)
