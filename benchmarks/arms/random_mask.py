"""DSD under a mask drawn at random: does it matter which weights are pruned?"""

from __future__ import annotations

from benchmarks.arms.arm import Card
from benchmarks.arms.dsd import Dsd

ARMS = (
    Dsd(
        name="random",
        label="Random mask",
        meaning="as DSD, with as many weights of each layer drawn at random",
        short="random mask",
        rank=3,
        main=True,
        select="random",
        card=Card(
            source="none: a check of ours on what the choice by magnitude contributes",
            deviations=("each layer's share of pruned weights is exactly that of DSD",),
        ),
    ),
)
