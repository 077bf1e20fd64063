"""What the planned rows lack for a verdict: the trials that are left, their time, and what a failed gate needs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev

from benchmarks import paper
from benchmarks.analysis.answers import Row
from benchmarks.analysis.gate import Condition
from benchmarks.analysis.groups import Group
from benchmarks.evidence_plan import SECONDARY, Wanted
from benchmarks.reporting import verdict_words
from benchmarks.reporting.document import Block, Bullets, Cell, Paragraph
from benchmarks.reporting.formatting import number
from benchmarks.reporting.tables import gate, planned
from benchmarks.statistics.intervals import MINIMUM_SEEDS

HEADING = "What would resolve the rest"
_FAR = 3.0
"""More seeds are called unlikely to help if they would have to differ from those so far by more than this many standard errors."""
_SECTION = f"README.md#{HEADING.lower().replace(' ', '-')}"
_PLAN = "../benchmarks/evidence_plan.py"


def cost(rows: Mapping[str, Row], groups: Sequence[Group]) -> tuple[str | Cell, ...]:
    """Return the number of trials that are left, their expected time and its source; empty if none is left."""
    left = sum(row.left for row in rows.values())
    if not left:
        return ()
    factor = _factor(rows)
    hours = sum(_hours(row, factor) for row in rows.values())
    parts: list[str | Cell] = [f" {_trials(left)} {'is' if left == 1 else 'are'} left, about "]
    parts += [Cell(_time(hours), hours, address=_SECTION), " on one core"]
    parts.append(
        f" (the finished trials took {factor:.2g} times their planned hours; we assume the same for rows without a trial)."
        if factor
        else " by the plan."
    )
    others = sum(count * wanted.hours * (factor or 1.0) for wanted, count in _secondary_left(groups))
    if others:
        parts += [
            " The secondary trials (sensitivity, label noise) would take about ",
            Cell(_time(others), others, address=_PLAN),
        ]
        parts.append(" more.")
    return tuple(parts)


def lacking(rows: Mapping[str, Row]) -> list[Block]:
    """Return what each planned row without a verdict lacks, and the time that it needs. Empty if there is no such row."""
    factor = _factor(rows)
    items = tuple((*_row(row, factor), *_more_seeds(row, rows)) for row in rows.values() if row.lacks)
    said = "Hours are on one core."
    said += f" For rows without a trial they are the plan's hours times {factor:.2g}." if factor else ""
    said += " Limits of a gate that depend on scores use the scores so far." if any(map(_failed, rows.values())) else ""
    return [Paragraph(said), Bullets(items)] if items else []


def _row(row: Row, factor: float | None) -> Iterator[str | Cell]:
    yield f"**{planned.network(row)}** ({row.wanted.data}): {verdict_words.reasons(row)}"
    for one in _failed(row):
        yield f"; {one.name}: "
        yield from gate.linked(one, gate.trials(row))
    if row.left:
        where = " by the finished trials" if row.hours else "" if factor else " by the plan"
        hours, measured = _hours(row, factor), tuple(record.id for record in row.records)
        yield f"; {_trials(row.left)} left, about "
        yield Cell(_time(hours), hours, measured, "" if measured else _PLAN)
        yield where
    yield "."


def _more_seeds(row: Row, rows: Mapping[str, Row]) -> Iterator[str | Cell]:
    """Yield what the other seeds of a row must average so that each failed condition of its gate holds over all seeds."""
    for one in _failed(row) if row.left else []:
        if not one.values:
            continue
        (low, high), mean = one.others(row.wanted.seeds), fmean(one.values)
        both = math.isfinite(low + high)
        must = f"at least {number(low)}" if math.isinf(high) else f"at most {number(high)}"
        must = f"between {number(low, True)} and {number(high, True)}" if both else must
        others = f"be {must} in the other seed" if row.left == 1 else f"average {must} over the other {row.left}"
        yield f" For *{one.name}* to hold over all {row.wanted.seeds} seeds, the {one.quantity} must {others}; it is "
        yield Cell(number(mean, both), mean, gate.trials(row))
        yield " so far"
        yield from _unlikely(row, one, max(mean - high, low - mean), rows)
        yield "."


def _unlikely(row: Row, failed: Condition, gap: float, rows: Mapping[str, Row]) -> Iterator[str | Cell]:
    """Yield that more seeds are unlikely to make up for `gap`, if the spread over seeds shows it.

    The spread is that of the row or, with too few seeds, of another row on the same data.
    """
    known = [(other, _values(other, failed.name)) for other in (row, *rows.values())]
    alike = [
        (other, values)
        for other, values in known
        if other.wanted.data == row.wanted.data and len(values) >= MINIMUM_SEEDS
    ]
    if not alike:
        return
    other, values = alike[0]
    spread = stdev(values)
    if gap <= _FAR * spread * math.sqrt(1 / row.have + 1 / row.left):
        return
    whose = "these" if other is row else f"{paper.ROWS[other.wanted.row].network}'s"
    yield f". Over {whose} {len(values)} seeds, the standard deviation is "
    yield Cell(number(spread), spread, gate.trials(other))
    yield ", so more seeds are unlikely to change this"


def _values(row: Row, name: str) -> tuple[float, ...]:
    return next((one.values for one in row.gate.conditions if one.name == name), ()) if row.gate else ()


def _failed(row: Row) -> list[Condition]:
    return [one for one in row.gate.conditions if one.counts and not one.holds] if row.gate else []


def _secondary_left(groups: Sequence[Group]) -> Iterator[tuple[Wanted, int]]:
    """Yield the secondary groups of the plan and the number of their seeds without a trial with all arms."""
    for wanted in SECONDARY:
        trials = [record for group in groups for record in group.everything if wanted.covers(record)]
        have = {record.seed for record in trials if set(record.arms) >= set(wanted.arms)}
        yield wanted, len(set(range(wanted.seeds)) - have)


def _factor(rows: Mapping[str, Row]) -> float | None:
    """Return the hours of the finished trials divided by their planned hours, over all rows; None without a finished trial."""
    done = [(row.have * row.hours, row.have * row.wanted.hours) for row in rows.values() if row.have and row.hours]
    return sum(took for took, _ in done) / sum(plan for _, plan in done) if done else None


def _hours(row: Row, factor: float | None) -> float:
    """Return the expected time of the trials that are left, with the plan's hours times `factor` for a row without a trial."""
    return row.left * (row.hours or (factor or 1.0) * row.wanted.hours)


def _time(hours: float) -> str:
    if hours >= 10:
        return f"{hours:.0f} h"
    return f"{hours:.1f} h" if hours >= 0.1 else f"{60 * hours:.0f} min"


def _trials(count: int) -> str:
    return f"{count} {'trial' if count == 1 else 'trials'}"
