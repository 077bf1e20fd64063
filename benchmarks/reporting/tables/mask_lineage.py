"""What happened to the weights that S pruned, by iteration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from benchmarks.analysis import mask_lineage, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.mask_lineage import Iteration
from benchmarks.reporting import formatting
from benchmarks.reporting.document import PAGES, Block, Bullets, Cell, Column, Paragraph, table

_SENTENCE = "What happened to the weights that S pruned in DSD, over all pruned tensors:"
_TERMS = (
    "*Pruned again*: the share of the weights pruned in the previous iteration that this S prunes too.",
    "*By chance*: that share if S chose at random, which is its sparsity.",
    "*At most*: the largest share possible. It is below 100 % if this S prunes fewer weights than the previous one.",
    "*Below the threshold after D2*: the share that ends D2 with a magnitude below the smallest that S kept, so that the same "
    "threshold would prune it again.",
)
_Seeds = tuple[int, dict[str, Iteration]]
"""Number of an iteration, and its data in each trial that has it, by record id."""


def lineage(group: Group) -> list[Block]:
    """Return one line per iteration, means over seeds, and what the columns mean; nothing without data."""
    told = mask_lineage.by_seed(group)
    ids = {record.seed: record.id for record in group.records}
    lines = [
        (number + 1, {ids[seed]: each[number] for seed, each in told.items() if len(each) > number})
        for number in range(max(map(len, told.values()), default=0))
    ]
    columns: list[Column[_Seeds]] = [
        Column("iteration", "iteration", lambda line: Cell(str(line[0]))),
        _column("again", "pruned again, %", lambda one: one.again),
        _column("chance", "by chance, %", lambda one: one.chance if one.again else {}),
        _column("most", "at most, %", lambda one: one.most),
        _column("below", "below the threshold after D2, %", lambda one: one.below),
        _column("size", "mean magnitude after D2, relative to survivors", lambda one: one.size, least=3),
        Column("n", "n", lambda line: Cell(str(len(line[1])), trials=tuple(line[1]))),
    ]
    return [Paragraph(_SENTENCE), Bullets(_TERMS), table(columns, lines, PAGES)] if lines else []


def _column(key: str, heading: str, of: Callable[[Iteration], Mapping[str, float]], least: int = 1) -> Column[_Seeds]:
    """Return the column of a share or a size. A size has at least `least` decimals and two significant digits."""

    def cell(line: _Seeds) -> Cell:
        known = {name: of(one)[mask_lineage.ALL] for name, one in line[1].items() if mask_lineage.ALL in of(one)}
        if not known:
            return Cell()
        found = summary.average(list(known.values()), list(known))
        small = least > 1 and found.mean > 0
        digits = max(least, 1 - math.floor(math.log10(found.mean))) if small else least
        return formatting.averaged(found, digits)

    return Column(key, heading, cell)
