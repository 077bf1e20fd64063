"""DSD whose mask moves during S, as in Sparse Evolutionary Training: small weights make room for others, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.arms.arm import Card, Hooks
from benchmarks.arms.dsd import Dsd
from dsd.schedule import Position

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

DROPPED = 0.3
"""The share of the kept weights that each move drops (Mocanu et al.'s zeta)."""

EVERY = 1 / 30
"""Of a phase's steps, from one move to the next: 29 moves in a phase."""


class Evolving(Hooks):
    """Moves the masks at even distances within a sparse phase."""

    def masks_at(
        self, position: Position, model: nn.Module, masks: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor] | None:
        """Return masks of as many kept weights, where it is time to move."""
        every = max(1, round(EVERY * position.steps))
        if position.step % every:
            return None
        return {name: drop_and_grow(model.get_parameter(name), kept, generator) for name, kept in masks.items()}


def drop_and_grow(weight: Tensor, kept: Tensor, generator: torch.Generator) -> Tensor:
    """Return `kept` less the smallest of the kept weights, and with as many of the pruned ones, drawn at random.

    Args:
        weight: any shape.
        kept: bool, the same shape.
        generator: on the CPU.
    """
    import torch

    count = min(round(DROPPED * int(kept.count_nonzero())), int((~kept).count_nonzero()))
    magnitude = weight.detach().abs().masked_fill(~kept, torch.inf).flatten()
    lot = torch.rand(kept.shape, generator=generator).to(kept.device).masked_fill(kept, -1.0).flatten()
    moved = kept.flatten().clone()
    moved[magnitude.topk(count, largest=False).indices] = False
    moved[lot.topk(count).indices] = True
    return moved.view_as(kept)


@dataclass(frozen=True, kw_only=True)
class MovingMask(Dsd):
    """DSD, its mask moved in S."""

    def hooks(self, steps: int) -> Hooks:
        """Return what moves masks."""
        return Evolving()


ARMS = (
    MovingMask(
        name="set",
        label="DSD, moving mask (SET)",
        meaning="as DSD, its mask moving in S: it drops the smallest kept weights and grows others at random (Mocanu et al., 2018)",
        short="DSD, moving\nmask (SET)",
        rank=33,
        moves_masks=True,
        card=Card(
            source="Mocanu et al., Scalable Training of Artificial Neural Networks with Adaptive Sparse Connectivity Inspired by "
            "Network Science, Nature Communications 2018",
            deviations=(
                "begins from DSD's magnitude mask after D; published, from a random one without D",
                "the recipe's sparsity in every layer; published, that of an Erdos-Renyi graph",
                "moves 29 times in S; published, after every epoch",
                "ends dense, by DSD's own D2",
            ),
            unknown=("what it does for a network that ends dense",),
        ),
    ),
)
