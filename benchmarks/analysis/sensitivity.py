"""How the gain depends on the recipe, and other uses of the same budget. Pure functions; no text.

DSD at other sparsities, in two iterations, or with kept optimizer state; the control with weight averaging or sharpness-aware
training. All are secondary to the primary result.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import Average
from benchmarks.arms import registry
from benchmarks.arms.registry import ARMS, SENSITIVITY
from benchmarks.statistics.crossed import Crossed
from benchmarks.statistics.intervals import Paired

_SWEPT = tuple(name for name in SENSITIVITY if ARMS[name].sparsity is not None)
_OTHERS = ("random", "llr", *(name for name in SENSITIVITY if name not in _SWEPT))


@dataclass(frozen=True)
class Choice:
    """An arm and the arm that it is compared with, paired by seed.

    `over` is the control or the arm's own control (see `registry.control_of`). `sparsity` is the sparsity of S in percent for
    DSD by sparsity (the mean, if the recipe's sparse phases differ); None for other arms. `gains` has one entry per seed.
    `crossed` is the gain with its interval over seeds and test examples; None if the trials are not results or have only one seed.
    `seconds` is the arm's mean time per trial.
    """

    arm: str
    over: str
    sparsity: float | None
    test: Average
    gains: tuple[float, ...]
    gain: Paired | None
    crossed: Crossed | None
    seconds: float

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval: over seeds and test examples for results, otherwise over seeds."""
        if self.crossed:
            return self.crossed.low, self.crossed.high
        return self.gain.interval if self.gain else None


@functools.lru_cache(maxsize=64)
def choices(group: Group) -> list[Choice]:
    """Return DSD by sparsity, then the other arms; empty without a sensitivity arm and its control."""
    if not summary.has_sensitivity(group):
        return []
    curve = [choice for name in ("dsd", *_SWEPT) if (choice := _choice(group, name))]
    others = [choice for name in _OTHERS if (choice := _choice(group, name))]
    return sorted(curve, key=lambda choice: (choice.sparsity is None, choice.sparsity or 0.0)) + others


def own_sparsities(group: Group) -> list[float]:
    """Return the percentage of weights pruned in each sparse phase of the recipe's own DSD, averaged over seeds."""
    sparsities = []
    for number in range(1, summary.count_iterations(group) + 1):
        masks = [mask for record in group.records if (mask := summary.mask(record, "dsd", number))]
        if masks:
            kept = [sum(layer.kept for layer in mask) / sum(layer.weights for layer in mask) for mask in masks]
            sparsities.append(round(100 * (1 - summary.average(kept).mean), 1))
    return sparsities


def _choice(group: Group, name: str) -> Choice | None:
    over = registry.control_of(name)
    gains = summary.gains(group, name, over)
    if not gains:
        return None
    arms = {record.id: record.arms[name] for record in group.records if record.seed in gains}
    test = summary.average([arm.test[group.metric] for arm in arms.values()], list(arms))
    seconds = summary.average([arm.cost.seconds for arm in arms.values()]).mean
    paired = summary.paired(group, list(gains.values()))
    crossed = summary.crossed(group, name, over) if group.quotable else None
    return Choice(name, over, _sparsity(group, name), test, tuple(gains.values()), paired, crossed, seconds)


def _sparsity(group: Group, name: str) -> float | None:
    if name == "dsd":
        own = own_sparsities(group)
        return sum(own) / len(own) if own else None
    percent = ARMS[name].sparsity
    return None if percent is None else float(percent)
