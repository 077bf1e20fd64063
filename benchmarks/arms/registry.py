"""All arms: the union of `ARMS` in the modules of this folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from benchmarks import arms
from benchmarks.arms.arm import Arm, ArmPlan
from tasks.recipe import Recipe

_METHODS = [name for _, name, _ in pkgutil.iter_modules(arms.__path__) if name not in ("arm", "registry")]
_ALL: list[Arm] = [arm for name in _METHODS for arm in importlib.import_module(f"benchmarks.arms.{name}").ARMS]

ARMS: Mapping[str, Arm] = MappingProxyType(
    {arm.name: arm for arm in sorted(_ALL, key=lambda arm: (arm.rank, arm.name))}
)
"""Name to arm, in display order."""
assert len(ARMS) == len(_ALL), "two arms have the same name"
MAIN: tuple[str, ...] = tuple(name for name, arm in ARMS.items() if arm.main)
SENSITIVITY: tuple[str, ...] = tuple(name for name, arm in ARMS.items() if not arm.main)
"""Arms that test how the answer depends on the recipe, and other uses of the same budget."""
DEFAULT_ARMS: tuple[str, ...] = ("control", "dsd")

if TYPE_CHECKING:
    ArmName = str
else:
    ArmName = Literal[tuple(ARMS)]


def arm_plan(recipe: Recipe, name: str, steps_per_epoch: int) -> ArmPlan:
    """Return the plan of the arm called `name`. All arms of a recipe take the same number of steps.

    Raises:
        ValueError: there is no such arm, or it is not possible with the recipe.
    """
    if name not in ARMS:
        raise ValueError(f"there is no arm {name!r}; arms: {', '.join(ARMS)}")
    return ARMS[name].plan(recipe, steps_per_epoch)


DENSE = "dense"
"""The name in comparisons of the network at the end of D, which all arms share. It is not an arm."""


def label(name: str) -> str:
    """Return the display name of an arm or of the end of D. Records may have arms that are not registered."""
    if name == DENSE:
        return "D"
    return ARMS[name].label if name in ARMS else name


def control_of(name: str) -> str:
    """Return the arm that an arm's gain is measured against. It has the same rates and optimizer-state policy."""
    return ARMS[name].compared_with if name in ARMS else "control"
