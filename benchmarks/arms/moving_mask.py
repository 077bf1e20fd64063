"""DSD with a mask that moves during S (Sparse Evolutionary Training): it drops the smallest kept weights and grows random ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dsd
from benchmarks.arms.arm import Card, Hooks
from benchmarks.arms.dsd import Dsd
from dsd.schedule import Position

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

DROPPED = 0.3
"""The share of kept weights that each move drops (zeta in Mocanu et al.)."""

EVERY = 1 / 30
"""The interval between moves as a share of the phase: 29 moves per phase."""


class Evolving(Hooks):
    """Moves the masks at regular intervals within a sparse phase."""

    def masks_at(
        self, position: Position, model: nn.Module, masks: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor] | None:
        """Return moved masks that keep the same number of weights if a move is due, else None."""
        import torch

        every = max(1, round(EVERY * position.steps))
        if position.step % every:
            return None
        moved = {}
        for name, kept in masks.items():
            lot = torch.rand(kept.shape, generator=generator).to(kept.device)
            moved[name] = dsd.drop_and_grow(model.get_parameter(name), kept, lot, DROPPED)
        return moved


@dataclass(frozen=True, kw_only=True)
class MovingMask(Dsd):
    """DSD with a mask that moves in S."""

    def hooks(self, steps: int) -> Hooks:
        """Return the hooks that move masks."""
        return Evolving()


ARMS = (
    MovingMask(
        name="set",
        label="DSD, moving mask (SET)",
        meaning="DSD with a mask that moves in S: it drops the smallest kept weights and grows random others (Mocanu et al., 2018)",
        short="DSD, moving\nmask (SET)",
        rank=33,
        moves_masks=True,
        card=Card(
            source="Mocanu et al., Scalable Training of Artificial Neural Networks with Adaptive Sparse Connectivity Inspired by "
            "Network Science, Nature Communications 2018",
            deviations=(
                "starts from DSD's magnitude mask after D; the published method starts from a random mask without D",
                "uses the recipe's sparsity in every layer; the published method uses that of an Erdos-Renyi graph",
                "moves 29 times in S; the published method moves after every epoch",
                "ends dense, with DSD's D2",
            ),
            unknown=("its effect on a network that ends dense",),
        ),
    ),
)
