"""DSD by sparsity, and other uses of the same budget."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.analysis import sensitivity, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.sensitivity import Choice
from benchmarks.arms import registry
from benchmarks.arms.registry import ARMS
from benchmarks.reporting.display_names import metric_name
from benchmarks.reporting.document import PRINT, Cell, Column, Table, table
from benchmarks.reporting.formatting import averaged, gain
from benchmarks.reporting.group_names import caption
from benchmarks.reporting.tables.estimates import Quantity, quantities


def tables(group: Group) -> list[Table]:
    """Return DSD by sparsity and the other arms, with gains over the control; empty without a sensitivity arm."""

    def label(one: Choice) -> Cell:
        own = f" (the recipe's {own_sparsity(group)})" if one.arm == "dsd" else ""
        return Cell(f"{registry.label(one.arm)}{own}")

    columns: list[Column[Choice]] = [
        Column("arm", "arm", label),
        Column(
            "test",
            metric_name(group.metric, group, True),
            lambda one: averaged(one.test),
        ),
        Column("gain", "gain over control", lambda one: Cell(gain(group, one.arm, one.over), trials=one.test.trials)),
        Column("n", "n", lambda one: Cell(str(len(one.gains)), len(one.gains), one.test.trials)),
        Column("seconds", "time, s", lambda one: Cell(f"{one.seconds:,.0f}", one.seconds, one.test.trials)),
        Column("control", "control", lambda one: Cell(ARMS[one.over].reference)),
    ]
    sentences = _sentences(group)
    shown = table(
        columns,
        sensitivity.choices(group),
        PRINT,
        sentences=sentences,
        caption=caption(group, "Sensitivity", sentences),
    )
    return [shown, quantities(_quantities(group))]


def _sentences(group: Group) -> str:
    """Return the explanation of the sensitivity table."""
    name = metric_name(group.metric, group)
    over = "seeds and test examples" if group.quotable else "seeds (t)"
    intervals = (
        f"Intervals are 95 % over {over}. They give no verdict: about one in twenty misses the true value by chance."
    )
    if not any(one.interval for one in sensitivity.choices(group)):
        intervals = "There are no intervals with so few trials, and no verdict."
    return (
        f"Sensitivity: gains in {name} over the control with the same number of steps, paired by seed. DSD with kept optimizer "
        "state, or with D2 at the text's rate, is compared with a control that has the same change. "
        f"{intervals}"
    )


def own_sparsity(group: Group) -> str:
    """Return the recipe's own sparsity: "50 %, then 25 %" if its phases differ, "mask" if no record states it."""
    found = [f"{one:g} %" for one in sensitivity.own_sparsities(group)]
    return ", then ".join(found if len(set(found)) > 1 else found[:1]) or "mask"


def _quantities(group: Group) -> Iterator[Quantity]:
    """Yield the means of the sensitivity arms, and the gains over their controls of all arms in the table but dsd."""
    for one in sensitivity.choices(group):
        name = registry.label(one.arm)
        if one.arm not in summary.main_arms(group):
            yield Quantity(group, name, group.metric, group.sample.unit, one.test)
        if one.gain and one.arm != "dsd":  # the gain of dsd is the primary gain
            over = registry.label(one.over)
            yield Quantity(
                *(group, f"gain of {name} over {over}", group.metric, group.sample.unit, one.gain), crossed=one.crossed
            )
