"""What records say of the weights themselves: how they spread, and what became of those that were pruned."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

Moment: TypeAlias = Literal["dense", "pruned", "sparse", "dropped", "redense"]

MOMENTS: Final[tuple[Moment, ...]] = ("dense", "pruned", "sparse", "dropped", "redense")
"""The five points of the paper's Figure 2: after D, after pruning, after S, after the mask is dropped, after D2."""


class Part(BaseModel):
    """A part of a record: nothing is added to it, left out of it or changed in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Regrown(Part):
    """The weights of one tensor that S had pruned, as D2 leaves them.

    There are `weights` of them. `below` have a magnitude under `threshold`, the smallest that S kept when it pruned: the same
    cut would prune them again. `magnitude` is their mean |w|, `survivors` that of the weights that S had kept.
    """

    name: str
    weights: int
    below: int
    threshold: float
    magnitude: float
    survivors: float


class Histogram(Part):
    """How many weights lie in each of the equal bins, `below` and `above` them; those that are exactly zero stand apart."""

    moment: Moment
    counts: list[int]
    below: int
    above: int
    zeros: int


class Histograms(Part):
    """The weights of one tensor through the first iteration, as in the paper's Figure 2.

    `layer` is, by a rule fixed beforehand, the largest tensor that is pruned (the first of equals), of so many `weights`.
    The bins reach from -`limit` to `limit`, four standard deviations of these weights after D; each holds its lower edge.
    """

    layer: str
    weights: int
    limit: float
    points: list[Histogram]
