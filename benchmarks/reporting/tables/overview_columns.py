"""The columns of the overview, for its tables and for CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from benchmarks import paper
from benchmarks.analysis import answers, metrics, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.arms.registry import DENSE
from benchmarks.reporting import formatting, group_names, headings
from benchmarks.reporting.document import NONE, PRINT, Cell, Column
from benchmarks.reporting.formatting import averaged, gained, mean_sd, number
from benchmarks.reporting.tables import regime
from benchmarks.reporting.tables.quantities import IDENTITY, exported
from benchmarks.statistics.intervals import Paired

Read = TypeVar("Read")


@dataclass(frozen=True)
class Entry:
    """A line of the overview: a group of trials, its planned row if any, or a planned row without a trial."""

    group: Group | None
    row: Row | None
    among: Sequence[Group]

    @property
    def planned(self) -> Row:
        """The planned row. The line must have one."""
        assert self.row is not None, "a line of the planned rows"
        return self.row

    def trials(self, *arms: str) -> tuple[str, ...]:
        """Return the trials that have all of these arms."""
        return summary.trials(self.group, *arms) if self.group else ()

    def average(self, arm: str) -> Average | None:
        """Return the average of the group's metric for an arm."""
        return summary.stages(self.group).get(LABELS[arm], {}).get(self.group.metric) if self.group else None

    def of(self, read: Callable[[Group], Read]) -> Read | None:
        """Return `read(group)`; None without a group."""
        return read(self.group) if self.group else None

    @property
    def over_baseline(self) -> tuple[Paired | None, Paired | None]:
        """The gains of DSD and of the control over the baseline."""
        return self.of(summary.over_baseline) or (None, None)


BOTH = ("dsd", "control")


def percent(value: float, digits: int = 0) -> str:
    """Return a signed percentage."""
    return f"{number(value, True, digits)} %"


def network(entry: Entry) -> str:
    """Return the network with its reduction."""
    if entry.group:
        return group_names.name(entry.group)
    wanted = entry.planned.wanted
    return group_names.reduced(paper.ROWS[wanted.row].network, wanted.recipe.reduction)


def data(entry: Entry) -> str:
    """Return the data, plus what distinguishes the group from others of its network."""
    return group_names.where(entry.group, entry.among) if entry.group else entry.planned.wanted.data


def _metric(entry: Entry) -> str:
    if entry.group:
        return headings.metric_name(entry.group.metric, entry.group)
    return metric_of(paper.ROWS[entry.planned.wanted.row])


def metric_of(of: paper.Row) -> str:
    """Return the display name of the paper's metric for a row."""
    return metrics.with_unit(of.metric, metrics.unit(of.metric, of.metric, of.unit))


def _over_baseline(index: int) -> Callable[[Entry], Cell]:
    def cell(entry: Entry) -> Cell:
        found = entry.over_baseline[index]
        return Cell(mean_sd(found, signed=True), found.mean if found else None, entry.trials(DENSE, *BOTH))

    return cell


def _gain(entry: Entry) -> Cell:
    text, found = entry.of(formatting.gain) or NONE, entry.of(summary.crossed)
    return Cell(text, found.mean if found else None, entry.trials(*BOTH))


def _p(group: Group) -> float | None:
    found = summary.crossed(group)
    return found.p if found and group.quotable else None


def _overview(group: Group) -> paper.Overview | None:
    return group.paper.overview if group.paper else None


def _share(entry: Entry) -> Cell:
    share = entry.row.answer.share if entry.row else None
    if share is None:
        return Cell()
    text = f"{number(100 * share.share, True)} {formatting.ends(100 * share.low, 100 * share.high)}"
    return Cell(text, _finite(share.share), entry.trials(*BOTH))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _claim(entry: Entry) -> Cell:
    if entry.row is None:
        return Cell()
    claim = entry.row.claim
    return Cell(f"{claim.points:+.2f} ({percent(100 * claim.share, 1)})", claim.points)


def _verdict(entry: Entry) -> Cell:
    row = entry.row
    text = (str(row.answer.claim) if row.lacks is None else f"none: {row.lacks}") if row else NONE
    every = {row.wanted.row: row} if row else {}
    return Cell(text, answers.standing(entry.group, every) if entry.group else text)


def _direction(entry: Entry) -> Cell:
    found = entry.row.answer.direction if entry.row else None
    return Cell(found or NONE, found)


def _gate(entry: Entry) -> Cell:
    row = entry.row
    if row is None or row.gate is None:
        return Cell()
    return Cell(regime.answer(row.gate, row.have < row.wanted.seeds), regime.answer(row.gate))


def _text(entry: Entry) -> Cell:
    found = entry.row.text if entry.row else None
    return Cell(formatting.crossed(found), found.mean if found else None, entry.trials("dsd-text", "control-text"))


def _beam(entry: Entry) -> Cell:
    return gained(entry.row.beam if entry.row else None, entry.trials(*BOTH), sd=False)


def _have(entry: Entry) -> Cell:
    row = entry.row
    return Cell(f"{row.have} of {row.wanted.seeds}", row.have, entry.trials(*BOTH)) if row else Cell()


def _n(entry: Entry) -> Cell:
    primary = entry.of(summary.primary)
    n = primary.n if primary else 0
    return Cell(str(n or len(entry.trials())), n, entry.trials(*(BOTH if n else ())))


def _identity(key: str) -> Column[Entry]:
    """Return a column of `IDENTITY`. Some are known for a planned row without a trial too."""
    read, planned = IDENTITY[key], _OF_PLAN.get(key)
    return exported(key, lambda one: read(one.group) if one.group else planned(one.planned) if planned else None)


def _parts(prefix: str, names: Sequence[str], read: Callable[[Entry], object]) -> list[Column[Entry]]:
    """Return a column for each attribute in `names` of what `read` returns."""

    def part(name: str) -> Column[Entry]:
        return exported(f"{prefix}{name}", lambda entry: _finite(getattr(read(entry), name, None)))

    return [part(name) for name in names]


def _ends(prefix: str, read: Callable[[Entry], Paired | None]) -> list[Column[Entry]]:
    def end(index: int) -> Callable[[Entry], float | None]:
        return lambda entry: (((found := read(entry)) and found.interval) or (None, None))[index]

    return [exported(f"{prefix}_low", end(0)), exported(f"{prefix}_high", end(1))]


def _of_row(read: Callable[[Row], Any]) -> Callable[[Entry], Any]:
    return lambda entry: read(entry.row) if entry.row else None


_OF_PLAN: dict[str, Callable[[Row], str]] = {
    "row": lambda row: row.wanted.row,
    "section": lambda row: "regime",
    "scale": lambda row: "small",
    "reduction": lambda row: row.wanted.recipe.reduction,
    "recipe": lambda row: row.wanted.recipe.hash(),
}
_DATA: Column[Entry] = Column(
    "data", "data", lambda entry: Cell(data(entry), entry.group.key.data if entry.group else data(entry))
)


_ALL: tuple[Column[Entry], ...] = (
    Column("network", "network", lambda entry: Cell(network(entry), trials=entry.trials()), PRINT),
    *(_DATA if key == "data" else _identity(key) for key in IDENTITY),
    exported("processes", lambda entry: entry.of(lambda group: group.key.processes)),
    Column("metric", "metric", lambda entry: Cell(_metric(entry), entry.of(lambda group: group.metric))),
    exported("unit", lambda entry: entry.of(lambda group: group.sample.unit)),
    Column("n", "n", _n),
    Column("baseline", "baseline", lambda entry: averaged(entry.average(DENSE))),
    exported("baseline_sd", lambda entry: getattr(entry.average(DENSE), "sd", None)),
    Column("control", "control", lambda entry: averaged(entry.average("control"))),
    exported("control_sd", lambda entry: getattr(entry.average("control"), "sd", None)),
    Column("dsd", "DSD", lambda entry: averaged(entry.average("dsd"))),
    exported("dsd_sd", lambda entry: getattr(entry.average("dsd"), "sd", None)),
    Column("gain_over_baseline", "DSD over baseline", _over_baseline(0)),
    exported("gain_over_baseline_sd", lambda entry: getattr(entry.over_baseline[0], "sd", None)),
    Column("control_gain_over_baseline", "control over baseline", _over_baseline(1)),
    exported("control_gain_over_baseline_sd", lambda entry: getattr(entry.over_baseline[1], "sd", None)),
    Column(
        "gain_over_control",
        "gain over control",
        lambda entry: gained(entry.of(summary.primary), entry.trials(*BOTH)),
    ),
    exported("gain_over_control_sd", lambda entry: getattr(entry.of(summary.primary), "sd", None)),
    *_ends("seeds", lambda entry: entry.of(summary.primary)),
    Column("crossed_mean", "gain over control [95 %]", _gain),
    *_parts("crossed_", ("low", "high", "lower", "upper"), lambda entry: entry.of(summary.crossed)),
    exported("crossed_p", lambda entry: entry.of(_p)),
    Column("verdict", "verdict on the claim", _verdict),
    Column("share", "share of control, %", _share),
    *_parts("share_", ("low", "high", "lower", "upper"), _of_row(lambda row: row.answer.share)),
    Column("claim_points", "the paper's claim", _claim),
    exported("claim_share", _of_row(lambda row: row.claim.share)),
    exported("claim", _of_row(lambda row: row.answer.claim)),
    Column("direction", "direction", _direction),
    exported("p_holm", _of_row(lambda row: row.answer.p_holm)),
    Column("gate", "gate", _gate),
    exported("planned", _of_row(lambda row: row.wanted.seeds)),
    Column("planned_have", "n", _have),
    Column("text_crossed_mean", "D2 at the text's rate [95 %]", _text),
    *_parts("text_crossed_", ("low", "high", "lower", "upper", "p"), _of_row(lambda row: row.text)),
    Column("beam20_gain", "beam 20 [95 %, seeds]", _beam),
    *_ends("beam20_seeds", _of_row(lambda row: row.beam)),
    *_parts("paper_", ("baseline", "dsd", "absolute", "relative"), lambda entry: entry.of(_overview)),
    exported("paper_comparable", lambda entry: entry.of(lambda group: group.comparable)),
)
COLUMNS: Mapping[str, Column[Entry]] = MappingProxyType({column.key: column for column in _ALL})
"""All columns by key, in CSV order. A table on a page picks a subset."""


def pick(*keys: str) -> list[Column[Entry]]:
    """Return the columns with these keys."""
    return [COLUMNS[key] for key in keys]
