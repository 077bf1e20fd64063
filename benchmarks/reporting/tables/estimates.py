"""Means and gains with what they were measured on: CSV lines and their common columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import Average
from benchmarks.reporting import formatting
from benchmarks.reporting.document import ALL, CSV, PRINT, Cell, Column, Table, table
from benchmarks.statistics.crossed import Crossed
from benchmarks.statistics.intervals import Paired


@dataclass(frozen=True)
class Quantity:
    """One mean or gain of a group.

    Attributes:
        name: the full name.
        found: the average over seeds; for a gain, with interval and p-value from t.
        label: its name in tables of gains.
        crossed: the interval over seeds and test examples.
        standing: the text of its verdict column in tables of gains; exported to CSV only if `verdict`.
        published: the paper's figure and its mark.
    """

    group: Group
    name: str
    metric: str
    unit: str
    found: Average | Paired
    trials: tuple[str, ...] = ()
    label: str = ""
    crossed: Crossed | None = None
    p_holm: float | None = None
    standing: str = "secondary"
    verdict: bool = False
    published: tuple[float, str] | None = None

    @property
    def paired(self) -> Paired | None:
        """The gain; None for a mean."""
        return self.found if isinstance(self.found, Paired) else None

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The ends of the interval over seeds."""
        return (self.paired and self.paired.interval) or (None, None)


def exported(key: str, read: Callable[[Any], Any]) -> Column[Any]:
    """Return a CSV-only column whose value is `read(line)`."""
    return Column(key, key, lambda line: Cell(value=read(line)), CSV)


IDENTITY: Mapping[str, Callable[[Group], Any]] = MappingProxyType(
    {
        "numerics": lambda group: group.key.numerics,
        "row": lambda group: group.key.row,
        "section": lambda group: group.section,
        "scale": lambda group: group.key.scale,
        "reduction": lambda group: group.sample.recipe.get("reduction", ""),
        "data": lambda group: group.key.data,
        "synthetic": lambda group: group.synthetic,
        "subset": lambda group: group.key.subset,
        "fingerprint": lambda group: group.key.fingerprint,
        "recipe": lambda group: group.key.recipe_hash,
        "custom": lambda group: "; ".join(group.key.custom),
        "dense_start": lambda group: group.key.start,
    }
)
"""What a group was trained and tested on."""


def _of_group(key: str) -> Column[Quantity]:
    return exported(key, lambda one: IDENTITY[key](one.group))


def _p(one: Quantity) -> Cell:
    found = one.crossed.p if one.crossed and one.group.quotable else None
    return Cell(formatting.p_value(found), found, one.trials)


def _crossed(one: Quantity) -> Cell:
    found = one.crossed
    return Cell(formatting.ends(found.low, found.high), found.low, one.trials) if found else Cell()


_N: Column[Quantity] = Column("n", "n", lambda one: Cell(str(one.found.n), one.found.n, one.trials))
COLUMNS: tuple[Column[Quantity], ...] = (
    *map(_of_group, IDENTITY),
    Column("quantity", "gain", lambda one: Cell(one.label, one.name)),
    exported("metric", lambda one: one.metric),
    exported("unit", lambda one: one.unit),
    _N.only(CSV),
    Column(
        "mean",
        "mean ± sd [95 % t interval over seeds]",
        lambda one: Cell(formatting.interval(one.paired), one.found.mean, one.trials),
    ),
    _N.only(ALL - CSV),
    exported("sd", lambda one: one.found.sd),
    exported("low", lambda one: one.interval[0]),
    exported("high", lambda one: one.interval[1]),
    exported("p", lambda one: one.paired.p if one.paired and one.group.quotable else None),
    Column("crossed_low", "95 % interval over seeds and test examples", _crossed),
    exported("crossed_high", lambda one: one.crossed.high if one.crossed else None),
    Column("crossed_p", "p", _p),
    Column("p_holm", "p (Holm)", lambda one: Cell(formatting.p_value(one.p_holm), one.p_holm, one.trials)),
    Column("verdict", "verdict", lambda one: Cell(one.standing, one.standing if one.verdict else None)),
    exported("paper", lambda one: one.published[0] if one.published else None),
    exported("paper_mark", lambda one: one.published[1] if one.published else None),
    exported("paper_comparable", lambda one: one.group.comparable if one.published else None),
)
_RESULTS, _ANSWERS = {"crossed_low"}, {"crossed_p", "p_holm"}


def quantities(lines: Iterable[Quantity]) -> Table:
    """Return a CSV-only table of the lines."""
    return table(COLUMNS, lines, CSV)


def gains(group: Group, lines: Iterable[Quantity], **said: str) -> Table:
    """Return a table of one group's gains, for pages and CSV. For non-results, pages show fewer columns."""
    hidden = (_RESULTS if group.section == "smoke" else set()) | (set() if group.quotable else _ANSWERS)
    columns = [column.only(CSV) if column.key in hidden else column for column in COLUMNS]
    return table(columns, lines, PRINT | CSV, **said)
