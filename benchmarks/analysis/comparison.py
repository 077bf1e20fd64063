"""Compare two groups of records: what differs, and whether results differ by more than the spread. No text, no files.

Every difference is B - A in the metric's own unit and direction; it is not a gain.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from benchmarks.analysis import metrics, record_differences, summary
from benchmarks.analysis.groups import Group, Key
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.records.example_outcomes import unpack_outcomes
from benchmarks.records.schema import Record
from benchmarks.statistics import bootstrap, intervals
from benchmarks.statistics.intervals import Difference

Yardstick = Literal["paired seeds", "Welch", "other records", "test set", "none"]
"""How the chance spread of two means is estimated. "other records": from records of A's or B's group, if a side is one record."""

GAIN = "gain of dsd"
"""The line of the primary figure: DSD's gain over the equal-budget control (positive: DSD is better)."""

_ROUNDING = 1e-6  # relative: float32 sums depend on their order; no real spread is this narrow
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Line:
    """One metric of one arm on both sides.

    `within`: whether the difference is within the spread; None if the spread is unknown. It applies Holm's correction over all
    lines of its kind (primary metric and gain, or the other metrics). A single interval may therefore exclude zero although
    `within` is true.
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
    """Two groups of one row: the facts that differ, a line per common arm and metric, and what cannot be compared.

    `seeds` are the seeds that both sides have; `identical` are those with bit-identical results. `alone` lists the arms and
    metrics that only one side has.
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
        """Whether all settings that decide an outcome are the same, except the seed. Time, machine and versions may differ."""
        return self.a.key == self.b.key

    @property
    def agree(self) -> bool:
        """Whether every arm's primary metric is known to be within the spread, and no line is outside it."""
        primary = [line.within for line in self.lines if line.metric == self.a.metric and line.arm != GAIN]
        return bool(primary) and all(primary) and all(line.within is not False for line in self.lines)


def pair(a: Sequence[Group], b: Sequence[Group]) -> tuple[list[tuple[Group, Group]], list[Group], list[Group]]:
    """Return the pairs of groups to compare, then the groups of A and of B without a counterpart.

    With one group per side, the two are always a pair. Otherwise, groups with the same key are pairs. Of the groups left, two
    are a pair if each is the only one on its side with their row, scale and overrides.

    Raises:
        ValueError: there is one group per side but their rows differ, or there is no pair.
    """
    if len(a) == len(b) == 1:
        if a[0].key.row != b[0].key.row:
            raise ValueError(
                f"A is of row {a[0].key.row}, B of {b[0].key.row}: different rows have no result in common"
            )
        return [(a[0], b[0])], [], []
    pairs = []
    left, right = list(a), list(b)
    likenesses: tuple[Callable[[Key], object], ...] = (lambda key: key, lambda key: (key.row, key.scale, key.custom))
    for like in likenesses:
        for group in tuple(left):
            counterparts = [other for other in right if like(other.key) == like(group.key)]
            rivals = [other for other in left if like(other.key) == like(group.key)]
            if len(counterparts) == len(rivals) == 1:
                pairs.append((group, counterparts[0]))
                left.remove(group)
                right.remove(counterparts[0])
    if not pairs:
        names = [", ".join(sorted({f"{g.key.row} {g.key.scale}" for g in side})) or "nothing" for side in (a, b)]
        raise ValueError(
            f"no group of A ({names[0]}) has exactly one counterpart in B ({names[1]}): name single records or fewer"
        )
    return pairs, left, right


def compare(a: Group, b: Group, known: Sequence[Group] = ()) -> Comparison:
    """Return what differs between two groups of one row. `known` groups with A's or B's key help to estimate the spread.

    Raises:
        ValueError: the groups have different rows or primary metrics.
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
    """Return every arm's final result in every metric by seed, and DSD's gain."""
    values: defaultdict[_Place, dict[int, float]] = defaultdict(dict)
    for record in group.records:
        for arm, run in record.runs.items():
            for metric, value in run.test.items():
                values[arm, metric][record.seed] = value
    gains = summary.gains(group, "dsd", "control")
    return dict(values) | ({(GAIN, group.metric): gains} if gains else {})


def _order(places: Iterable[_Place]) -> list[_Place]:
    arms = {arm for arm, _ in places}
    rank = [GAIN, *LABELS, *sorted(arms - set(LABELS))]
    columns = metrics.ordered({metric for _, metric in places})
    return sorted(places, key=lambda place: (rank.index(place[0]), columns.index(place[1])))


def _alone(a: _Tests, b: _Tests) -> tuple[str, ...]:
    """Return what only one side has: whole arms, and metrics of common arms."""
    lacking = []
    for side, ours, theirs in (("A", a, b), ("B", b, a)):
        arms = {arm for arm, _ in theirs}
        places = [place for place in _order(ours) if place not in theirs]
        names = [arm if arm not in arms else f"{arm} {metric}" for arm, metric in places]
        lacking += [f"{name} (only {side})" for name in dict.fromkeys(names)]
    return tuple(lacking)


def _distinct(groups: Sequence[Group]) -> list[Group]:
    """Return the groups without those contained in a larger one, so that no spread counts twice."""
    kept: list[Group] = []
    for group in sorted(groups, key=lambda group: -len(group.records)):
        ids = {record.id for record in group.records}
        if not any(ids <= {record.id for record in other.records} for other in kept):
            kept.append(group)
    return kept


def _line(
    place: _Place, a: Group, b: Group, tests: Sequence[_Tests], like: Sequence[_Tests]
) -> tuple[Line, float | None]:
    """Return the line before Holm's correction, and the p-value of "no difference"."""
    first, second = ([side[place][seed] for seed in sorted(side[place])] for side in tests)
    cells = summary.average(first), summary.average(second)
    yardstick, difference = _spread(place, a, b, tests, like)
    interval = (difference.low, difference.high) if difference else None
    equal = True if first == second else None
    line = Line(*place, *cells, cells[1].mean - cells[0].mean, interval, yardstick, equal)
    return line, difference.p if difference else None


def _spread(
    place: _Place, a: Group, b: Group, tests: Sequence[_Tests], like: Sequence[_Tests]
) -> tuple[Yardstick, Difference | None]:
    """Return how the spread of a line is estimated, and the difference with its interval."""
    ours, theirs = (side[place] for side in tests)
    # At the same scale, a seed gives the same random streams on both sides, so pairing removes its effect.
    if len(ours) > 1 and ours.keys() == theirs.keys() and a.key.scale == b.key.scale:
        by_seed = intervals.paired([theirs[seed] - ours[seed] for seed in sorted(ours)])
        assert by_seed.interval is not None
        assert by_seed.p is not None
        return "paired seeds", Difference(by_seed.mean, *by_seed.interval, by_seed.p)
    first, second = list(ours.values()), list(theirs.values())
    if min(len(first), len(second)) > 1:
        return "Welch", intervals.welch(first, second)
    known = [list(side.get(place, {}).values()) for side in like]
    if any(len(values) > 1 for values in known):
        return "other records", intervals.pooled(first, second, known)
    if place[1] == a.metric and place[0] != GAIN and (over_examples := _over_examples(place[0], a.sample, b.sample)):
        return "test set", over_examples
    return "none", None


def _over_examples(arm: str, a: Record, b: Record) -> Difference | None:
    """Return the paired bootstrap over test examples; None if the test sets differ."""
    if a.data.fingerprint != b.data.fingerprint:
        return None
    ours, theirs = (unpack_outcomes(record.runs[arm].outcomes) for record in (a, b))
    if ours.shape != theirs.shape:
        return None
    scale = bootstrap.OUTCOME_SCALE * (-1 if a.lower_is_better else 1)  # higher outcomes are better
    return bootstrap.over_test_set(bootstrap.bootstrap(theirs, ours, _RESAMPLES, 0, scale))


def _judged(raw: Sequence[tuple[Line, float | None]], primary: str) -> tuple[Line, ...]:
    """Return the lines with `within`. The primary metric of all arms is one family of tests, all other metrics another."""
    adjusted: dict[int, float] = {}
    for family in (True, False):
        tested = [(i, p) for i, (line, p) in enumerate(raw) if p is not None and (line.metric == primary) == family]
        adjusted |= dict(zip((i for i, _ in tested), intervals.holm([p for _, p in tested]), strict=True))
    judged = []
    for index, (line, p) in enumerate(raw):
        rounding = abs(line.difference) <= _ROUNDING * max(abs(line.a.mean), abs(line.b.mean))
        within = line.within if p is None else rounding or adjusted[index] > 1 - intervals.CONFIDENCE
        judged.append(dataclasses.replace(line, within=within))
    return tuple(judged)


def _results(a: Record, b: Record) -> bool:
    """Return whether D and the common arms have bit-identical results, ignoring times."""
    arms = [name for name in a.arms if name in b.arms]
    if a.arms.keys() == b.arms.keys() and a.outputs and b.outputs and a.outputs != b.outputs:
        return False
    ours, theirs = ([record.dense, *(record.arms[name] for name in arms)] for record in (a, b))
    return bool(arms) and _same(ours, theirs)


def _same(a: Any, b: Any) -> bool:
    """Return whether two parts of records are bit-identical, ignoring times and fields that one of them lacks."""
    if isinstance(a, BaseModel) and isinstance(b, BaseModel):
        for name, field in type(a).model_fields.items():
            ours, theirs = getattr(a, name), getattr(b, name)
            lacking = not field.is_required() and (ours is None or theirs is None)  # the record is older than the field
            if name != "seconds" and not lacking and not _same(ours, theirs):
                return False
        return True
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return repr(a) == repr(b)  # also for numbers: 0.0 == -0.0, but their bits differ
