"""Recipes: everything that decides the outcome of a run, as frozen data (standard library only).

Every record holds the hash of its recipe. Two records with the same hash were trained in the same way.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from dsd.schedule import MultiStepDecay, Phase, Schedule, StepDecay

LATER = "later"
"""Metadata key of a field that was added after the first records. Hashes and records omit the field if it has its default."""

Scale = Literal["smoke", "small", "paper"]
SCALES: tuple[Scale, ...] = ("smoke", "small", "paper")


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent with momentum; `weight_decay` is added to the gradient of every parameter."""

    momentum: float
    weight_decay: float
    nesterov: bool = False


@dataclass(frozen=True)
class RmsProp:
    """RMSprop: `alpha` is the decay of the mean square, `eps` is added to its root.

    First, each element of the gradient is clipped to [-clip_value, clip_value].
    """

    alpha: float
    eps: float
    weight_decay: float = 0.0
    clip_value: float | None = None


Optimizer = Sgd | RmsProp


@dataclass(frozen=True)
class Metric:
    """The metric of a row. `lower_is_better` decides the sign of a gain."""

    name: str
    unit: str
    lower_is_better: bool


@dataclass(frozen=True)
class Recipe:
    """How a row is trained at a scale.

    The class names of settings are part of the hash. If `Network` or `Augmentation` were renamed, the hashes of their recipes would
    change, and existing records would no longer match them.

    Attributes:
        network: name of the network.
        schedule: D, then one or more iterations of S and D2.
        skip: parameters (names, module names or patterns) that are never pruned.
        batch_size: examples per optimizer step.
        optimizer: the rule and its constants; the learning rate is in the schedule.
        optimizer_state: whether the state is kept or fresh at the start of a phase (see `dsd.restart`).
        model, data: settings of the task, frozen dataclasses.
        clip_norm: maximum norm of the gradient; None means no clipping.
        evaluate_every: epochs between evaluations within a phase; the end of a phase is always evaluated.
        reduction: how a `small` or `smoke` recipe differs from the paper's, in words.
        notes: the source of each number.
    """

    network: str
    schedule: Schedule
    skip: tuple[str, ...]
    batch_size: int
    optimizer: Optimizer
    model: Any
    data: Any
    optimizer_state: Literal["fresh", "keep"] = "fresh"
    clip_norm: float | None = None
    evaluate_every: float = 1.0
    reduction: str = ""
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values (dicts, lists, strings, numbers). The dict of a dataclass has the class name under `type`."""
        plain = _plain(self)
        assert isinstance(plain, dict)
        return plain

    def hash(self) -> str:
        """Return a hash, 12 hexadecimal digits, of all fields that can change the outcome: all except `notes` and `reduction`."""
        facts = {k: v for k, v in self.as_dict().items() if k not in ("notes", "reduction")}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def require(settings: object, **rules: tuple[bool, str]) -> None:
    """Check the values of `settings`.

    Args:
        settings: a dataclass.
        rules: for each field, whether its value is allowed, and the allowed values in words.

    Raises:
        ValueError: names the first field whose value is not allowed.
    """
    for name, (allowed, expected) in rules.items():
        if not allowed:
            raise ValueError(f"{name}={getattr(settings, name)}: expected {expected}")


def scaled(schedule: Schedule, factor: float, lr_factor: float) -> Schedule:
    """Return `schedule` with all lengths and decay steps multiplied by `factor` and all learning rates by `lr_factor`."""

    def shrink(phase: Phase) -> Phase:
        decay = phase.decay
        if isinstance(decay, StepDecay):
            decay = dataclasses.replace(decay, every=decay.every * factor)
        elif isinstance(decay, MultiStepDecay):
            decay = dataclasses.replace(decay, milestones=tuple(epoch * factor for epoch in decay.milestones))
        return dataclasses.replace(phase, epochs=phase.epochs * factor, lr=phase.lr * lr_factor, decay=decay)

    return Schedule(tuple(shrink(phase) for phase in schedule))


def at_sparsity(schedule: Schedule, sparsity: float) -> Schedule:
    """Return `schedule` with `sparsity` in every sparse phase."""
    phases = (dataclasses.replace(p, sparsity=sparsity) if p.kind == "sparse" else p for p in schedule)
    return Schedule(tuple(phases))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            f.name: _plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if not (f.metadata.get(LATER) and getattr(value, f.name) == f.default)
        }
        return {"type": type(value).__name__, **fields}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
