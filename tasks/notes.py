"""A recipe in words: its published values with their sources, and the values that differ from the published ones.

Notes are generated from the fields of a recipe, so they are right for reduced and overridden recipes too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from dsd.schedule import Constant, Decay, MultiStepDecay, PolynomialDecay, StepDecay
from tasks.recipe import Recipe

_PLAIN = {"nesterov": "Nesterov's rule", "lr": "rate", "eps": "epsilon"}


def fields(recipe: Recipe) -> dict[str, str]:
    """Return every field that can change the outcome: its name and its value, both in words."""
    found = {"network": recipe.network}
    several = sum(phase.kind == "sparse" for phase in recipe.schedule) > 1
    iteration = 0
    for phase in recipe.schedule:
        iteration += phase.kind == "sparse"
        name = {"dense": "D", "sparse": "S", "redense": "D2"}[phase.kind]
        name += f" of iteration {iteration}" if several and iteration else ""
        found[f"epochs of {name}"] = f"{phase.epochs:g}"
        found[f"rate of {name}"] = f"{phase.lr:g}"
        found[f"decay in {name}"] = decay(phase.decay)
        if phase.kind == "sparse":
            found[f"sparsity of {name}"] = f"{100 * phase.sparsity:g} %"
    found["batch"] = str(recipe.batch_size)
    found["not pruned"] = ", ".join(recipe.skip) or "nothing"
    found["optimizer state"] = recipe.optimizer_state
    found["bound of the gradient's norm"] = _value(recipe.clip_norm)
    found["optimizer"] = type(recipe.optimizer).__name__
    for part, settings in (("optimizer", recipe.optimizer), ("model", recipe.model), ("data", recipe.data)):
        for name, value in _flat(settings).items():
            found[f"{part} {name}" if name in found else name] = value
    return found


def notes(recipe: Recipe, published: Recipe, sources: Mapping[str, str], remarks: Sequence[str]) -> tuple[str, ...]:
    """Return sentences about `recipe`: published values by source, changed values beside the published ones, and remarks.

    Args:
        recipe: the recipe to describe.
        published: the recipe of the same row at paper scale.
        sources: the first words of a field's name, and the source of its published value. The longest match is used.
        remarks: sentences that are true at every scale and that no field expresses.
    """
    mine, theirs = fields(recipe), fields(published)
    by_source: dict[str, list[str]] = {}
    changed = []
    for name in dict.fromkeys([*mine, *theirs]):
        value, other = mine.get(name, "none"), theirs.get(name, "none")
        source = max((key for key in sources if name.startswith(key)), key=len, default=None)
        if value != other:
            changed.append(f"{name} {value} (published: {other})")
        elif source is not None:
            by_source.setdefault(sources[source], []).append(f"{name} {value}")
    found = [f"{'; '.join(values)}: {source}" for source, values in by_source.items()]
    found += [f"not as published: {'; '.join(changed)}"] if changed else []
    return (*found, *remarks)


def decay(rule: Decay) -> str:
    """Return the decay of the learning rate within a phase, in words."""
    if isinstance(rule, Constant):
        return "none"
    if isinstance(rule, StepDecay):
        return f"times {rule.factor_each:.4g} every {rule.every:.4g} epochs"
    if isinstance(rule, MultiStepDecay):
        return f"times {rule.factor_each:.4g} after {', '.join(f'{epoch:.4g}' for epoch in rule.milestones)} epochs"
    assert isinstance(rule, PolynomialDecay)
    return f"to zero, polynomial of power {rule.power:g}"


def _flat(settings: Any) -> dict[str, str]:
    """Return the fields of a dataclass with their values, defaults included; {} if a task has no such settings."""
    if not dataclasses.is_dataclass(settings):
        return {}
    return {
        _PLAIN.get(field.name, field.name.replace("_", " ")): _value(getattr(settings, field.name))
        for field in dataclasses.fields(settings)
    }


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if dataclasses.is_dataclass(value):
        return ", ".join(f"{name} {text}" for name, text in _flat(value).items())
    if isinstance(value, tuple):
        return " to ".join(map(_value, value)) if len(value) == 2 else ", ".join(map(_value, value)) or "none"
    return str(value) or "none"
