"""Whether what a record tells of its phases agrees: scores on training examples and after pruning, phases shared by two arms."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.records.schema import Arm, Record


def problems(record: Record) -> list[str]:
    """Return in sentences what does not agree; of records of suite 0.1, which tell nothing of this, nothing."""
    runs = ({"dense": record.dense} if record.dense else {}) | record.arms
    found = [f"{name}{what}" for name, run in runs.items() for what in (*_scores(record, run), *_shared(record, run))]
    return found if record.numerics else []


def _scores(record: Record, run: Arm) -> Iterator[str]:
    for number, phase in enumerate(run.phases, start=1):
        where = f", phase {number}"
        if phase.train is None:
            yield f"{where}: no scores on training examples"
        elif record.metric not in phase.train:
            yield f"{where}: its scores on training examples lack {record.metric}"
        if phase.pruned and phase.kind != "sparse":
            yield f"{where}: scores right after pruning, of a {phase.kind} phase"
        elif phase.kind == "sparse" and phase.mask is not None and phase.pruned is None:
            yield f"{where}: no scores right after pruning"
        elif phase.pruned and not all(record.metric in one for one in (phase.pruned.test, phase.pruned.train)):
            yield f"{where}: its scores right after pruning lack {record.metric}"


def _shared(record: Record, run: Arm) -> Iterator[str]:
    """Phases that another arm trained are that arm's own, to the last number."""
    if not run.forked_from:
        if run.shared_phases:
            yield f" shares {run.shared_phases} phases with no arm"
        return
    leader = record.arms.get(run.forked_from)
    if leader is None:
        yield f" shares phases with {run.forked_from}, which is no arm of the record"
    elif not 0 < run.shared_phases < len(run.phases):
        yield f" shares {run.shared_phases} of its {len(run.phases)} phases with {run.forked_from}"
    elif run.phases[: run.shared_phases] != leader.phases[: run.shared_phases]:
        yield f" shares {run.shared_phases} phases with {run.forked_from}, and they differ"
