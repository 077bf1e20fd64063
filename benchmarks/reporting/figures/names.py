"""File names of figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from benchmarks.analysis import mask_lineage
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import has_gain, has_sensitivity

Kind = Literal["curves", "weights", "lineage", "sensitivity"]
"""The kinds of figures of one group."""


def kinds(group: Group) -> list[Kind]:
    """Return the kinds of figures that a group has."""
    has: dict[Kind, bool] = {
        "curves": True,
        "weights": mask_lineage.of_weights(group) is not None,
        "lineage": bool(mask_lineage.by_seed(group)),
        "sensitivity": has_sensitivity(group),
    }
    return [kind for kind, there in has.items() if there]


def figure_names(all_groups: Sequence[Group]) -> list[str]:
    """Return the file names of all figures: the gains, then those of each group."""
    gains = ["gains.png"] if any(has_gain(group) for group in all_groups) else []
    return [*gains, *(figure_name(group, all_groups, kind) for group in all_groups for kind in kinds(group))]


def figure_name(group: Group, all_groups: Sequence[Group], kind: Kind) -> str:
    """Return the file name of a group's figure. A recipe hash distinguishes groups of the same row and scale."""
    like = [g for g in all_groups if (g.key.row, g.key.scale) == (group.key.row, group.key.scale)]
    index = like.index(group)
    suffix = f"-{group.key.recipe_hash}-{index + 1}" if index else ""
    return f"{group.key.row}-{group.key.scale}{suffix}-{kind}.png"
