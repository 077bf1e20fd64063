"""Check that a record's costs are the sums of their parts."""

from __future__ import annotations

import math

from benchmarks.audit.check import Outcome
from benchmarks.records.schema import Record


def cost(record: Record) -> Outcome:
    """Costs are sums of their parts. Phases that arms share count once in the trial."""
    problems = []
    batch = record.recipe.get("batch_size")
    for name, run in record.runs.items():
        costs = [("", run.cost, sum(phase.steps for phase in run.phases))]
        costs += [(f", {phase.kind} phase", phase.cost, phase.steps) for phase in run.phases]
        for where, part, steps in costs:
            # `audit.identity` reports a batch size that is not a number.
            if part.steps != steps or (isinstance(batch, int) and part.samples != steps * batch):
                problems.append(f"{name}{where}: {part}, but {steps} steps of {batch} samples")
        if run.phases:
            problems += _seconds(name, run.cost.seconds, [phase.cost.seconds for phase in run.phases])
    if record.status == "finished":
        parts, shared = ([getattr(run, of) for run in record.runs.values()] for of in ("cost", "shared"))
        for what in ("steps", "samples"):
            total = sum(getattr(part, what) for part in parts) - sum(getattr(part, what) for part in shared)
            if getattr(record.cost, what) != total:
                problems.append(f"the trial took {getattr(record.cost, what)} {what}, its parts {total}")
        seconds = [part.seconds for part in parts] + [-part.seconds for part in shared]
        problems += _seconds("the trial", record.cost.seconds, seconds)
    return problems, f"{record.cost.seconds:,.0f} s, {record.cost.steps:,} steps"


def _seconds(what: str, whole: float, parts: list[float]) -> list[str]:
    """Check a sum of seconds, each rounded to hundredths."""
    total = math.fsum(parts)
    if abs(whole - total) < 0.0051 * (len(parts) + 1):
        return []
    return [f"{what} took {whole} s, its parts {total:.2f} s"]
