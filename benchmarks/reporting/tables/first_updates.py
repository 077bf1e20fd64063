"""The size of the first update of each phase, by arm."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.arms import registry
from benchmarks.reporting.document import PAGES, Cell, Column, Table, table

_Steps = tuple[str, Sequence[Average]]


def first_steps(group: Group) -> Table:
    """Return the mean size of the first update of each phase, in learning rates, by arm."""
    found = summary.first_steps(group)
    longest = max((len(sizes) for label, sizes in found.items() if label != LABELS[registry.DENSE]), default=0)
    several = longest > 2
    after = [f"{('S', 'D2')[i % 2]}{f', iteration {i // 2 + 1}' if several else ''}" for i in range(longest)]
    columns: list[Column[_Steps]] = [
        Column("arm", "arm", lambda arm: Cell(arm[0])),
        _phase("D", 0, dense=True),
        *(_phase(name, index, dense=False) for index, name in enumerate(after)),
        Column("n", "n", lambda arm: Cell(str(max(one.n for one in arm[1])), trials=arm[1][0].trials)),
    ]
    return table(columns, found.items(), PAGES, sentences=_sentences(group))


def _phase(name: str, index: int, dense: bool) -> Column[_Steps]:
    def cell(arm: _Steps) -> Cell:
        label, sizes = arm
        if (label == LABELS[registry.DENSE]) is not dense or index >= len(sizes):
            return Cell()
        return Cell(f"{sizes[index].mean:.3g}", sizes[index].mean, sizes[index].trials)

    return Column(name, name, cell)


def _sentences(group: Group) -> str:
    """Return what the sizes of first updates mean, with a warning if the recipe uses RMSprop."""
    text = "Mean size of the first update of each phase, in units of the learning rate, over the unmasked weights"
    rule = group.sample.recipe.get("optimizer")
    if isinstance(rule, dict) and rule.get("type") == "RmsProp":
        trap = 1 / math.sqrt(1 - rule["alpha"])
        text += (
            f" (RMSprop with decay {rule['alpha']:g} and a mean square initialised to zero would move a weight by up to "
            f"{trap:.0f} learning rates)"
        )
    return f"{text}:"
