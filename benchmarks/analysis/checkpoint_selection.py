"""The checkpoint that NeuralTalk's own code would have kept: the one of the best validation perplexity.

It is chosen among the points of each arm's last phase, of all arms alike: over the whole curve the best point of DSD can lie
in S, whose network is sparse and no result of DSD, and the control's in the same epochs. It is shown beside the primary
result, the last epoch, and decides nothing. The curves of the records have all it takes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.metrics import PERPLEXITY
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.arms.registry import DENSE
from benchmarks.records.schema import Arm, Point, Record
from benchmarks.statistics.intervals import Paired

WHERE = "at the best validation perplexity of the last phase (NeuralTalk's own choice)"


@dataclass(frozen=True)
class Chosen:
    """An arm at the best validation perplexity of its last phase: test metrics over seeds, and where in the arm that was.

    Metrics are those that every such point has: some are measured at the ends of phases alone.
    `epoch` is the mean over seeds, counted from the start of the arm, of `epochs` that it has. `gain` is that of the arm
    over the control, each at its own best point, in the primary metric; None for the baseline and the control.
    """

    cells: dict[str, Average]
    epoch: float
    epochs: float
    gain: Paired | None


@functools.lru_cache(maxsize=64)
def choices(group: Group) -> dict[str, Chosen]:
    """Return label of arm to what would have been kept of it, the baseline first; empty without validation perplexity."""
    names = {name for record in group.records for name in record.arms}
    order = [DENSE, *(n for n in LABELS if n in names), *sorted(names - set(LABELS))]
    best = {name: {r.id: point for r in group.records if (point := _best(r, name))} for name in order}
    tests = [point.test or {} for points in best.values() for point in points.values()]
    shared = [metric for metric in tests[0] if all(metric in test for test in tests)] if tests else []
    found = {}
    for name, points in best.items():
        if points:
            scores = [point.test or {} for point in points.values()]
            cells = {metric: summary.average([one[metric] for one in scores], list(points)) for metric in shared}
            epochs = max(arm.curve[-1].epoch for r in group.records if (arm := _arm(r, name)) and arm.curve)
            epoch = summary.average([point.epoch for point in points.values()]).mean
            found[LABELS.get(name, name)] = Chosen(cells, epoch, epochs, _gain(group, name))
    return found


def _gain(group: Group, name: str) -> Paired | None:
    if name in (DENSE, "control"):
        return None
    pairs = [(record, _best(record, name), _best(record, "control")) for record in group.records]
    gains = [summary.gain(r, b.test, a.test) for r, a, b in pairs if a and b and a.test and b.test]
    return summary.paired(group, gains)


def _best(record: Record, name: str) -> Point | None:
    """Return the first point of the lowest validation perplexity in an arm's last phase."""
    arm = _arm(record, name)
    if arm is None:
        return None
    start = sum(phase.steps for phase in arm.phases[:-1])  # the point of this step is the end of the phase before
    points = [p for p in arm.curve if p.step > start and p.test and {PERPLEXITY, record.metric} <= set(p.test)]
    return min(points, key=lambda point: (point.test or {})[PERPLEXITY], default=None)


def _arm(record: Record, name: str) -> Arm | None:
    return record.dense if name == DENSE else record.arms.get(name)
