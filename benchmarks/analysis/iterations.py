"""DSD with several iterations: all arms at the end of every phase, at equal epochs, and the paper's unequal comparison."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.arms.registry import DENSE
from benchmarks.records.schema import Record
from benchmarks.statistics.intervals import Paired

Kind = Literal["dense", "sparse", "redense"]


@dataclass(frozen=True)
class Stage:
    """The end of a phase: the primary metric over seeds.

    `kind` and `iteration` describe the dsd arm's phase; D is iteration 0. `epochs` is the total so far, including D if it was
    trained here. `tests` has every arm's result at that step; D is one network shared by all arms. `gain` is DSD's gain over the
    control at that step, that is, at equal epochs; None if no trial has both. `last` marks the primary figure.
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
    longest = max((r for r in group.records if "dsd" in r.arms), key=lambda r: len(r.arms["dsd"].phases))
    dense = [record.dense.test[record.metric] for record in group.records if record.dense]
    epochs = sum(phase.epochs for phase in longest.dense.phases) if longest.dense else 0.0
    ends = (
        [Stage("dense", 0, epochs, dict.fromkeys(order, summary.average(dense, summary.trials(group, DENSE))), None)]
        if dense
        else []
    )
    phases = longest.arms["dsd"].phases
    iteration = 0
    for index, phase in enumerate(phases):
        iteration += phase.kind == "sparse"
        epochs += phase.epochs
        tests = {}
        for name in order:
            values = {r.id: test[r.metric] for r in group.records if (test := summary.test_after(r, name, index))}
            if values:
                tests[name] = summary.average(list(values.values()), list(values))
        gain = summary.paired(group, [summary.gain(*pair) for pair in _pairs(group, index, index)])
        ends.append(Stage(phase.kind, iteration, epochs, tests, gain, last=index == len(phases) - 1))
    return ends


def unequal(group: Group) -> Unequal | None:
    """Return DSD after its last phase against the control at an earlier point; None if there is no such point.

    The point corresponds to the paper's stage with as many total epochs as its Baseline. With two iterations, it is the end of
    the first.
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
    pairs = _pairs(group, last, at)
    gains = [summary.gain(*pair) for pair in pairs]
    gain = summary.paired(group, gains)
    if gain is None:
        return None
    ids = [record.id for record, _, _ in pairs]
    dsd = summary.average([after[group.metric] for _, _, after in pairs], ids)
    control = summary.average([before[group.metric] for _, before, _ in pairs], ids)
    epochs = (ends[-1].epochs, ends[like[0]].epochs)
    return Unequal(epochs, dsd, control, tuple(gains), gain, ends[like[0]].iteration)


def _pairs(group: Group, dsd: int, control: int) -> list[tuple[Record, dict[str, float], dict[str, float]]]:
    """Return each record with the tests of the control after its phase `control` and of DSD after its phase `dsd`."""
    tests = [
        (record, summary.test_after(record, "control", control), summary.test_after(record, "dsd", dsd))
        for record in group.records
    ]
    return [(record, before, after) for record, before, after in tests if before and after]
