"""Dense-Sparse-Dense training, the paper's own arm."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks import paper
from benchmarks.arms.arm import Arm, Card, Claim, masked
from benchmarks.rows import ROWS
from dsd.schedule import Schedule
from tasks.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Dsd(Arm):
    """The recipe's own phases, masks included."""

    def schedule(self, recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Return the phases after D."""
        return masked(recipe)


def _claim(row: paper.Row) -> Claim:
    """Return the gain in Table 1. `budget` is DSD's number of epochs divided by the baseline's."""
    if row.epochs:
        budget = row.epochs["DSD"] / row.epochs["Baseline"]
    else:
        phases = ROWS[row.name].recipes["paper"].schedule.phases
        budget = sum(phase.epochs for phase in phases) / phases[0].epochs
    gain = f"{row.overview.absolute:g}"
    return Claim(
        row.network, row.data, row.metric, gain, round(budget, 2), None, row.overview.source, row.overview.mark
    )


ARMS = (
    Dsd(
        name="dsd",
        label="DSD",
        meaning="the sparse phase S with magnitude masks, then the re-dense phase D2; repeated if the row has several iterations",
        rank=0,
        main=True,
        follow_weights=True,
        card=Card(
            source="Han et al., DSD: Dense-Sparse-Dense Training for Deep Neural Networks, ICLR 2017",
            claims=tuple(_claim(row) for row in paper.ROWS.values()),
            deviations=(
                "LibriSpeech or noisy digits instead of WSJ",
                "resets the optimizer state at the start of every phase",
                "learning rates decay within every phase, by the rule in the network's own publication",
            ),
            unknown=(
                "seeds and spread",
                "weight decay, batch and augmentation of most rows",
                "what happens to the optimizer state at the start of a phase",
            ),
        ),
    ),
)
