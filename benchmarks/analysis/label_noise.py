"""Whether D2 overfits to wrong training labels: pairs of groups that differ only in label noise.

Later work on pruning says that dense training after S fits wrong labels that the sparse network could not fit. The analysis uses
the ends of phases and the curves. Pure functions; no text, no files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group, Key
from benchmarks.analysis.summary import Average
from benchmarks.records.schema import Arm, Record
from benchmarks.statistics.intervals import Paired

FIELD = "label_noise"
"""The recipe's data field with the share of wrong training labels; absent without noise."""


@dataclass(frozen=True)
class Course:
    """An arm at the ends of D, of the phase before D2, and of D2: means over seeds, (3,) each.

    `train` is the training score since the previous point of the curve, in the metric `measure`. It includes the wrong labels. It
    is None if no curve has this point. `test` is the group's metric. `change` is the change of the test metric in D2, paired by
    seed (positive: better).
    """

    measure: str
    train: tuple[Average | None, ...]
    test: tuple[Average, ...]
    change: Paired


@dataclass(frozen=True)
class Level:
    """A noise level: DSD's gains over the control at the same steps, and both arms' courses.

    `sparse` is the gain at the end of the phase before D2, `redense` the gain at the end, `difference` the gain added by D2.
    """

    share: float
    group: Group
    sparse: Paired
    redense: Paired
    difference: Paired
    courses: dict[str, Course]


def share(group: Group) -> float:
    """Return the share of deliberately wrong training labels."""
    data = group.sample.recipe.get("data")
    return float(data.get(FIELD, 0.0)) if isinstance(data, dict) else 0.0


def checks(groups: Sequence[Group], row: str) -> list[list[Level]]:
    """Return the levels of every noisy group of the row: its noise-free counterpart, if any, then its own."""
    levels_of_groups = []
    for noisy in groups:
        if noisy.key.row == row and share(noisy):
            clean = [group for group in groups if not share(group) and _alike(group) == _alike(noisy)]
            levels = [level for group in (*clean[:1], noisy) if (level := _level(group))]
            if levels and levels[-1].group is noisy:
                levels_of_groups.append(levels)
    return levels_of_groups


def _alike(group: Group) -> tuple[Key, dict[str, Any]]:
    """Return everything that two groups differing only in noise have in common."""
    # Notes and the description of the reduction do not affect training.
    recipe = {name: value for name, value in group.sample.recipe.items() if name not in ("notes", "reduction")}
    data = recipe.get("data")
    if isinstance(data, dict):
        recipe["data"] = {name: value for name, value in data.items() if name != FIELD}
    custom = tuple(override for override in group.key.custom if not override.startswith(f"{FIELD}="))
    return dataclasses.replace(group.key, recipe_hash="", custom=custom), recipe


def _level(group: Group) -> Level | None:
    records = [record for record in group.records if _comparable(record)]
    if not records:
        return None
    after = [_gain(record, -1) for record in records]
    before = [_gain(record, -2) for record in records]
    gains = [summary.paired(group, of) for of in (before, after, [a - b for a, b in zip(after, before, strict=True)])]
    sparse, redense, difference = (gain for gain in gains if gain)
    courses = {name: _course(group, records, name) for name in ("dsd", "control")}
    return Level(share(group), group, sparse, redense, difference, courses)


def _comparable(record: Record) -> bool:
    """Return whether DSD ends with D2 and the control's phases have the same numbers of steps."""
    if record.dense is None or {"dsd", "control"} - set(record.arms):
        return False
    dsd, control = record.arms["dsd"].phases, record.arms["control"].phases
    ends = [phase.kind for phase in dsd[-2:]]
    return ends == ["sparse", "redense"] and [phase.steps for phase in dsd] == [phase.steps for phase in control]


def _gain(record: Record, index: int) -> float:
    dsd, control = (record.arms[name].phases[index].test for name in ("dsd", "control"))
    return summary.gain(record, control, dsd)


def _course(group: Group, records: Sequence[Record], name: str) -> Course:
    metric = group.metric
    runs = [(record.dense, record.arms[name]) for record in records if record.dense]
    tests = [(dense.test, arm.phases[-2].test, arm.phases[-1].test) for dense, arm in runs]
    points = [
        (_train(dense), _train(arm, sum(phase.steps for phase in arm.phases[:-1])), _train(arm)) for dense, arm in runs
    ]
    measure = metric if any(metric in values for point in points for values in point) else "loss"
    known = [[values[measure] for values in column if measure in values] for column in zip(*points, strict=True)]
    train = [summary.average(values) if values else None for values in known]
    test = [summary.average([values[metric] for values in column]) for column in zip(*tests, strict=True)]
    changes = [summary.gain(record, values[1], values[2]) for record, values in zip(records, tests, strict=True)]
    change = summary.paired(group, changes)
    assert change is not None, "there is a record"
    return Course(measure, tuple(train), tuple(test), change)


def _train(run: Arm, step: int | None = None) -> dict[str, float]:
    """Return the training numbers at the curve's point at `step`, or at its last point; empty if there is none."""
    points = [point for point in run.curve if step is None or point.step == step]
    return points[-1].train if points else {}
