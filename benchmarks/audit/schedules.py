"""Check that a record's phases have the steps, learning rates and clipping of its recipe."""

from __future__ import annotations

import itertools

from benchmarks.audit.check import NotApplicableError, Outcome, close, same
from benchmarks.audit.recipes import phases_of, schedules_of
from benchmarks.records.schema import Record


def schedule(record: Record) -> Outcome:
    """Phases have the recipe's steps and rates, and the points of the curve have the right epoch and rate."""
    spe, schedules = schedules_of(record)
    problems = []
    for name, run in record.runs.items():
        if name not in schedules:
            if run is not record.dense or run.phases:
                problems.append(f"{name} has {len(run.phases)} phases, but this version has no such arm")
            continue
        rules = schedules[name]
        ends = [0, *rules.boundaries(spe)]
        if len(run.phases) != len(rules.phases):
            problems.append(f"{name} has {len(run.phases)} phases, the recipe {len(rules.phases)}")
        for phase, rule, (start, end) in zip(run.phases, rules, itertools.pairwise(ends), strict=False):
            rates = [rules.at(step, spe).lr for step in (start, end - 1)]
            expected = (rule.kind, end - start, (end - start) / spe, *rates)
            recorded = (phase.kind, phase.steps, phase.epochs, phase.first_lr, phase.last_lr)
            if not same(recorded, expected):
                problems.append(
                    f"{name}: a phase was {recorded}, the recipe says {expected} (kind, steps, epochs, rates)"
                )
        for point in run.curve:
            if not 0 < point.step <= ends[-1]:
                problems.append(f"{name}: the curve has a point at step {point.step} of {ends[-1]}")
                continue
            place = (point.step / spe, rules.at(point.step - 1, spe).lr)
            if not same((point.epoch, point.lr), place):
                problems.append(f"{name}: step {point.step} has epoch and rate {(point.epoch, point.lr)}, not {place}")
        if len(run.first_step_in_lr) != len(run.phases) or any(size < 0 for size in run.first_step_in_lr):
            problems.append(f"{name}: the first updates of its {len(run.phases)} phases are {run.first_step_in_lr}")
    return problems, f"{spe} steps an epoch"


def clipping(record: Record) -> Outcome:
    """Shares and factors of clipping are possible, and recorded only if the recipe clips."""
    bound = record.recipe.get("clip_norm")
    recorded = [(name, phase, phase.clipping) for name, phase, _ in phases_of(record) if phase.clipping is not None]
    if not recorded:
        raise NotApplicableError("no norm is clipped, or the record is older than the field")
    problems = []
    for name, phase, clip in recorded:
        whole = close(clip.share * phase.steps, round(clip.share * phase.steps))
        fits = 1 - clip.share < clip.factor < 1 if clip.share > 0 else clip.factor == 1
        if bound is None or not whole or not 0 <= clip.share <= 1 or not fits:
            problems.append(f"{name}, {phase.kind} phase of {phase.steps} steps: {clip}, with a bound of {bound}")
    return problems, f"{len(recorded)} phases"
