"""Numbers as text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from benchmarks import paper
from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import Average
from benchmarks.records.schema import Record
from benchmarks.reporting.document import NONE, Cell
from benchmarks.reporting.wording import FROM_MEMORY
from benchmarks.statistics.crossed import Crossed
from benchmarks.statistics.intervals import Paired


def number(value: float, signed: bool = False, digits: int = 2) -> str:
    """Return `value` with `digits` decimals, never as negative zero."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if signed else f"{rounded:.{digits}f}"


def ends(low: float, high: float) -> str:
    """Return "[low, high]", with more than two decimals for an end that would otherwise round to zero."""
    shown = []
    for end in (low, high):
        # Rounding errors are about 1e-16, so at most six decimals are shown.
        digits = next((d for d in range(2, 7) if round(end, d) != 0), 2)
        shown.append(f"{round(end, digits) + 0.0:+.{digits}f}")
    return f"[{', '.join(shown)}]"


def mean_sd(found: Average | Paired | None, signed: bool = False, digits: int = 2) -> str:
    """Return "mean ± sd", or the mean alone at n = 1."""
    if found is None:
        return NONE
    mean = number(found.mean, signed, digits)
    return mean if found.sd is None else f"{mean} ± {number(found.sd, digits=digits)}"


def averaged(found: Average | None, digits: int = 2) -> Cell:
    """Return a mean as a cell that links to its trials."""
    return Cell(mean_sd(found, digits=digits), found.mean, found.trials) if found else Cell()


def gained(found: Paired | None, trials: tuple[str, ...] = (), sd: bool = True) -> Cell:
    """Return a gain with its interval over seeds as a cell that links to `trials`."""
    return Cell(interval(found, sd), found.mean, trials) if found else Cell()


def interval(found: Paired | None, sd: bool = True) -> str:
    """Return "mean ± sd [low, high]". No interval at n = 1, and no standard deviation unless `sd`."""
    if found is None:
        return NONE
    mean = mean_sd(found, signed=True) if sd else number(found.mean, True)
    return mean if found.interval is None else f"{mean} {ends(*found.interval)}"


def crossed(found: Crossed | None) -> str:
    """Return "mean [low, high]" with the interval over seeds and test examples; a dash for None."""
    return NONE if found is None else f"{number(found.mean, True)} {ends(found.low, found.high)}"


def gain(group: Group, arm: str = "dsd", over: str = "control") -> str:
    """Return a gain with its interval over seeds and test examples; for non-results "mean ± sd [t interval over seeds]"."""
    found = summary.quoted(group, arm, over)
    return crossed(found) if isinstance(found, Crossed) else interval(found)


def p_value(p: float | None) -> str:
    """Return p with three decimals, or "< 0.001"; a dash for None."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def paper_cell(figure: paper.Figure | None) -> str:
    """Return a published figure, with a mark if it was not read in a source."""
    if figure is None:
        return NONE
    return number(figure.value) if figure.verified else f"{number(figure.value)} {FROM_MEMORY}"


def listed(words: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def unique(values: Collection[str]) -> str:
    """Return the distinct values in order, joined."""
    return ", ".join(sorted(set(values)))


def commits(records: Sequence[Record]) -> str:
    """Return the distinct short commits, marked if the checkout was dirty, and what differed before an interruption."""
    states = {True: " (dirty)", False: "", None: " (state unknown)"}
    found = []
    for one in records:
        before = f" (before an interruption: {'; '.join(one.earlier)})" if one.earlier else ""
        found.append(f"{(one.commit or 'unknown')[:12]}{states[one.dirty]}{before}")
    return unique(found)
