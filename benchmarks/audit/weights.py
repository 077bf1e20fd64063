"""Whether what a record tells of its weights agrees with its masks: every histogram, and every count of the lineage."""

from __future__ import annotations

import math
from collections.abc import Iterator

from benchmarks.records.schema import BINS, MOMENTS, Arm, Histograms, LayerMask, Record, Regrown


def told(record: Record) -> int:
    """Return how many arms tell of their weights; none in records older than that."""
    return sum(_tells(arm) for arm in record.arms.values())


def problems(record: Record) -> list[str]:
    """Return in sentences what does not agree; the masks themselves are taken for right."""
    return [f"{name}{what}" for name, arm in record.arms.items() if _tells(arm) for what in _of_arm(arm)]


def _tells(arm: Arm) -> bool:
    masks = [layer for phase in arm.phases for layer in phase.mask or ()]
    lineage = any(layer.again is not None for layer in masks) or any(phase.regrown is not None for phase in arm.phases)
    return arm.histograms is not None or lineage


def _of_arm(arm: Arm) -> Iterator[str]:
    before: dict[str, LayerMask] = {}
    first: list[LayerMask] = []
    for index, phase in enumerate(arm.phases):
        if phase.mask is not None:
            first = first or phase.mask
            for layer in phase.mask:
                yield from _again(f", phase {index + 1}: {layer.name}", layer, before.get(layer.name))
            before = {layer.name: layer for layer in phase.mask}
        if (phase.regrown is not None) != (phase.kind == "redense" and bool(before)):
            yield f", phase {index + 1}: regrown weights are {'not ' if phase.regrown is None else ''}told of a {phase.kind} phase"
        elif phase.regrown is not None:
            yield from _all_regrown(f", phase {index + 1}", phase.regrown, before)
    if arm.histograms is not None:
        yield from _histograms(arm.histograms, first)


def _again(where: str, layer: LayerMask, before: LayerMask | None) -> Iterator[str]:
    """Of two sets of pruned weights, no more can be common than the smaller has, nor fewer than must overlap."""
    if (layer.again is None) != (before is None):
        yield f"{where} prunes {layer.again} weights again, {'after' if before else 'without'} a sparse phase before it"
    elif layer.again is not None and before is not None:
        once, twice = before.weights - before.kept, layer.weights - layer.kept
        low, high = max(0, once + twice - layer.weights), min(once, twice)
        if not low <= layer.again <= high:
            yield f"{where} prunes {layer.again} of {once} weights again, which must be {low} to {high}"


def _all_regrown(where: str, found: list[Regrown], masks: dict[str, LayerMask]) -> Iterator[str]:
    expected = {name: mask.weights - mask.kept for name, mask in masks.items() if 0 < mask.kept < mask.weights}
    if [one.name for one in found] != list(expected):
        yield f"{where} tells of the regrown weights of {[one.name for one in found]}, masks were on {list(expected)}"
        return
    for one in found:
        if one.weights != expected[one.name]:
            yield f"{where}: {one.name} has {one.weights} regrown weights, its mask pruned {expected[one.name]}"
        elif not 0 <= one.below <= one.weights:
            yield f"{where}: {one.name} has {one.below} of {one.weights} regrown weights below the threshold"
        # A mean lies on the side of the threshold on which all of them lie, but for its last digit.
        elif min(one.threshold, one.magnitude, one.survivors) < 0 or (
            (one.below == one.weights and one.magnitude > one.threshold * (1 + 1e-6))
            or (one.below == 0 and one.magnitude < one.threshold * (1 - 1e-6))
        ):
            yield f"{where}: {one} cannot be: {one.below} lie below the threshold"


def _histograms(told: Histograms, first: list[LayerMask]) -> Iterator[str]:
    where = f": the histograms of {told.layer}"
    largest = max(first, key=lambda layer: layer.weights, default=None)
    if largest is None or (told.layer, told.weights) != (largest.name, largest.weights):
        yield f"{where}, {told.weights} weights, are not those of the largest tensor pruned, {largest}"
        return
    if tuple(point.moment for point in told.points) != MOMENTS[: len(told.points)] or len(told.points) < 3:
        yield f"{where} are of {[point.moment for point in told.points]}, not of {list(MOMENTS)} as far as it was trained"
        return
    if not 0 < told.limit < math.inf:
        yield f"{where} reach to {told.limit}"
    for point in told.points:
        total = sum(point.counts) + point.below + point.above + point.zeros
        if len(point.counts) != BINS or total != told.weights or min(*point.counts, point.below, point.above) < 0:
            yield f"{where}, {point.moment}: {len(point.counts)} bins and what is outside hold {total} of {told.weights} weights"
    dense, pruned, sparse, *rest = told.points
    gone = largest.weights - largest.kept
    if pruned.zeros != max(gone, dense.zeros):  # weights that were zero in D are the first to be pruned
        yield f"{where}: pruning {gone} leaves {pruned.zeros} zeros, of which D had {dense.zeros}"
    if any(after > before for after, before in zip(pruned.counts, dense.counts, strict=False)):
        yield f"{where}: pruning moved weights into a bin, where it can only take them out"
    if sparse.zeros != largest.zeros:
        yield f"{where} have {sparse.zeros} zeros after S, the mask {largest.zeros}"
    if rest and rest[0] != sparse.model_copy(update={"moment": rest[0].moment}):
        yield f"{where}: dropping the mask changed weights, before any was trained"
