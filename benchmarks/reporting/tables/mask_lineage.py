"""What became of the weights that S pruned, by iteration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks.analysis import mask_lineage, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.mask_lineage import Iteration
from benchmarks.reporting import document, formatting

LINEAGE = (
    "What became of the weights that S pruned in DSD, over all pruned tensors. Pruned again: the share of those that the S "
    "of the iteration before pruned; by chance it would be this S's sparsity. Below the threshold: the share that ends D2 "
    "with a magnitude under the smallest that S kept, which the same cut would prune again."
)


def _digits(seeds: Sequence[Iteration]) -> int:
    """Return the decimals that tell the mean magnitude by two digits, three at the least."""
    known = [one.size[mask_lineage.ALL] for one in seeds if one.size.get(mask_lineage.ALL)]
    return max(3, 1 - math.floor(math.log10(sum(known) / len(known)))) if known else 3


def lineage_lines(group: Group) -> list[document.Line]:
    """Return one line an iteration: means over seeds."""
    told = mask_lineage.told(group)
    found = []
    for number in range(max(map(len, told.values()), default=0)):
        seeds = [each[number] for each in told.values() if len(each) > number]

        def over(values: Sequence[Mapping[str, float]], digits: int = 1) -> str:
            known = [one[mask_lineage.ALL] for one in values if mask_lineage.ALL in one]
            return formatting.mean_sd(summary.cell(known) if known else None, digits=digits)

        found.append(
            {
                "iteration": str(number + 1),
                "pruned again, %": over([one.again for one in seeds]),
                "by chance, %": over([one.chance for one in seeds if one.again]),
                "at most, %": over([one.most for one in seeds]),
                "below the threshold after D2, %": over([one.below for one in seeds]),
                "mean magnitude after D2, in the survivors'": over([one.size for one in seeds], _digits(seeds)),
                "n": str(len(seeds)),
            }
        )
    return found
