"""Dense-Sparse-Dense training (Han et al., ICLR 2017) for any PyTorch model and optimizer.

Schedules are pure data and import without torch; everything else loads torch when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# No module is named like a function it exports: a module `dsd.sparse`, once imported, would shadow the function.
from dsd.schedule import Constant, Phase, PolynomialDecay, Position, Schedule, StepDecay

if TYPE_CHECKING:
    from dsd.context import hold, sparse
    from dsd.mask import Masks, magnitude_mask, mask_report, pack, select, unpack
    from dsd.selection import Prunable, prunable
    from dsd.state import restart

_LAZY = {
    "Masks": "dsd.mask",
    "magnitude_mask": "dsd.mask",
    "mask_report": "dsd.mask",
    "pack": "dsd.mask",
    "select": "dsd.mask",
    "unpack": "dsd.mask",
    "Prunable": "dsd.selection",
    "prunable": "dsd.selection",
    "hold": "dsd.context",
    "sparse": "dsd.context",
    "restart": "dsd.state",
}

__all__ = [
    "Constant",
    "Masks",
    "Phase",
    "PolynomialDecay",
    "Position",
    "Prunable",
    "Schedule",
    "StepDecay",
    "hold",
    "magnitude_mask",
    "mask_report",
    "pack",
    "prunable",
    "restart",
    "select",
    "sparse",
    "unpack",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'dsd' has no attribute {name!r}")
