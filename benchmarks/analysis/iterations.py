"""DSD with several iterations: all arms at the end of every phase, at equal epochs, and the paper's unequal comparison."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.arms.registry import DENSE
from benchmarks.records.schema import PhaseResult, Record
from benchmarks.statistics.intervals import Paired

Kind = Literal["dense", "sparse", "redense"]


@dataclass(frozen=True)
class Stage:
    """The end of a phase: the primary metric over seeds.

    `kind` and `iteration` describe the dsd arm's phase; D is iteration 0. `epochs` is the total so far, including D if it was
    trained here. `tests` has every arm's result at that step; D is one network shared by all arms. `gain` is DSD's gain over the
    control at that step, so at equal epochs; None if no trial has both. `last` marks the primary figure.
    """

    kind: Kind
    iteration: int
    epochs: float
    tests: dict[str, Average]
    gain: Paired | None
    last: bool = False

    @property
    def name(self) -> str:
        """The display name."""
        return "D" if self.kind == "dense" else f"{'S' if self.kind == 'sparse' else 'D2'}, iteration {self.iteration}"


@dataclass(frozen=True)
class Unequal:
    """DSD after its last iteration against the control after an earlier one: the comparison in the paper."""

    epochs: tuple[float, float]
    dsd: Average
    control: Average
    gains: tuple[float, ...]
    gain: Paired
    iteration: int


@functools.lru_cache(maxsize=64)
def stages(group: Group) -> list[Stage]:
    """Return the ends of phases, D first; empty if the recipe has one iteration or no trial has the dsd arm."""
    if summary.count_iterations(group) < 2:
        return []
    names = {name for record in group.records for name in record.arms}
    order = [name for name in LABELS if name in names] + sorted(names - set(LABELS))
    sample = _longest(group)
    dense = [record.dense.test[record.metric] for record in group.records if record.dense]
    epochs = _dense_epochs(sample)
    found = (
        [Stage("dense", 0, epochs, dict.fromkeys(order, summary.average(dense, summary.trials(group, DENSE))), None)]
        if dense
        else []
    )
    phases = sample.arms["dsd"].phases
    iteration = 0
    for index, phase in enumerate(phases):
        iteration += phase.kind == "sparse"
        epochs += phase.epochs
        tests = {}
        for name in order:
            values = {r.id: value for r in group.records if (value := _at(r, name, index)) is not None}
            if values:
                tests[name] = summary.average(list(values.values()), list(values))
        last = index == len(phases) - 1
        gain = summary.paired(group, _gains(group, index, index))
        found.append(Stage(phase.kind, iteration, epochs, tests, gain, last))
    return found


def unequal(group: Group) -> Unequal | None:
    """Return DSD at its end against the control after the paper's baseline epochs; None if there is no such point.

    That point is the end of the paper's stage with as many total epochs as its Baseline: for two iterations, after the first.
    """
    row = group.paper
    if row is None or not row.iterated or summary.count_iterations(group) < 2:
        return None
    ends = stages(group)
    like = [
        index
        for index, end in enumerate(ends)
        if (name := row.stage(end.kind, end.iteration)) and row.epochs.get(name) == row.epochs["Baseline"]
    ]
    if not like or not ends[like[0]].iteration:
        return None
    first = int(ends[0].kind == "dense")  # an arm's phases do not include D
    at, last = like[0] - first, len(ends) - 1 - first
    gains = _gains(group, last, at)
    gain = summary.paired(group, gains)
    if gain is None:
        return None
    both = [record for record in group.records if _pair(record, last, at)]
    dsd, control = (
        summary.average(
            [value for record in both if (value := _at(record, name, index)) is not None], [one.id for one in both]
        )
        for name, index in (("dsd", last), ("control", at))
    )
    epochs = (ends[-1].epochs, ends[like[0]].epochs)
    return Unequal(epochs, dsd, control, tuple(gains), gain, ends[like[0]].iteration)


def _gains(group: Group, dsd: int, control: int) -> list[float]:
    """Return one gain per seed of DSD after its phase `dsd` over the control after its phase `control`."""
    pairs = [(record, pair) for record in group.records if (pair := _pair(record, dsd, control))]
    return [summary.gain(one, {one.metric: before}, {one.metric: after}) for one, (after, before) in pairs]


def _pair(record: Record, dsd: int, control: int) -> tuple[float, float] | None:
    after, before = _at(record, "dsd", dsd), _at(record, "control", control)
    return None if after is None or before is None else (after, before)


def _at(record: Record, arm: str, index: int) -> float | None:
    """Return an arm's test result at the end of the dsd arm's phase `index`; None unless both took as many steps."""
    if {arm, "dsd"} - set(record.arms):
        return None
    ours, leading = record.arms[arm].phases, record.arms["dsd"].phases
    if len(ours) <= index or len(leading) <= index or _spent(ours, index) != _spent(leading, index):
        return None
    return ours[index].test.get(record.metric)


def _spent(phases: Sequence[PhaseResult], index: int) -> int:
    return sum(phase.steps for phase in phases[: index + 1])


def _longest(group: Group) -> Record:
    """Return a record whose dsd arm has every phase."""
    return max((r for r in group.records if "dsd" in r.arms), key=lambda r: len(r.arms["dsd"].phases))


def _dense_epochs(record: Record) -> float:
    return sum(phase.epochs for phase in record.dense.phases) if record.dense else 0.0
