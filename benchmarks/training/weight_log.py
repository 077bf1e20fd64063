"""Follows the weights of a network pruned by magnitude: histograms of one tensor, and the lineage of masks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

import dsd
from benchmarks.records.schema import BINS, MOMENTS, Histogram, Histograms, Moment, Regrown

LIMIT = 4
"""The outer edge of the bins, in standard deviations of D's weights."""

_PIECE = 1 << 16  # weights processed together: intermediate results fit in the processor's cache


class WeightLog:
    """Follows the weights of one learner, which reports the starts, prunings and ends of phases.

    It stores its results and the masks of the last sparse phase, one bit per weight.

    Args:
        active: whether to record anything.
    """

    def __init__(self, active: bool) -> None:
        self.active = active
        self.iteration = 0
        self.histograms: Histograms | None = None
        self.again: dict[str, int] = {}
        """By tensor, the number of weights pruned by both the previous and this sparse phase."""
        self._last: dict[str, dict[str, Any]] = {}  # packed masks of the last sparse phase that has ended
        self._thresholds: dict[str, float] = {}  # by tensor, the smallest magnitude that the last pruning kept

    def state(self) -> dict[str, Any]:
        """Return the state needed to resume, as tensors and plain values."""
        return {
            "active": self.active,
            "iteration": self.iteration,
            "histograms": self.histograms.model_dump() if self.histograms else None,
            "again": self.again,
            "last": self._last,
            "thresholds": self._thresholds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from `state`."""
        self.active, self.iteration = state["active"], state["iteration"]
        self.histograms = Histograms.model_validate(state["histograms"]) if state["histograms"] else None
        self.again, self._last, self._thresholds = dict(state["again"]), state["last"], dict(state["thresholds"])

    def before_pruning(self, model: nn.Module, skip: Sequence[str]) -> None:
        """Record the weights after D and choose the tensor for the histograms."""
        weights = dsd.prunable(model, skip).weights
        if not self.active or self.iteration or not weights:
            return
        layer = max(weights, key=lambda name: weights[name].numel())
        limit = LIMIT * float(weights[layer].detach().std(correction=0))
        if math.isfinite(limit) and limit > 0:
            self.histograms = Histograms(layer=layer, weights=weights[layer].numel(), limit=limit, points=[])
            self._add("dense", model)

    def after_pruning(self, model: nn.Module, masks: dsd.Masks) -> None:
        """Record the pruning just made. The pruned weights are already zero."""
        if not self.active:
            return
        self.iteration += 1
        self._thresholds = {name: _smallest(model.get_parameter(name), kept) for name, kept in masks.items()}
        self.again = {
            name: kept.numel() - int((kept.cpu() | dsd.unpack({name: self._last[name]})[name]).count_nonzero())
            for name, kept in masks.items()
            if name in self._last
        }
        self._add("pruned", model)

    def after_release(self, model: nn.Module, masks: dsd.Masks) -> None:
        """Record that `masks` (perhaps none) were released."""
        if self.active and masks:
            self._last = dsd.pack(masks)
            self._add("dropped", model)

    def end(self, model: nn.Module, kind: str) -> list[Regrown] | None:
        """Record the end of a phase. After D2, return the state of the weights that S had pruned.

        Tensors that were not pruned, or pruned completely, are omitted, because there is nothing to compare.
        """
        if kind == "sparse":
            self._add("sparse", model)
        if kind != "redense" or not self._last:
            return None
        self._add("redense", model)
        found = []
        for name, packed in self._last.items():
            kept = dsd.unpack({name: packed})[name]
            survivors = int(kept.count_nonzero())
            if 0 < survivors < kept.numel():
                found.append(_regrown(name, model.get_parameter(name), kept, self._thresholds[name], survivors))
        return found

    def _add(self, moment: Moment, model: nn.Module) -> None:
        """Add the histogram of `moment`, if it is the next of the five points and this is the first iteration."""
        told = self.histograms
        if told is None or self.iteration > 1 or moment != dict(enumerate(MOMENTS)).get(len(told.points)):
            return
        point = _histogram(moment, model.get_parameter(told.layer), told.limit)
        self.histograms = told.model_copy(update={"points": [*told.points, point]})


def _histogram(moment: Moment, weight: Tensor, limit: float) -> Histogram:
    counts = np.zeros(BINS + 2, dtype=np.int64)
    zeros = 0
    for (piece,) in _pieces(weight):
        bins = np.clip(np.floor(piece * (BINS / (2 * limit))) + (BINS // 2 + 1), 0, BINS + 1)
        counts += np.bincount(bins.astype(np.intp), minlength=BINS + 2)
        zeros += piece.size - int(np.count_nonzero(piece))
    counts[BINS // 2 + 1] -= zeros
    below, *inside, above = counts.tolist()
    return Histogram(moment=moment, counts=inside, below=below, above=above, zeros=zeros)


def _smallest(weight: Tensor, kept: Tensor) -> float:
    """Return the smallest magnitude of the kept weights; infinity if none is kept."""
    return min(float(np.where(mask, np.abs(piece), math.inf).min()) for piece, mask in _pieces(weight, kept))


def _regrown(name: str, weight: Tensor, kept: Tensor, threshold: float, survivors: int) -> Regrown:
    below, grown, others = 0, 0.0, 0.0
    for piece, mask in _pieces(weight, kept):
        sizes = np.abs(piece)
        below += int(np.count_nonzero((sizes < threshold) & ~mask))
        grown += float((sizes * ~mask).sum(dtype=np.float64))
        others += float((sizes * mask).sum(dtype=np.float64))
    weights = kept.numel() - survivors
    return Regrown(
        name=name,
        weights=weights,
        below=below,
        threshold=threshold,
        magnitude=grown / weights,
        survivors=others / survivors,
    )


def _pieces(weight: Tensor, *masks: Tensor) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield the weights (float32) and their masks (bool) in row-major order, in pieces of shape (n,)."""
    flat = [one.detach().cpu().contiguous().view(-1) for one in (weight.float(), *masks)]
    for start in range(0, weight.numel(), _PIECE):
        yield tuple(one[start : start + _PIECE].numpy() for one in flat)
