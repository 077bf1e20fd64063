"""DSD and its control without optimizer resets: the state is kept at the start of a phase."""

from __future__ import annotations

from benchmarks.arms.arm import Arm, Card
from benchmarks.arms.dsd import Dsd

_MEANING = "DSD and the control without resetting the optimizer at the start of every phase"
_CARD = Card(source="none: our own check", unknown=("what the paper does with the optimizer state",))

ARMS = (
    Arm(
        name="control-keep",
        label="Control, optimizer state kept",
        meaning=_MEANING,
        listed="Optimizer state kept",
        short="control, state kept",
        rank=21,
        reference="state kept",
        state="keep",
        card=_CARD,
    ),
    Dsd(
        name="dsd-keep",
        label="DSD, optimizer state kept",
        meaning=_MEANING,
        listed="Optimizer state kept",
        short="DSD, state kept",
        rank=22,
        compared_with="control-keep",
        state="keep",
        card=_CARD,
    ),
)
