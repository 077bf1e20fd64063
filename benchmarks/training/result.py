"""Write the record of an ended trial from the results of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.records import outputs, store
from benchmarks.records.example_outcomes import unpack_outcomes
from benchmarks.records.schema import Arm, Cost, Data, Dense, Failure, Record
from benchmarks.rows import SUITE
from benchmarks.statistics.bootstrap import OUTCOME_SCALE, Bootstrap, bootstrap
from benchmarks.training.plan import Plan
from tasks.random_streams import derive
from tasks.task import DataReport, Task


@dataclass(frozen=True)
class History:
    """How a trial was run: its start time (UTC), its number of interruptions, and the provenance of earlier processes if different.

    `met` are the operations without a deterministic algorithm that the trial has run.
    """

    started: str
    interruptions: int
    earlier: tuple[str, ...]
    met: frozenset[str]


def write(
    plan: Plan,
    task: Task,
    history: History,
    dense: Dense | None,
    arms: dict[str, Arm],
    failure: Failure | None,
    costs: Sequence[Cost],
    said: Mapping[str, list[dict[str, str]]],
) -> Path:
    """Write the record and the outputs file, and return the record's path.

    Args:
        plan: the trial's plan.
        task: the trial's task.
        history: how the trial was run.
        dense: the result of D.
        arms: the results of the arms; empty if the trial failed.
        failure: where the trial failed, if it did.
        costs: the arms' costs, without phases that another arm trained.
        said: the outputs for the test examples by run, if the row has any.
    """
    metric, origin = task.metric, plan.provenance
    parts = [dense.cost, *costs] if dense else list(costs)
    now = plan.ends(history.started)
    name = f"{plan.key(task)}-{now.strftime('%Y%m%dT%H%M%S%f')[:-3]}Z"  # to the millisecond
    record = Record(
        id=name,
        suite=SUITE,
        numerics=plan.row.numerics,
        status="failed" if failure else "finished",
        row=plan.row.name,
        scale=plan.scale,
        seed=plan.seed,
        custom=list(plan.custom),
        command=plan.command,
        started=history.started,
        finished=as_text(now),
        interruptions=history.interruptions,
        earlier=list(history.earlier),
        commit=origin.commit,
        dirty=origin.dirty,
        versions=origin.versions,
        hardware=origin.hardware,
        precision=origin.precision,
        deterministic=not history.met,
        nondeterministic=sorted(history.met),
        data=_data(task.report),
        recipe=plan.recipe.as_dict(),
        recipe_hash=plan.recipe.hash(),
        metric=metric.name,
        unit=metric.unit,
        lower_is_better=metric.lower_is_better,
        dense=dense,
        arms=arms,
        bootstrap=_bootstraps(plan, arms),
        cost=Cost(
            seconds=round(sum(part.seconds for part in parts), 2),
            steps=sum(part.steps for part in parts),
            samples=sum(part.samples for part in parts),
        ),
        failure=failure,
        outputs=outputs.write(dict(said), plan.out / "outputs" / f"{name}.csv.gz"),
    )
    return store.write(record, plan.records())


def as_text(moment: datetime) -> str:
    """Return a UTC time in the format of records."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _data(report: DataReport) -> Data:
    return Data(
        name=report.name,
        fingerprint=report.fingerprint,
        counts=report.counts,
        synthetic=report.synthetic,
        subset=report.subset,
        warnings=list(report.warnings),
        features=report.features,
        published=report.published,
    )


def _bootstraps(plan: Plan, arms: Mapping[str, Arm]) -> dict[str, Bootstrap]:
    """Return the bootstrap of every arm over the control."""
    if "control" not in arms:
        return {}
    base = unpack_outcomes(arms["control"].outcomes)
    return {
        name: bootstrap(
            unpack_outcomes(arm.outcomes), base, seed=derive(plan.stream(), "bootstrap", name), scale=OUTCOME_SCALE
        )
        for name, arm in arms.items()
        if name != "control"
    }
