"""The figures of a results folder: their file names, and the groups that each shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from benchmarks.analysis import answers, mask_lineage, summary
from benchmarks.analysis.groups import Group
from benchmarks.reporting.tables import gate
from benchmarks.statistics.intervals import MINIMUM_SEEDS

Kind = Literal["curves", "weights", "sensitivity"]
"""The kinds of figures of one group."""

GAINS, DROP = "gains.png", "drop.png"
SHARED = {
    GAINS: "DSD's gain over the control, row by row, divided by the paper's claim",
    DROP: "DSD's gain over the control against the drop at pruning, one dot per trial",
}
"""The figures over all rows, and what they show."""

FEWEST_ROWS = 3
"""The minimum number of rows for the figure of the drop at pruning."""


def kinds(group: Group) -> list[Kind]:
    """Return the kinds of figures that a group has. Arms are not compared in a figure on one or two seeds: the table shows n."""
    has: dict[Kind, bool] = {
        "curves": True,
        "weights": mask_lineage.of_weights(group) is not None,
        "sensitivity": summary.has_sensitivity(group) and len(group.records) >= MINIMUM_SEEDS,
    }
    return [kind for kind, there in has.items() if there]


def shared(all_groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Return the figures over all rows that can be drawn, with their groups.

    Superseded trials are never drawn. They are among the groups of the drop's figure, which counts the trials that it leaves out.
    """
    both = _compared(all_groups)
    found = {GAINS: _results(all_groups), DROP: both if len(dropped(all_groups)) >= FEWEST_ROWS else []}
    return {name: groups for name, groups in found.items() if groups}


def dropped(all_groups: Sequence[Group]) -> set[str]:
    """Return the rows with a result that has a score right after pruning."""
    return {
        group.key.row
        for group in _results(_compared(all_groups))
        if any(gate.drops(record) for record in group.records)
    }


def _results(all_groups: Sequence[Group]) -> list[Group]:
    return [group for group in _compared(all_groups) if group.quotable and not answers.outside(group, all_groups)]


def _compared(groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if group.section not in ("smoke", "custom") and summary.primary(group)]


def figure_names(all_groups: Sequence[Group]) -> list[str]:
    """Return the file names of all figures: those over all rows, then those of each group."""
    return [*shared(all_groups), *(figure_name(one, all_groups, kind) for one in all_groups for kind in kinds(one))]


def figure_name(group: Group, all_groups: Sequence[Group], kind: Kind) -> str:
    """Return the file name of a group's figure. A recipe hash distinguishes groups of the same row and scale."""
    like = [g for g in all_groups if (g.key.row, g.key.scale) == (group.key.row, group.key.scale)]
    index = like.index(group)
    suffix = f"-{group.key.recipe_hash}-{index + 1}" if index else ""
    return f"{group.key.row}-{group.key.scale}{suffix}-{kind}.png"
