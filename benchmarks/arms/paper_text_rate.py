"""Another interpretation of D2's learning rate: a tenth of D's (the paper's text), not a tenth of S's (its tables)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from benchmarks.arms.arm import Arm, Card, masked, unmasked
from dsd.schedule import Schedule
from tasks.recipe import Recipe


def has_text_reading(recipe: Recipe) -> bool:
    """Return whether the text's rate for D2, a tenth of D's, differs from the recipe's and is not above the rate of S."""
    dense, *rest = recipe.schedule.phases
    return len(rest) == 2 and math.isclose(rest[0].lr, dense.lr / 10) and not math.isclose(rest[1].lr, dense.lr / 10)


@dataclass(frozen=True, kw_only=True)
class TextRate(Arm):
    """D2 starts at a tenth of D's rate. S before it has a mask if `masked` (DSD), else none (control)."""

    masked: bool

    def schedule(self, recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Return the phases after D. The last one starts at a tenth of D's rate."""
        *rest, last = (masked if self.masked else unmasked)(recipe).phases
        return Schedule((*rest, dataclasses.replace(last, lr=recipe.schedule.phases[0].lr / 10)))

    def refusal(self, recipe: Recipe) -> str:
        """Return a reason if `has_text_reading` is false for the recipe; otherwise empty."""
        return (
            "" if has_text_reading(recipe) else "D2 at a tenth of D's rate is the recipe itself, or above the rate of S"
        )


_MEANING = "D2 starts at a tenth of D's learning rate, as in the paper's text; so does its control"
_CARD = Card(
    source="Han et al. (ICLR 2017), Section 3",
    deviations=("defined only if S runs at a tenth of D's rate and D2 at a lower one",),
    unknown=("which of the two rates the published networks used",),
)

ARMS = (
    TextRate(
        name="control-text",
        label="Control, D2 at the text's rate",
        meaning=_MEANING,
        listed="DSD, D2 at the text's rate",
        short="control, D2 at\nthe text's rate",
        rank=10,
        reference="the text's rate",
        masked=False,
        card=_CARD,
    ),
    TextRate(
        name="dsd-text",
        label="DSD, D2 at the text's rate",
        meaning=_MEANING,
        short="DSD, D2 at the text's rate",
        rank=11,
        compared_with="control-text",
        follow_weights=True,
        masked=True,
        card=_CARD,
    ),
)
