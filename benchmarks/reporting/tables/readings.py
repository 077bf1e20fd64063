"""Secondary readings of the planned rows: the other comparisons, and what would change the answer. They give no verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmarks.analysis import mask_lineage, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.arms.registry import DENSE
from benchmarks.reporting import formatting
from benchmarks.reporting.document import Cell, Text
from benchmarks.reporting.formatting import number
from benchmarks.reporting.tables import planned

TITLE = "Secondary readings, without a verdict:"
SMALL = 0.1
"""Restored weights are called hardly moved if their mean magnitude is below this share of the other weights'."""


def secondary(rows: Mapping[str, Row]) -> tuple[Text, ...]:
    """Return one item per planned row with a gain, in points of its metric."""
    return tuple(_row(row, row.group) for row in rows.values() if row.group and summary.primary(row.group))


def _row(row: Row, group: Group) -> Text:
    parts: list[str | Cell] = [f"**{planned.network(row)}**: "]
    if summary.over_baseline(group):
        parts += [
            f"training on after D at DSD's learning rates{_effect(group)}: control over D ",
            _gain(group, "control", DENSE),
            ", DSD over D ",
            _gain(group, "dsd", DENSE),
            ". ",
        ]
    if summary.compare(group, "dsd", "llr"):
        parts += ["Training on at a tenth of D's last rate (LLR, which the paper reports too): "]
        parts += ["LLR over D ", _gain(group, "llr", DENSE), ", "] if summary.compare(group, "llr", DENSE) else []
        parts += ["DSD over LLR ", _gain(group, "dsd", "llr"), ". "]
    if summary.compare(group, "dsd-text", "control-text"):
        parts += [
            "With D2 at the rate of the paper's text instead of its tables, DSD over its control: ",
            _gain(group, "dsd-text", "control-text"),
            ". ",
        ]
    return (*parts, *_restored(group), turning(row))


def _gain(group: Group, arm: str, over: str) -> Cell:
    return Cell(formatting.gain(group, arm, over), trials=summary.trials(group, arm, over))


def _effect(group: Group) -> str:
    """Return what the control's further training does to the score. One seed cannot tell."""
    if len(summary.gains(group, "control", DENSE)) == 1:
        return " (one seed)"
    found = summary.crossed(group, "control", DENSE)
    if found is None or found.low <= 0 <= found.high:
        return " makes no clear difference"
    return " helps" if found.mean > 0 else " does harm"


def _restored(group: Group) -> tuple[str | Cell, ...]:
    """Return the mean magnitude after D2 of the weights that S had pruned, relative to the other weights; empty if unknown."""
    table, text = (_size(group, name) for name in ("dsd", "dsd-text"))
    if table is None:
        return ()
    other = "" if text is None else f" ({_percent(text)} at the text's rate)"
    so = ", so D2 hardly moves them" if max(table, text or 0.0) < SMALL else ""
    cell = Cell(_percent(table), table, summary.trials(group, "dsd"))
    return ("The restored weights average ", cell, f" of the others' size after D2{other}{so}. ")


def _size(group: Group, arm: str) -> float | None:
    ends = [found[-1].size for record in group.records if (found := mask_lineage.iterations(record, arm))]
    sizes = [size[mask_lineage.ALL] for size in ends if mask_lineage.ALL in size]
    return summary.average(sizes).mean if sizes else None


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def turning(row: Row) -> str:
    """Return which bound would have to pass the claim to change the answer on the claim; empty without bounds."""
    claim, share = planned.here(row), row.answer.share
    if claim is None or row.control is None or share is None or not math.isfinite(share.lower + share.upper):
        return ""
    lower, upper = (number(end * row.control, True) for end in (share.lower, share.upper))
    if share.upper < row.claim.share:
        return f"The one-sided upper bound, {upper}, would have to rise above {claim:+.2f} for the claim not to be excluded."
    if share.lower >= row.claim.share:
        return f"The one-sided lower bound, {lower}, would have to fall below {claim:+.2f} for the claim not to be reached."
    return (
        f"The one-sided lower bound, {lower}, would have to rise above {claim:+.2f} to reach the claim, or the upper bound, "
        f"{upper}, to fall below it to exclude the claim."
    )
