"""Moving masks: drop the smallest kept weights and grow pruned weights with the highest score."""

from __future__ import annotations

import torch
from torch import Tensor


def drop_and_grow(weight: Tensor, kept: Tensor, score: Tensor, share: float) -> Tensor:
    """Drop the smallest kept weights and grow the same number of pruned weights, those with the highest score.

    Random scores give SET (Mocanu et al., 2018), gradient magnitudes as scores give RigL (Evci et al., 2020).

    Args:
        weight: the weights, any shape.
        kept: the current mask: bool, the same shape, True where kept.
        score: the same shape, finite; scores of kept weights are ignored.
        share: the share of the kept weights to drop, in [0, 1]. Never more weights are dropped than are pruned.

    Returns:
        the new mask: bool, the same shape, with the same number of kept weights.
    """
    count = min(round(share * int(kept.count_nonzero())), int((~kept).count_nonzero()))
    magnitude = weight.detach().abs().masked_fill(~kept, torch.inf).flatten()
    moved = kept.flatten().clone()
    moved[magnitude.topk(count, largest=False).indices] = False
    moved[score.masked_fill(kept, -torch.inf).flatten().topk(count).indices] = True
    return moved.view_as(kept)
