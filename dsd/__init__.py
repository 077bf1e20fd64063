"""Dense-Sparse-Dense training (Han et al., ICLR 2017) for any PyTorch model and optimizer.

Schedules are pure data and do not need torch. Everything else imports torch on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# No module has the name of a public function, because an imported module `dsd.sparse` would shadow the function.
from dsd.schedule import Constant, MultiStepDecay, Phase, PolynomialDecay, Position, Schedule, StepDecay

__version__ = "0.2.0"

if TYPE_CHECKING:
    from dsd.holding import Held
    from dsd.masks import magnitude_mask, select
    from dsd.moving import drop_and_grow
    from dsd.optimizer_state import restart
    from dsd.packing import Masks, apply, mask_report, pack, unpack
    from dsd.parameters import Prunable, prunable
    from dsd.phases import Phases
    from dsd.sparse_phase import hold, sparse
    from dsd.sparsity import erk

_LAZY = {
    "Held": "dsd.holding",
    "Masks": "dsd.packing",
    "Phases": "dsd.phases",
    "Prunable": "dsd.parameters",
    "apply": "dsd.packing",
    "drop_and_grow": "dsd.moving",
    "erk": "dsd.sparsity",
    "hold": "dsd.sparse_phase",
    "magnitude_mask": "dsd.masks",
    "mask_report": "dsd.packing",
    "pack": "dsd.packing",
    "prunable": "dsd.parameters",
    "restart": "dsd.optimizer_state",
    "select": "dsd.masks",
    "sparse": "dsd.sparse_phase",
    "unpack": "dsd.packing",
}

__all__ = [
    "Constant",
    "Held",
    "Masks",
    "MultiStepDecay",
    "Phase",
    "Phases",
    "PolynomialDecay",
    "Position",
    "Prunable",
    "Schedule",
    "StepDecay",
    "apply",
    "drop_and_grow",
    "erk",
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
