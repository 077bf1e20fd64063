"""From records to groups: which trials may stand in one table cell, and what they say. Pure functions, no files.

Only trials of the same row, scale, data, recipe, overrides and dense start share a group. Groups are never mixed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks import paper, statistics
from benchmarks.record import PhaseResult, Record
from benchmarks.statistics import Paired, Spread

Section = Literal["paper", "small", "custom", "smoke"]
SECTIONS: tuple[Section, ...] = ("paper", "small", "custom", "smoke")

DENSE = "dense"
"""The name under which the end of D, which all arms share, is compared: it is no arm of its own."""

LABELS = {
    DENSE: "Baseline",
    "dsd": "DSD",
    "control": "Control (equal budget)",
    "llr": "LLR",
    "random": "Random mask",
}


@dataclass(frozen=True)
class Key:
    """What trials must have in common to be averaged. `start` is "trained", or the given dense file and its hash."""

    row: str
    scale: str
    data: str
    fingerprint: str
    subset: float
    recipe_hash: str
    custom: tuple[str, ...]
    start: str


@dataclass(frozen=True)
class Group:
    """The trials of one key: the newest finished one of every seed, in the order of seeds, and the older ones."""

    key: Key
    records: tuple[Record, ...]
    superseded: tuple[Record, ...]

    @property
    def sample(self) -> Record:
        """Any one of the records, for what all of them share."""
        return self.records[0]

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
        """Which part of the results it belongs to: generated data and the smoke scale are results of nothing."""
        if self.synthetic or self.key.scale == "smoke":
            return "smoke"
        if self.key.custom:
            return "custom"
        return "paper" if self.key.scale == "paper" else "small"

    @property
    def quotable(self) -> bool:
        """Whether a verdict may be given at all."""
        return self.section in ("paper", "small")

    @property
    def paper(self) -> paper.Row | None:
        """What the paper says of this row; None where nothing may stand beside ours."""
        return paper.ROWS.get(self.key.row) if self.quotable else None

    @property
    def comparable(self) -> bool:
        """Whether the paper's figures are for the same recipe on the same, whole data."""
        row = self.paper
        return row is not None and row.same_data and self.section == "paper" and self.key.subset == 1


@dataclass(frozen=True)
class Cell:
    """A metric over the seeds that have it: mean and sample standard deviation (None at n = 1)."""

    mean: float
    sd: float | None
    n: int


def key_of(record: Record) -> Key:
    """Return the key of `record`."""
    dense = record.dense
    start = "trained"
    if dense is not None and dense.source != "trained":
        start = f"{dense.source} ({(dense.sha256 or 'no hash')[:12]})"
    data = record.data
    return Key(
        record.row,
        record.scale,
        data.name,
        data.fingerprint,
        data.subset,
        record.recipe_hash,
        tuple(sorted(record.custom)),
        start,
    )


def groups(records: Iterable[Record]) -> list[Group]:
    """Return the groups of the finished records: in the paper's order of rows, then by scale and key.

    Raises:
        ValueError: records of one group disagree about the metric, its unit or its direction, or a test lacks it.
    """
    found: dict[Key, dict[int, list[Record]]] = {}
    for record in records:
        if record.status == "finished":
            _check(record)
            found.setdefault(key_of(record), {}).setdefault(record.seed, []).append(record)
    result = []
    for key, seeds in found.items():
        ordered = [sorted(seeds[seed], key=_age) for seed in sorted(seeds)]
        newest = tuple(trials[-1] for trials in ordered)
        for record in newest[1:]:
            if (record.metric, record.unit, record.lower_is_better) != (
                newest[0].metric,
                newest[0].unit,
                newest[0].lower_is_better,
            ):
                raise ValueError(f"records {newest[0].id} and {record.id} are of one group but differ in their metric")
        result.append(Group(key, newest, tuple(r for trials in ordered for r in trials[:-1])))
    return sorted(
        result, key=lambda group: (row_order(group.key.row), SECTIONS.index(group.section), _sortable(group.key))
    )


def failed(records: Iterable[Record]) -> list[Record]:
    """Return the failed records, which enter no mean, by row and id."""
    return sorted((r for r in records if r.status == "failed"), key=lambda r: (row_order(r.row), r.id))


def row_order(row: str) -> tuple[int, str]:
    """Return what rows are sorted by: the paper's order, then others by name."""
    names = list(paper.ROWS)
    return (names.index(row) if row in names else len(names), row)


def stages(group: Group) -> dict[str, dict[str, Cell]]:
    """Return label of arm or phase to metric to cell, in the order in which a reader wants them."""
    readers: dict[str, Callable[[Record], dict[str, float] | None]] = {
        LABELS[DENSE]: lambda r: r.dense.test if r.dense else None
    }
    iterations = count_iterations(group)
    for number in range(1, iterations + 1):
        suffix = "" if iterations == 1 else f", iteration {number}"
        readers["Sparse" + suffix] = _phase_reader("dsd", "sparse", number)
        if number < iterations:
            readers["DSD" + suffix] = _phase_reader("dsd", "redense", number)
            readers["Control" + suffix] = lambda r, k=number: _control_after(r, k)  # type: ignore[misc]
    names = {name for record in group.records for name in record.arms}
    for name in [*(n for n in LABELS if n in names), *sorted(names - set(LABELS))]:
        readers[LABELS.get(name, name)] = lambda r, n=name: r.arms[n].test if n in r.arms else None  # type: ignore[misc]
    result = {}
    for label, read in readers.items():
        tests = [test for record in group.records if (test := read(record)) is not None]
        metrics = sorted({m for test in tests for m in test}, key=lambda m: (m != group.metric, m))
        if tests:
            result[label] = {m: cell([test[m] for test in tests if m in test]) for m in metrics}
    return result


def cell(values: Sequence[float]) -> Cell:
    """Return mean, sample standard deviation and n of `values`."""
    summary = statistics.paired(values)
    return Cell(summary.mean, summary.sd, summary.n)


def gains(group: Group, arm: str, over: str) -> dict[int, float]:
    """Return seed to gain of `arm` over `over` in the primary metric, for records with both; positive is better."""
    result = {}
    for record in group.records:
        after, before = _test(record, arm), _test(record, over)
        if after is not None and before is not None:
            result[record.seed] = gain(record, before, after)
    return result


def gain(record: Record, before: dict[str, float], after: dict[str, float]) -> float:
    """Return the improvement of the record's primary metric from `before` to `after`."""
    difference = after[record.metric] - before[record.metric]
    return -difference if record.lower_is_better else difference


def compare(group: Group, arm: str, over: str) -> Paired | None:
    """Return the paired gain of `arm` over `over`, None where no record has both."""
    found = gains(group, arm, over)
    return statistics.paired(list(found.values())) if found else None


def compare_iteration(group: Group, number: int) -> Paired | None:
    """Return the paired gain of DSD over control after `number` iterations of several, at the same epoch."""
    read = _phase_reader("dsd", "redense", number)
    found = [
        gain(record, before, after)
        for record in group.records
        if (after := read(record)) is not None and (before := _control_after(record, number)) is not None
    ]
    return statistics.paired(found) if found else None


def primary(group: Group) -> Paired | None:
    """Return the figure fixed beforehand: the gain of DSD over the control of equal budget."""
    return compare(group, "dsd", "control")


def verdict(group: Group) -> str:
    """Return the verdict, or in plain words why there is none."""
    if group.section == "smoke":
        return "smoke test only"
    if group.section == "custom":
        return "custom recipe: none"
    summary = primary(group)
    return "no control arm" if summary is None else statistics.verdict(summary)


def needed(group: Group) -> int | None:
    """Return how many seeds a half-width of half the paper's gain would take, None where there is nothing to say."""
    row, summary = group.paper, primary(group)
    if row is None or summary is None or summary.sd is None:
        return None
    return statistics.needed(summary.sd, row.overview.absolute / 2)


def holm(all_groups: Sequence[Group]) -> dict[Key, float]:
    """Return Holm-adjusted p values of the primary gain; the family is every quotable group at the same scale."""
    adjusted: dict[Key, float] = {}
    for section in ("paper", "small"):
        family = [(g.key, p.p) for g in all_groups if g.section == section and (p := primary(g)) and p.p is not None]
        adjusted |= dict(zip((key for key, _ in family), statistics.holm([p for _, p in family]), strict=True))
    return adjusted


def spread(group: Group) -> tuple[Spread, float, float] | None:
    """Return how much of the spread of the primary gain the test set explains, and the mean bootstrap interval."""
    found = gains(group, "dsd", "control")
    chosen = [r for r in group.records if r.seed in found and "dsd" in r.bootstrap]
    if not chosen:
        return None
    boots = [r.bootstrap["dsd"] for r in chosen]
    low, high = (statistics.paired([getattr(b, end) for b in boots]).mean for end in ("low", "high"))
    return statistics.between_and_within([found[r.seed] for r in chosen], boots), low, high


def count_iterations(group: Group) -> int:
    """Return how many sparse phases the dsd arm has: the paper's number of iterations."""
    counts = [sum(p.kind == "sparse" for p in r.arms["dsd"].phases) for r in group.records if "dsd" in r.arms]
    return max(counts, default=0)


def figure_names(all_groups: Sequence[Group]) -> list[str]:
    """Return the files of every figure that these groups give: the gains, then the training curves of each group."""
    names = (
        ["gains.png"] if any(compare(group, "dsd", over) for group in all_groups for over in ("control", DENSE)) else []
    )
    return names + [figure_name(group, all_groups) for group in all_groups]


def figure_name(group: Group, all_groups: Sequence[Group]) -> str:
    """Return the file of the group's training curves; a recipe hash marks further groups of the same row and scale."""
    like = [g for g in all_groups if (g.key.row, g.key.scale) == (group.key.row, group.key.scale)]
    index = like.index(group)
    suffix = f"-{group.key.recipe_hash}-{index + 1}" if index else ""
    return f"{group.key.row}-{group.key.scale}{suffix}-curves.png"


def _test(record: Record, arm: str) -> dict[str, float] | None:
    if arm == DENSE:
        return record.dense.test if record.dense else None
    return record.arms[arm].test if arm in record.arms else None


def _phase(record: Record, arm: str, kind: str, number: int) -> tuple[int, PhaseResult] | None:
    phases = record.arms[arm].phases if arm in record.arms else []
    like = [(index, phase) for index, phase in enumerate(phases) if phase.kind == kind]
    return like[number - 1] if len(like) >= number else None


def _phase_reader(arm: str, kind: str, number: int) -> Callable[[Record], dict[str, float] | None]:
    def read(record: Record) -> dict[str, float] | None:
        found = _phase(record, arm, kind, number)
        return found[1].test if found else None

    return read


def _control_after(record: Record, number: int) -> dict[str, float] | None:
    """Return the control's test where the dsd arm ends iteration `number`; None unless both trained equally long."""
    found = _phase(record, "dsd", "redense", number)
    control = record.arms.get("control")
    if found is None or control is None or len(control.phases) <= found[0]:
        return None
    spent = [sum(p.steps for p in arm.phases[: found[0] + 1]) for arm in (control, record.arms["dsd"])]
    return control.phases[found[0]].test if spent[0] == spent[1] else None


def _check(record: Record) -> None:
    tests = {DENSE: record.dense.test} if record.dense else {}
    for name, test in (tests | {name: arm.test for name, arm in record.arms.items()}).items():
        if record.metric not in test:
            raise ValueError(f"record {record.id}: the test of {name!r} lacks the metric {record.metric!r}")


def _age(record: Record) -> tuple[datetime.datetime, str]:
    finished = datetime.datetime.fromisoformat(record.finished)
    if finished.tzinfo is None:  # no zone given: taken as UTC, so that all can be compared
        finished = finished.replace(tzinfo=datetime.UTC)
    return finished, record.id


def _sortable(key: Key) -> tuple[str, ...]:
    return (key.scale, key.data, key.fingerprint, f"{key.subset:.9f}", key.recipe_hash, *key.custom, key.start)
