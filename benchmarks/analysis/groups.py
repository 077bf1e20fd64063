"""Groups of comparable records, which may be averaged in one table cell. Pure functions.

Trials share a group if numerics, row, scale, data, recipe, overrides, dense start, number of processes and precision are equal.
Data are equal if their fingerprints are, or if a common seed gave bit-identical results, including training losses. In that case
only the rule that computes fingerprints has changed.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks import paper
from benchmarks.records.schema import Record
from benchmarks.rows import BFLOAT16, ROWS

Section = Literal["paper", "regime", "custom", "small", "smoke"]
SECTIONS: tuple[Section, ...] = ("paper", "regime", "custom", "small", "smoke")


@dataclass(frozen=True)
class Key:
    """What trials must have in common to be averaged. `start` is "trained", or the given dense file and its hash.

    `data` is the name of a folder and only a label: it may differ between machines, and the fingerprint covers the contents.
    `numerics` is the version of the arithmetic; it is "suite 0.1" for records of 0.1, which had one version for all domains.
    `processes` is the number of processes that shared each batch. It matters because batch norm uses only the part of one
    process. `autocast`: whether networks computed in bfloat16.
    """

    numerics: str
    row: str
    scale: str
    data: str = field(compare=False)
    fingerprint: str
    subset: float
    recipe_hash: str
    custom: tuple[str, ...]
    start: str
    processes: int
    autocast: bool


@dataclass(frozen=True, eq=False)
class Group:
    """The trials of one key: one finished trial per seed, ordered by seed, and the trials not in use.

    Groups compare by identity, so that results can be cached (`functools.lru_cache`).

    `replaced` are older trials of a seed. A newer trial replaces an older one only if it has all of its arms: a later, smaller run
    must not hide evidence. `unused` are newer trials that lack an arm, each with the reason as text.
    """

    key: Key
    records: tuple[Record, ...]
    replaced: tuple[Record, ...]
    unused: tuple[tuple[Record, str], ...] = ()

    @property
    def sample(self) -> Record:
        """One of the records, for the facts that all of them share."""
        return self.records[0]

    @property
    def everything(self) -> tuple[Record, ...]:
        """All trials, used or not, by seed and then by end time."""
        trials = (*self.records, *self.replaced, *(trial for trial, _ in self.unused))
        return tuple(sorted(trials, key=lambda trial: (trial.seed, trial.finished, trial.id)))

    @property
    def states(self) -> dict[str, str]:
        """Trial id to "used", "replaced", or the reason why it is not used."""
        states = {trial.id: "used" for trial in self.records} | {trial.id: "replaced" for trial in self.replaced}
        return states | {trial.id: why for trial, why in self.unused}

    @property
    def repeated(self) -> frozenset[int]:
        """The seeds that were trained more than once with different results."""
        used = {record.seed: record for record in self.records}
        rest = (*self.replaced, *(record for record, _ in self.unused))
        return frozenset(record.seed for record in rest if not _same_run(record, used[record.seed]))

    @property
    def other_fingerprints(self) -> list[str]:
        """The data's fingerprints under other rules."""
        return sorted({trial.data.fingerprint for trial in self.everything} - {self.key.fingerprint})

    @property
    def metric(self) -> str:
        """The row's primary metric."""
        return self.sample.metric

    @property
    def synthetic(self) -> bool:
        """Whether the data were generated."""
        return any(record.data.synthetic for record in self.records)

    @property
    def section(self) -> Section:
        """The section of the results. Generated data and the smoke scale are never results.

        At small scale, trials of suite 0.1 are superseded, because they were pruned before they had converged. Later trials train
        for the paper's number of epochs.
        """
        if self.synthetic or self.key.scale == "smoke":
            return "smoke"
        if self.key.custom:
            return "custom"
        if self.key.scale == "paper":
            return "paper"
        return "regime" if self.sample.numerics else "small"

    @property
    def superseded(self) -> bool:
        """Whether its trials are of suite 0.1, custom recipes included. They have their own page."""
        return self.section in ("small", "custom") and self.key.scale == "small" and not self.sample.numerics

    @property
    def quotable(self) -> bool:
        """Whether its numbers are results: from the published recipe, or from one in the regime of its claim."""
        return self.section in ("paper", "regime")

    @property
    def paper(self) -> paper.Row | None:
        """The paper's row; None if it may not be shown beside ours."""
        return paper.ROWS.get(self.key.row) if self.quotable else None

    @property
    def comparable(self) -> bool:
        """Whether the paper's figures are for the same recipe on the same, whole data."""
        row, whole, counts = self.paper, ROWS.get(self.key.row), self.sample.data.counts
        if row is None or whole is None or not row.same_data or self.section != "paper":
            return False
        # A subset, another data set in the same layout, or one with missing files is not the paper's data.
        return (counts.get("train"), counts.get("test")) == (whole.train_examples, whole.test_examples)


def key_of(record: Record) -> Key:
    """Return the key of `record`."""
    dense, data = record.dense, record.data
    given = dense is not None and dense.source != "trained"
    start = f"{dense.source} ({(dense.sha256 or 'no hash')[:12]})" if dense and given else "trained"
    return Key(
        record.numerics or f"suite {record.suite}",
        record.row,
        record.scale,
        data.name,
        data.fingerprint,
        data.subset,
        record.recipe_hash,
        tuple(sorted(record.custom)),
        start,
        record.hardware.processes,
        record.precision == BFLOAT16,
    )


def group_records(records: Iterable[Record]) -> list[Group]:
    """Return the groups of the finished records, in the paper's order of rows, then by section and key.

    Raises:
        ValueError: records of one group disagree on the metric, its unit or direction, or a test result lacks it.
    """
    by_key: dict[Key, dict[int, list[Record]]] = {}
    for record in records:
        if record.status == "finished":
            _check(record)
            by_key.setdefault(key_of(record), {}).setdefault(record.seed, []).append(record)
    result = []
    for key, seeds in _joined(by_key).items():
        ordered = [sorted(seeds[seed], key=_age) for seed in sorted(seeds)]
        used = tuple(_in_use(trials) for trials in ordered)
        for record in used[1:]:
            if _judged(record) != _judged(used[0]):
                raise ValueError(f"records {used[0].id} and {record.id} are in one group but differ in their metric")
        rest = [
            (trial, chosen)
            for trials, chosen in zip(ordered, used, strict=True)
            for trial in trials
            if trial is not chosen
        ]
        label = " or ".join(sorted({record.data.name for record in used}))
        replaced = tuple(trial for trial, chosen in rest if _replaces(chosen, trial))
        unused = tuple((trial, _why_unused(trial, chosen)) for trial, chosen in rest if not _replaces(chosen, trial))
        result.append(Group(dataclasses.replace(key, data=label), used, replaced, unused))
    return sorted(
        result, key=lambda group: (row_order(group.key.row), SECTIONS.index(group.section), _sortable(group.key))
    )


def failed_records(records: Iterable[Record]) -> list[Record]:
    """Return the failed records by row and id. No mean includes them."""
    return sorted((r for r in records if r.status == "failed"), key=lambda r: (row_order(r.row), r.id))


def row_order(row: str) -> tuple[int, str]:
    """Return the sort key of rows: the paper's order, then others by name."""
    names = list(paper.ROWS)
    return (names.index(row) if row in names else len(names), row)


def _joined(by_key: dict[Key, dict[int, list[Record]]]) -> dict[Key, dict[int, list[Record]]]:
    """Merge keys that mean the same data, keeping the key with the newest trial."""
    newest = sorted(by_key, key=lambda key: max(_age(trial) for trials in by_key[key].values() for trial in trials))
    joined: dict[Key, dict[int, list[Record]]] = {}
    for key in reversed(newest):
        for other, seeds in joined.items():
            if dataclasses.replace(key, fingerprint=other.fingerprint) == other and _agree(by_key[key], seeds):
                for seed, trials in by_key[key].items():
                    seeds.setdefault(seed, []).extend(trials)
                break
        else:
            joined[key] = {seed: list(trials) for seed, trials in by_key[key].items()}
    return joined


def _agree(some: dict[int, list[Record]], others: dict[int, list[Record]]) -> bool:
    """Return whether some common seed gave the same run."""
    return any(_same_run(a, b) for seed in some.keys() & others.keys() for a in some[seed] for b in others[seed])


def _same_run(a: Record, b: Record) -> bool:
    """Return whether all curves and outcomes are equal, in D and in all common arms."""
    if not a.arms.keys() & b.arms.keys():
        return False
    pairs = [(a.runs[name], b.runs[name]) for name in a.runs.keys() & b.runs.keys()]
    return all((ours.curve, ours.outcomes) == (theirs.curve, theirs.outcomes) for ours, theirs in pairs)


def _in_use(trials: Sequence[Record]) -> Record:
    """Return the trial in use of one seed. `trials` are ordered from oldest to newest."""
    chosen = trials[0]
    for newer in trials[1:]:
        if _replaces(newer, chosen):
            chosen = newer
    return chosen


def _replaces(newer: Record, older: Record) -> bool:
    return _age(newer) >= _age(older) and set(newer.arms) >= set(older.arms)


def _why_unused(record: Record, chosen: Record) -> str:
    """Return why a trial is neither used nor replaced by `chosen`, the trial in use."""
    lacks = ", ".join(sorted(set(chosen.arms) - set(record.arms)))
    assert lacks, "a trial with all of these arms would count, or be replaced"
    return f"not used: lacks {lacks}, which the trial of {chosen.finished} has"


def _check(record: Record) -> None:
    for name, run in record.runs.items():
        if record.metric not in run.test:
            raise ValueError(f"record {record.id}: the test of {name!r} lacks the metric {record.metric!r}")


def _age(record: Record) -> tuple[datetime.datetime, str]:
    finished = datetime.datetime.fromisoformat(record.finished)
    if finished.tzinfo is None:  # without a time zone: assume UTC, so that all are comparable
        finished = finished.replace(tzinfo=datetime.UTC)
    return finished, record.id


def _judged(record: Record) -> tuple[str, str, bool]:
    return record.metric, record.unit, record.lower_is_better


def _sortable(key: Key) -> tuple[str, ...]:
    return (
        key.scale,
        key.numerics,
        key.data,
        key.fingerprint,
        f"{key.subset:.9f}",
        key.recipe_hash,
        *key.custom,
        key.start,
        f"{key.processes:06d}",
        str(key.autocast),
    )
