"""Check that a record's curves, phases and results agree, and that phases shared by two arms are equal in both."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from benchmarks.audit.check import NotApplicableError, Outcome, close
from benchmarks.records.schema import Arm, Record


def curve(record: Record) -> Outcome:
    """Every phase ends at a point of the curve, the final result is the last phase's, and shared phases are equal."""
    runs = {name: run for name, run in record.runs.items() if run.phases}  # a given network has no phases
    if not runs:
        raise NotApplicableError("no run was trained to its end")
    problems = []
    for name, run in runs.items():
        steps = [point.step for point in run.curve]
        if steps != sorted(set(steps)):
            problems.append(f"{name}: the steps of the curve do not increase: {steps}")
        points = {point.step: point.test for point in run.curve}
        ends = list(itertools.accumulate(phase.steps for phase in run.phases))
        for phase, end in zip(run.phases, ends, strict=True):
            if points.get(end) != phase.test:
                problems.append(
                    f"{name}: at step {end} the curve has {points.get(end)}, the phase that ends there {phase.test}"
                )
        if steps[-1:] != ends[-1:]:
            problems.append(f"{name}: the curve ends at step {steps[-1:]}, the last phase at {ends[-1]}")
        last = run.phases[-1].test
        if set(run.test) != set(last) or not all(close(value, last[key]) for key, value in run.test.items()):
            problems.append(f"{name}: the result is {run.test}, its last phase ended with {last}")
    problems += phase_problems(record)
    return problems, f"{sum(len(run.curve) for run in runs.values())} points"


def phase_problems(record: Record) -> list[str]:
    """Return the problems of phases' scores and of shared phases. Records of suite 0.1 have no such fields."""
    if not record.numerics:
        return []
    return [
        name + problem
        for name, run in record.runs.items()
        for problem in (*_scores(record.metric, run), *_shared(record, run))
    ]


def _scores(metric: str, run: Arm) -> Iterator[str]:
    for number, phase in enumerate(run.phases, start=1):
        where = f", phase {number}"
        if phase.train is None:
            yield f"{where}: no scores on training examples"
        elif metric not in phase.train:
            yield f"{where}: its scores on training examples lack {metric}"
        if phase.pruned and phase.kind != "sparse":
            yield f"{where}: scores right after pruning, but it is a {phase.kind} phase"
        elif phase.kind == "sparse" and phase.mask is not None and phase.pruned is None:
            yield f"{where}: no scores right after pruning"
        elif phase.pruned and not all(metric in values for values in (phase.pruned.test, phase.pruned.train)):
            yield f"{where}: its scores right after pruning lack {metric}"


def _shared(record: Record, run: Arm) -> Iterator[str]:
    """Yield a problem if the phases that another arm trained differ from the phases of that arm."""
    if not run.forked_from:
        if run.shared_phases:
            yield f" shares {run.shared_phases} phases with no arm"
        return
    leader = record.arms.get(run.forked_from)
    if leader is None:
        yield f" shares phases with {run.forked_from}, which is not an arm of the record"
    elif not 0 < run.shared_phases < len(run.phases):
        yield f" shares {run.shared_phases} of its {len(run.phases)} phases with {run.forked_from}"
    elif run.phases[: run.shared_phases] != leader.phases[: run.shared_phases]:
        yield f" shares {run.shared_phases} phases with {run.forked_from}, and they differ"
