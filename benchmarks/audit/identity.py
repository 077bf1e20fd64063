"""Check that a record's id and recipe agree with its other fields."""

from __future__ import annotations

from benchmarks.audit.check import NotApplicableError, Outcome
from benchmarks.audit.recipes import recipe_of
from benchmarks.records import naming
from benchmarks.records.schema import Record
from benchmarks.rows import ROWS, SUITE


def identity(record: Record) -> Outcome:
    """The id consists of row, scale, seed, a digest of all facts that decide the outcome, and the end time."""
    problems = []
    if record.started > record.finished:
        problems.append(f"it started at {record.started}, after it finished at {record.finished}")
    when = record.finished.replace("-", "").replace(":", "").removesuffix("Z")
    name, _, stamp = record.id.rpartition("-")
    if not stamp.startswith(when):
        problems.append(f"the id ends in {stamp}, but it finished at {record.finished}")
    expected = naming.key(
        record.row,
        record.scale,
        record.seed,
        record.data.fingerprint,
        record.recipe_hash,
        record.arms,
        record.dense.sha256 if record.dense else None,
        record.custom,
        record.hardware.processes,
        record.precision,
    )
    if record.status == "finished" and name != expected:
        problems.append(
            f"row, scale, seed, data, recipe, arms, start and overrides give {expected}, the id says {name}"
        )
    return problems, name


def recipe(record: Record) -> Outcome:
    """The recipe has the recorded hash, and the row's metric is the recorded one."""
    try:
        digest = recipe_of(record).hash()
    except ValueError as error:
        if record.suite != SUITE:
            raise NotApplicableError(str(error)) from error
        return [str(error)], ""
    problems = []
    if digest != record.recipe_hash:
        problems.append(f"its hash is {digest}, not {record.recipe_hash}")
    row = ROWS.get(record.row)
    stated = (record.metric, record.unit, record.lower_is_better)
    if row and stated != (row.metric.name, row.metric.unit, row.metric.lower_is_better):
        problems.append(f"the metric of {record.row} is {row.metric}, but the record states {stated}")
    return problems, f"hash {record.recipe_hash}"
