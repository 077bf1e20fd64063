"""The size of the first update of each phase, by arm."""

from __future__ import annotations

import math

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms import registry
from benchmarks.reporting.document import Line
from benchmarks.reporting.formatting import NONE


def first_step_lines(group: Group) -> list[Line]:
    """Return the mean size of the first update of each phase, in learning rates, by arm."""
    found = summary.first_steps(group)
    longest = max((len(cells) for label, cells in found.items() if label != LABELS[registry.DENSE]), default=0)
    several = longest > 2
    lines = []
    for label, cells in found.items():
        after = [f"{('S', 'D2')[i % 2]}{f', iteration {i // 2 + 1}' if several else ''}" for i in range(longest)]
        shown = [f"{cell.mean:.3g}" for cell in cells]
        if label == LABELS[registry.DENSE]:
            line = {"arm": label, "D": shown[0]} | dict.fromkeys(after, NONE)
        else:
            line = {"arm": label, "D": NONE} | dict(zip(after, shown, strict=False))
        lines.append(line | {"n": str(max(cell.n for cell in cells))})
    return lines


def first_step_sentence(group: Group) -> str:
    """Return what the sizes of first updates mean, with RMSprop's trap where the recipe uses it."""
    text = "Mean size of the first update of each phase, in learning rates, over the weights that may move"
    rule = group.sample.recipe.get("optimizer")
    if isinstance(rule, dict) and rule.get("type") == "RmsProp":
        trap = 1 / math.sqrt(1 - rule["alpha"])
        text += (
            f" (RMSprop of decay {rule['alpha']:g} whose mean square started at zero would move a weight by anything from "
            f"zero up to {trap:.0f} learning rates)"
        )
    return f"{text}:"
