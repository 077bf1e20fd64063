"""DSD with a random mask: does it matter which weights are pruned?"""

from __future__ import annotations

from benchmarks.arms.arm import Card
from benchmarks.arms.dsd import Dsd

ARMS = (
    Dsd(
        name="random",
        label="Random mask",
        meaning="DSD with a random mask that prunes as many weights of each layer",
        short="random mask",
        rank=3,
        main=True,
        select="random",
        card=Card(
            source="none: our own check of how much selection by magnitude contributes",
            deviations=("prunes exactly the same share of each layer as DSD",),
        ),
    ),
)
