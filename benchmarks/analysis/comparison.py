"""What differs between two groups of records, and whether their results differ by more than the spread. No text, no files.

Every difference is B less A, in the metric's own unit and direction: it is no gain.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from benchmarks.analysis import metrics, record_differences, summary
from benchmarks.analysis.groups import Group, Key
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.records.outcomes import unpack_outcomes
from benchmarks.records.recipes import runs_of
from benchmarks.records.schema import Record
from benchmarks.statistics import bootstrap, intervals
from benchmarks.statistics.intervals import Difference

Yardstick = Literal["paired seeds", "Welch", "other records", "test set", "none"]
"""What tells how far apart two means may be by chance. "other records": of A's or B's group, where a side is one record."""

GAIN = "gain of dsd"
"""The line of the figure fixed beforehand: DSD over the control of equal budget, better being positive."""

_ROUNDING = 1e-6  # of a mean: sums of float32 taken in another order; no spread is that narrow
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Line:
    """One metric of one arm on both sides. `within` is None where nothing tells how far apart the means may be.

    `within` holds after Holm's correction for all lines of its kind (primary metric and gain, or the other metrics), so
    that an interval alone may exclude zero where `within` is true.
    """

    arm: str
    metric: str
    a: Average
    b: Average
    difference: float
    interval: tuple[float, float] | None
    yardstick: Yardstick
    within: bool | None


@dataclass(frozen=True)
class Comparison:
    """Two groups of one row: the facts that differ, a line per arm and metric that both have, and what cannot be compared.

    `seeds` are those on both sides, `identical` those of them whose results are the same bit for bit. `alone` are the arms
    and metrics that one side lacks.
    """

    a: Group
    b: Group
    facts: tuple[record_differences.Fact, ...]
    lines: tuple[Line, ...]
    seeds: tuple[int, ...]
    identical: tuple[int, ...]
    alone: tuple[str, ...]

    @property
    def alike(self) -> bool:
        """Whether everything that decides an outcome but the seed is the same: time, place and versions may differ."""
        return self.a.key == self.b.key

    @property
    def agree(self) -> bool:
        """Whether the results are equal or within the spread: known of every arm's primary metric, and against no line."""
        primary = [line.within for line in self.lines if line.metric == self.a.metric and line.arm != GAIN]
        return bool(primary) and all(primary) and all(line.within is not False for line in self.lines)


def pair(a: Sequence[Group], b: Sequence[Group]) -> tuple[list[tuple[Group, Group]], list[Group], list[Group]]:
    """Return which group of A is to be compared with which of B, then the groups of A and of B that have no counterpart.

    One group a side are a pair, whatever differs. Of several, those of one key are, and then those that are the only ones
    left of their row, scale and overrides.

    Raises:
        ValueError: one group a side, but of different rows; or no pair at all.
    """
    if len(a) == len(b) == 1:
        if a[0].key.row != b[0].key.row:
            raise ValueError(f"A is of row {a[0].key.row}, B of {b[0].key.row}: unlike rows have no result in common")
        return [(a[0], b[0])], [], []
    found = []
    left, right = list(a), list(b)
    likenesses: tuple[Callable[[Key], object], ...] = (lambda key: key, lambda key: (key.row, key.scale, key.custom))
    for like in likenesses:
        for one in tuple(left):
            counterparts = [other for other in right if like(other.key) == like(one.key)]
            rivals = [other for other in left if like(other.key) == like(one.key)]
            if len(counterparts) == len(rivals) == 1:
                found.append((one, counterparts[0]))
                left.remove(one)
                right.remove(counterparts[0])
    if not found:
        told = [", ".join(sorted({f"{g.key.row} {g.key.scale}" for g in side})) or "nothing" for side in (a, b)]
        raise ValueError(
            f"no group of A ({told[0]}) has one counterpart in B ({told[1]}): name single records or fewer"
        )
    return found, left, right


def compare(a: Group, b: Group, known: Sequence[Group] = ()) -> Comparison:
    """Return what differs between two groups of one row; of `known` groups, those like A or B tell the spread of either.

    Raises:
        ValueError: the groups are of different rows or judged by different metrics.
    """
    judged = [(g.key.row, g.metric, g.sample.unit, g.sample.lower_is_better) for g in (a, b)]
    if judged[0] != judged[1]:
        raise ValueError(f"A is judged by {judged[0]}, B by {judged[1]} (row, metric, unit, lower is better)")
    sides = [{record.seed: record for record in group.records} for group in (a, b)]
    seeds = tuple(sorted(sides[0].keys() & sides[1].keys()))
    identical = tuple(seed for seed in seeds if _results(sides[0][seed], sides[1][seed]))
    tests = [_tests(group) for group in (a, b)]
    shared = [place for place in _order(tests[0]) if place in tests[1]]
    groups = _distinct([a, b, *(group for group in known if group.key in (a.key, b.key))])
    like = [_tests(group) for group in groups]
    raw = [_line(place, a, b, tests, like) for place in shared]
    return Comparison(a, b, record_differences.facts(a, b), _judged(raw, a.metric), seeds, identical, _alone(*tests))


_Place = tuple[str, str]  # arm, metric
_Tests = dict[_Place, dict[int, float]]  # to seed to value


def _tests(group: Group) -> _Tests:
    """Return the final result of every arm in every metric by seed, and the gain of DSD."""
    found: _Tests = {}
    for record in group.records:
        for arm, run in runs_of(record).items():
            for metric, value in run.test.items():
                found.setdefault((arm, metric), {})[record.seed] = value
    gains = summary.gains(group, "dsd", "control")
    return found | ({(GAIN, group.metric): gains} if gains else {})


def _order(places: Iterable[_Place]) -> list[_Place]:
    arms = {arm for arm, _ in places}
    rank = [GAIN, *LABELS, *sorted(arms - set(LABELS))]
    columns = metrics.ordered({metric for _, metric in places})
    return sorted(places, key=lambda place: (rank.index(place[0]), columns.index(place[1])))


def _alone(a: _Tests, b: _Tests) -> tuple[str, ...]:
    """Return what one side lacks: whole arms, and metrics of arms that both have."""
    found = []
    for side, ours, theirs in (("A", a, b), ("B", b, a)):
        arms = {arm for arm, _ in theirs}
        places = [place for place in _order(ours) if place not in theirs]
        names = [arm if arm not in arms else f"{arm} {metric}" for arm, metric in places]
        found += [f"{name} (only {side})" for name in dict.fromkeys(names)]
    return tuple(found)


def _distinct(groups: Sequence[Group]) -> list[Group]:
    """Return the groups without those whose records another, larger one has too: a spread must not be counted twice."""
    kept: list[Group] = []
    for group in sorted(groups, key=lambda one: -len(one.records)):
        ids = {record.id for record in group.records}
        if not any(ids <= {record.id for record in other.records} for other in kept):
            kept.append(group)
    return kept


def _line(
    place: _Place, a: Group, b: Group, tests: Sequence[_Tests], like: Sequence[_Tests]
) -> tuple[Line, float | None]:
    """Return the line, not yet judged, and the p value of "no difference"."""
    ours, theirs = (side[place] for side in tests)
    first, second = ([side[seed] for seed in sorted(side)] for side in (ours, theirs))
    cells = summary.average(first), summary.average(second)
    yardstick: Yardstick = "none"
    found: Difference | None = None
    if min(len(first), len(second)) > 1:
        # A seed means the same streams only at the same scale: then what it decides is on both sides, and drops out.
        if ours.keys() == theirs.keys() and a.key.scale == b.key.scale:
            by_seed = intervals.paired([after - before for before, after in zip(first, second, strict=True)])
            assert by_seed.interval is not None
            assert by_seed.p is not None
            yardstick, found = "paired seeds", Difference(by_seed.mean, *by_seed.interval, by_seed.p)
        else:
            yardstick, found = "Welch", intervals.welch(first, second)
    else:
        known = [list(one.get(place, {}).values()) for one in like]
        if any(len(one) > 1 for one in known):
            yardstick, found = "other records", intervals.pooled(first, second, known)
        elif len(first) == len(second) == 1 and place[1] == a.metric and place[0] != GAIN:
            found = _over_examples(place[0], a.sample, b.sample)
            yardstick = "test set" if found else "none"
    interval = (found.low, found.high) if found else None
    equal = True if first == second else None
    line = Line(*place, *cells, cells[1].mean - cells[0].mean, interval, yardstick, equal)
    return line, found.p if found else None


def _over_examples(arm: str, a: Record, b: Record) -> Difference | None:
    """Return the paired bootstrap over test examples, None where they were tested on other ones."""
    if a.data.fingerprint != b.data.fingerprint:
        return None
    ours, theirs = (unpack_outcomes(runs_of(record)[arm].outcomes) for record in (a, b))
    if ours.shape != theirs.shape:
        return None
    scale = bootstrap.OUTCOME_SCALE * (-1 if a.lower_is_better else 1)  # outcomes: the more the better
    return bootstrap.over_test_set(bootstrap.bootstrap(theirs, ours, _RESAMPLES, 0, scale))


def _judged(raw: Sequence[tuple[Line, float | None]], primary: str) -> tuple[Line, ...]:
    """Return the lines with `within`: the primary metric of all arms is one family of tests, the other metrics another."""
    adjusted: dict[int, float] = {}
    for family in (True, False):
        told = [(i, p) for i, (line, p) in enumerate(raw) if p is not None and (line.metric == primary) == family]
        adjusted |= dict(zip((i for i, _ in told), intervals.holm([p for _, p in told]), strict=True))
    found = []
    for index, (line, p) in enumerate(raw):
        rounding = abs(line.difference) <= _ROUNDING * max(abs(line.a.mean), abs(line.b.mean))
        within = line.within if p is None else rounding or adjusted[index] > 1 - intervals.CONFIDENCE
        found.append(dataclasses.replace(line, within=within))
    return tuple(found)


def _results(a: Record, b: Record) -> bool:
    """Return whether D and the arms that both have came out the same, to the last bit, but for the time it took."""
    arms = [name for name in a.arms if name in b.arms]
    if a.arms.keys() == b.arms.keys() and a.outputs and b.outputs and a.outputs != b.outputs:
        return False
    ours, theirs = ([record.dense, *(record.arms[name] for name in arms)] for record in (a, b))
    return bool(arms) and _same(ours, theirs)


def _same(a: Any, b: Any) -> bool:
    """Return whether two parts of records are the same bits, but for times and for what only one of them has a field for."""
    if isinstance(a, BaseModel) and isinstance(b, BaseModel):
        for name, field in type(a).model_fields.items():
            ours, theirs = getattr(a, name), getattr(b, name)
            lacking = not field.is_required() and (ours is None or theirs is None)  # a record older than the field
            if name != "seconds" and not lacking and not _same(ours, theirs):
                return False
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return repr(a) == repr(b)  # of numbers too: 0.0 and -0.0 are equal, but not the same
