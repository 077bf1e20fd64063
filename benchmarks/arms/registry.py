"""All arms: whatever the modules of this folder call `ARMS`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from benchmarks import arms
from benchmarks.arms.arm import Arm, ArmPlan
from tasks.recipe import Recipe


def _found() -> dict[str, Arm]:
    names = (one.name for one in pkgutil.iter_modules(arms.__path__) if one.name not in ("arm", "registry"))
    modules = [importlib.import_module(f"benchmarks.arms.{name}") for name in names]
    every = sorted((arm for module in modules for arm in module.ARMS), key=lambda arm: (arm.rank, arm.name))
    by_name = {arm.name: arm for arm in every}
    assert len(by_name) == len(every), "two arms have one name"
    return by_name


ARMS: Mapping[str, Arm] = MappingProxyType(_found())
"""Name to arm, in the order in which a reader wants them."""
MAIN: tuple[str, ...] = tuple(name for name, arm in ARMS.items() if arm.main)
SENSITIVITY: tuple[str, ...] = tuple(name for name, arm in ARMS.items() if not arm.main)
"""What asks how the answer depends on choices of the recipe, and what else one would do with the same budget."""
DEFAULT_ARMS: tuple[str, ...] = ("control", "dsd")

if TYPE_CHECKING:
    ArmName = str
else:
    ArmName = Literal[tuple(ARMS)]


def arm_plan(recipe: Recipe, name: str, steps_per_epoch: int) -> ArmPlan:
    """Return the plan of the arm called `name`. All arms of a recipe have as many steps.

    Raises:
        ValueError: there is no such arm, or the recipe has none.
    """
    if name not in ARMS:
        raise ValueError(f"there is no arm {name!r}; arms: {', '.join(ARMS)}")
    return ARMS[name].plan(recipe, steps_per_epoch)


DENSE = "dense"
"""The name under which the end of D, which all arms share, is compared: it is no arm of its own."""


def label(name: str) -> str:
    """Return what a reader calls an arm, or the end of D; a record may have an arm that is not here."""
    if name == DENSE:
        return "Baseline"
    return ARMS[name].label if name in ARMS else name


def control_of(name: str) -> str:
    """Return the arm over which an arm's gain is taken: its rates, and what becomes of the optimizer's state, are the arm's."""
    return ARMS[name].compared_with if name in ARMS else "control"
