"""What happened to the weights that S pruned: how many the next S prunes again, how far D2 regrows them. Pure functions."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.analysis.groups import Group
from benchmarks.records.schema import MOMENTS, LayerMask, Record, Regrown

ALL = "all pruned tensors"
"""The key of the figures over all weights of a network."""


@dataclass(frozen=True)
class Iteration:
    """One iteration of the dsd arm of one seed. Each dictionary maps tensor to percent or size, and `ALL` to the overall figure.

    Attributes:
        again: percent of the weights pruned by the previous S that this S prunes again; empty in the first iteration.
        chance: percent of all weights that this S prunes, the expected `again` if it chose independently of the previous S.
        most: the maximum possible `again`, since this S may prune fewer weights than the previous one.
        below: percent of the weights pruned by this S that end D2 below its pruning threshold; empty without D2.
        size: mean magnitude of the weights pruned by this S at the end of D2, relative to that of the survivors.
    """

    again: dict[str, float] = field(default_factory=dict)
    chance: dict[str, float] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)
    below: dict[str, float] = field(default_factory=dict)
    size: dict[str, float] = field(default_factory=dict)


def iterations(record: Record, name: str = "dsd") -> list[Iteration]:
    """Return the iterations of a record's arm, in order; empty if the record is too old or has no such arm."""
    results: list[Iteration] = []
    before: dict[str, LayerMask] = {}
    arm = record.arms.get(name)
    for phase in arm.phases if arm else ():
        if phase.mask is not None:
            results.append(_masks(phase.mask, before))
            before = {layer.name: layer for layer in phase.mask}
        if phase.regrown and results:
            below = {part.name: 100 * part.below / part.weights for part in phase.regrown}
            below[ALL] = 100 * sum(part.below for part in phase.regrown) / sum(part.weights for part in phase.regrown)
            results[-1] = dataclasses.replace(results[-1], below=below, size=_sizes(phase.regrown, before))
    return results if any(part.again or part.below for part in results) else []


@functools.lru_cache(maxsize=64)
def by_seed(group: Group) -> dict[int, list[Iteration]]:
    """Return seed to iterations, for the records that have them."""
    every = {record.seed: iterations(record) for record in group.records}
    return {seed: each for seed, each in every.items() if each}


def layers(group: Group) -> list[str]:
    """Return the tensors in the iterations, in network order."""
    names = (
        name for each in by_seed(group).values() for iteration in each for name in (*iteration.again, *iteration.below)
    )
    return [name for name in dict.fromkeys(names) if name != ALL]


def of_weights(group: Group) -> Record | None:
    """Return the record whose histograms are drawn: the lowest seed with all five points in its dsd arm."""
    for record in group.records:
        histograms = record.arms["dsd"].histograms if "dsd" in record.arms else None
        if histograms is not None and len(histograms.points) == len(MOMENTS):
            return record
    return None


def _masks(mask: list[LayerMask], before: dict[str, LayerMask]) -> Iteration:
    gone = {layer.name: layer.weights - layer.kept for layer in mask}
    last = {name: layer.weights - layer.kept for name, layer in before.items()}
    both = [layer for layer in mask if layer.again is not None and layer.name in last]
    again = {layer.name: (layer.again or 0, last[layer.name]) for layer in both}
    most = {layer.name: (min(gone[layer.name], last[layer.name]), last[layer.name]) for layer in both}
    chance = {layer.name: (gone[layer.name], layer.weights) for layer in mask}
    return Iteration(_percent(again), _percent(chance), _percent(most))


def _percent(counts: dict[str, tuple[int, int]]) -> dict[str, float]:
    """Return percentages from (part, whole) by name and overall; entries with a whole of zero are left out."""
    total = (sum(part for part, _ in counts.values()), sum(whole for _, whole in counts.values()))
    return {name: 100 * part / whole for name, (part, whole) in {**counts, ALL: total}.items() if whole}


def _sizes(regrown: Iterable[Regrown], masks: dict[str, LayerMask]) -> dict[str, float]:
    """Return mean magnitude of regrown weights / survivors, by name and overall; left out if the survivors' mean is zero."""
    rows = [(layer, masks[layer.name].kept) for layer in regrown if layer.name in masks]
    sizes = {layer.name: layer.magnitude / layer.survivors for layer, _ in rows if layer.survivors}
    weights, kept = sum(layer.weights for layer, _ in rows), sum(count for _, count in rows)
    survivors = sum(layer.survivors * count for layer, count in rows)
    if survivors:
        sizes[ALL] = sum(layer.magnitude * layer.weights for layer, _ in rows) / weights / (survivors / kept)
    return sizes
