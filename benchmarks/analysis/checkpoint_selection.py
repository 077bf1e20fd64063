"""The checkpoint that NeuralTalk's own code would keep: the one with the best validation perplexity.

It is chosen within the last phase of every arm. Over the whole curve, DSD's best point could be in S, where the network is
sparse and not a result of DSD. This is secondary to the primary result, the last epoch. It is computed from the records' curves.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.metrics import PERPLEXITY
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.arms.registry import DENSE
from benchmarks.records.schema import Point, Record
from benchmarks.statistics.intervals import Paired

WHERE = "at the best validation perplexity of the last phase (NeuralTalk's own choice)"


@dataclass(frozen=True)
class Chosen:
    """An arm at the best validation perplexity of its last phase: test metrics over seeds, and the epoch of that point.

    `cells` has the metrics that every such point has; some metrics are measured only at the ends of phases. `epoch` is the mean
    over seeds, counted from the start of the arm; `epochs` is the arm's length. `gain` is the arm's gain over the control in the
    primary metric, each at its own best point; None for the baseline and the control.
    """

    cells: dict[str, Average]
    epoch: float
    epochs: float
    gain: Paired | None


@functools.lru_cache(maxsize=64)
def choices(group: Group) -> dict[str, Chosen]:
    """Return arm label to the chosen checkpoint, baseline first; empty without validation perplexity."""
    names = {name for record in group.records for name in record.arms}
    order = [DENSE, *(n for n in LABELS if n in names), *sorted(names - set(LABELS))]
    best = {name: {r.id: point for r in group.records if (point := _best(r, name))} for name in order}
    tests = [point.test or {} for points in best.values() for point in points.values()]
    shared = [metric for metric in tests[0] if all(metric in test for test in tests)] if tests else []
    chosen = {}
    for name, points in best.items():
        if points:
            scores = [point.test or {} for point in points.values()]
            cells = {metric: summary.average([score[metric] for score in scores], list(points)) for metric in shared}
            epochs = max(r.runs[name].curve[-1].epoch for r in group.records if r.id in points)
            epoch = summary.average([point.epoch for point in points.values()]).mean
            chosen[LABELS.get(name, name)] = Chosen(cells, epoch, epochs, _gain(group, name))
    return chosen


def _gain(group: Group, name: str) -> Paired | None:
    if name in (DENSE, "control"):
        return None
    pairs = [(record, _best(record, name), _best(record, "control")) for record in group.records]
    gains = [summary.gain(r, b.test, a.test) for r, a, b in pairs if a and b and a.test and b.test]
    return summary.paired(group, gains)


def _best(record: Record, name: str) -> Point | None:
    """Return the first point with the lowest validation perplexity in an arm's last phase."""
    if name not in record.runs:
        return None
    arm = record.runs[name]
    start = sum(phase.steps for phase in arm.phases[:-1])  # the point at this step ends the previous phase
    points = [p for p in arm.curve if p.step > start and p.test and {PERPLEXITY, record.metric} <= set(p.test)]
    return min(points, key=lambda point: (point.test or {})[PERPLEXITY], default=None)
