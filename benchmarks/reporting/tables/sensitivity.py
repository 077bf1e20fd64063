"""DSD by sparsity, and the other ways to spend the same budget."""

from __future__ import annotations

from benchmarks.analysis import sensitivity
from benchmarks.analysis.groups import Group
from benchmarks.arms import registry
from benchmarks.arms.registry import ARMS
from benchmarks.reporting.document import Block, Line, frame
from benchmarks.reporting.formatting import interval, mean_sd
from benchmarks.reporting.headings import metric_name
from benchmarks.reporting.wording import INTRODUCTIONS


def sensitivity_lines(group: Group) -> list[Line]:
    """Return DSD by sparsity and the other arms, with the gain over the control; none without an arm of sensitivity."""
    lines = []
    for one in sensitivity.choices(group):
        label = registry.label(one.arm)
        if one.arm == "dsd":
            label += f" (the recipe's {own_sparsity(group)})"
        line = {"arm": label, metric_name(group.metric, group, True): mean_sd(one.test)}
        line |= {"gain over control": interval(one.gain), "n": str(len(one.gains)), "time, s": f"{one.seconds:,.0f}"}
        line["control"] = ARMS[one.over].reference
        lines.append(line)
    return lines


def sensitivity_sentence(group: Group) -> str:
    """Return what must be known to read the table of sensitivity."""
    name = metric_name(group.metric, group)
    return (
        f"Sensitivity: gains in {name} over the control of as many steps, paired by seed; DSD with the optimizer's state kept, or "
        "with D2 at the text's rate, is compared with a control that has it too. Intervals are t intervals over seeds. They decide "
        "nothing: of twenty such intervals one misses by chance."
    )


def sensitivity_blocks(group: Group, title: str) -> list[Block]:
    """Return the sensitivity of one group as a table of its own; none where it has no such arm."""
    found = sensitivity_lines(group)
    text = f"{INTRODUCTIONS[group.section]} {sensitivity_sentence(group)}"
    return [Block(f"Sensitivity: {title}", text, frame(found))] if found else []


def own_sparsity(group: Group) -> str:
    """Return the sparsity of the recipe's own DSD, "50 %, then 25 %" where its phases differ, "mask" where no record tells."""
    found = [f"{one:g} %" for one in sensitivity.own_sparsities(group)]
    return ", then ".join(found if len(set(found)) > 1 else found[:1]) or "mask"
