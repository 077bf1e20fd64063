"""Check that an arm's histograms and mask lineage agree with its masks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmarks.records.schema import BINS, MOMENTS, Arm, Histograms, LayerMask, Regrown


def followed(arm: Arm) -> bool:
    """Return whether the record has histograms or mask lineage of the arm. Older records have neither."""
    masks = [layer for phase in arm.phases for layer in phase.mask or ()]
    lineage = any(layer.again is not None for layer in masks) or any(phase.regrown is not None for phase in arm.phases)
    return arm.histograms is not None or lineage


def problems(arm: Arm) -> Iterator[str]:
    """Yield the problems of an arm's histograms and mask lineage. The masks themselves are assumed to be right."""
    before: dict[str, LayerMask] = {}
    first: list[LayerMask] = []
    for number, phase in enumerate(arm.phases, start=1):
        where = f", phase {number}"
        if phase.mask is not None:
            first = first or phase.mask
            for layer in phase.mask:
                yield from _again(f"{where}: {layer.name}", layer, before.get(layer.name))
            before = {layer.name: layer for layer in phase.mask}
        if (phase.regrown is not None) != (phase.kind == "redense" and bool(before)):
            yield f"{where}: {'no' if phase.regrown is None else 'has'} regrown weights, but it is a {phase.kind} phase"
        elif phase.regrown is not None:
            yield from _regrown(where, phase.regrown, before)
    if arm.histograms is not None:
        yield from _histograms(arm.histograms, first)


def _again(where: str, layer: LayerMask, before: LayerMask | None) -> Iterator[str]:
    """Check the number of weights that both masks prune: at least the necessary overlap, at most the smaller pruned set."""
    if (layer.again is None) != (before is None):
        yield f"{where} prunes {layer.again} weights again, {'after' if before else 'without'} a sparse phase before it"
    elif layer.again is not None and before is not None:
        pruned_before, pruned = before.weights - before.kept, layer.weights - layer.kept
        low, high = max(0, pruned_before + pruned - layer.weights), min(pruned_before, pruned)
        if not low <= layer.again <= high:
            yield f"{where} prunes {layer.again} of {pruned_before} weights again, which must be {low} to {high}"


def _regrown(where: str, layers: list[Regrown], masks: dict[str, LayerMask]) -> Iterator[str]:
    expected = {name: mask.weights - mask.kept for name, mask in masks.items() if 0 < mask.kept < mask.weights}
    if [layer.name for layer in layers] != list(expected):
        yield f"{where} has regrown weights of {[layer.name for layer in layers]}, but masks of {list(expected)}"
        return
    for layer in layers:
        if layer.weights != expected[layer.name]:
            yield f"{where}: {layer.name} has {layer.weights} regrown weights, its mask pruned {expected[layer.name]}"
        elif not 0 <= layer.below <= layer.weights:
            yield f"{where}: {layer.name} has {layer.below} of {layer.weights} regrown weights below the threshold"
        # If all weights are on one side of the threshold, their mean is on the same side, up to its last digit.
        elif min(layer.threshold, layer.magnitude, layer.survivors) < 0 or (
            (layer.below == layer.weights and layer.magnitude > layer.threshold * (1 + 1e-6))
            or (layer.below == 0 and layer.magnitude < layer.threshold * (1 - 1e-6))
        ):
            yield f"{where}: {layer} is impossible: {layer.below} weights are below the threshold"


def _histograms(histograms: Histograms, first: list[LayerMask]) -> Iterator[str]:
    """Check the histograms of an arm. `first` are the masks of its first sparse phase."""
    where = f": the histograms of {histograms.layer}"
    largest = max(first, key=lambda layer: layer.weights, default=None)
    if largest is None or (histograms.layer, histograms.weights) != (largest.name, largest.weights):
        yield f"{where}, {histograms.weights} weights, are not those of the largest pruned tensor, {largest}"
        return
    moments = [point.moment for point in histograms.points]
    if moments != list(MOMENTS[: len(moments)]) or len(moments) < 3:
        yield f"{where} are of {moments}, not of the first three or more of {list(MOMENTS)}"
        return
    if not 0 < histograms.limit < math.inf:
        yield f"{where} have the limit {histograms.limit}"
    for point in histograms.points:
        total = sum(point.counts) + point.below + point.above + point.zeros
        if len(point.counts) != BINS or total != histograms.weights or min(*point.counts, point.below, point.above) < 0:
            yield (
                f"{where}, {point.moment}: {len(point.counts)} bins and the counts outside hold {total} of"
                f" {histograms.weights} weights"
            )
    dense, pruned, sparse, *rest = histograms.points
    gone = largest.weights - largest.kept
    if pruned.zeros != max(gone, dense.zeros):  # weights that are zero in D are pruned first
        yield f"{where}: pruning {gone} weights leaves {pruned.zeros} zeros, and D had {dense.zeros}"
    if any(after > before for after, before in zip(pruned.counts, dense.counts, strict=False)):
        yield f"{where}: pruning added weights to a bin, but it can only remove them"
    if sparse.zeros != largest.zeros:
        yield f"{where} have {sparse.zeros} zeros after S, the mask {largest.zeros}"
    if rest and rest[0] != sparse.model_copy(update={"moment": rest[0].moment}):
        yield f"{where}: dropping the mask changed weights before any training step"
