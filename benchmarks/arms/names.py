"""The rows of the results: name, recipe per scale, task module (standard library only: the noxfile reads it without torch)."""

from __future__ import annotations

from typing import Literal, get_args

MainArm = Literal["control", "dsd", "llr", "random"]
SweepArm = Literal["dsd-0", "dsd-10", "dsd-25", "dsd-30", "dsd-50", "dsd-70", "dsd-80", "dsd-90"]
OtherArm = Literal["control-text", "dsd-text", "dsd-twice", "control-keep", "dsd-keep", "swa", "sam"]
ArmName = Literal[MainArm, SweepArm, OtherArm]
ARMS: tuple[ArmName, ...] = get_args(ArmName)
SENSITIVITY: tuple[ArmName, ...] = (*get_args(SweepArm), *get_args(OtherArm))
"""What asks how the answer depends on choices of the recipe, and what else one would do with the same budget."""
DEFAULT_ARMS: tuple[ArmName, ...] = ("control", "dsd")
