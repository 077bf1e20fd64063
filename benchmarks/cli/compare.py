"""The command `compare`: reads two records or two folders of them, and prints what differs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from benchmarks.analysis import comparison, metrics
from benchmarks.analysis.comparison import Comparison, Line
from benchmarks.analysis.groups import Group, group_records
from benchmarks.analysis.summary import Average
from benchmarks.cli.console import say, show, title
from benchmarks.cli.options import Compare
from benchmarks.records import store

_YARDSTICKS = {
    "paired seeds": "t interval of the differences paired by seed",
    "Welch": "Welch's t interval of the seeds of either side",
    "other records": "t interval with the spread of the seeds of either group as far as known, a side being one record",
    "test set": "paired bootstrap over the test examples: noise of the test set alone",
}


@dataclass(frozen=True)
class _Side:
    """The groups that a path names, those that the records beside a single one make, and what was left out."""

    groups: list[Group]
    beside: list[Group]
    notes: list[str]


def run(options: Compare) -> int:
    """Print what differs between A and B; return 1 where recipe or data do, or results by more than the spread.

    Raises:
        ValueError: a path is no record of a finished trial and no folder of records, or the two have no row in common.
    """
    a, b = _side("A", options.a), _side("B", options.b)
    pairs, left, right = comparison.pair(a.groups, b.groups)
    found = [comparison.compare(ours, theirs, [*a.beside, *b.beside]) for ours, theirs in pairs]
    say(f"A {options.a}\nB {options.b}")
    for note in (*a.notes, *b.notes):
        say(note)
    for name, rest in (("A", left), ("B", right)):
        for group in rest:
            say(
                f"only in {name}: {_title(group)}, {_seeds(r.seed for r in group.records)}, recipe {group.key.recipe_hash}"
            )
    for one in found:
        _print(one)
    return 0 if all(one.alike and one.agree for one in found) else 1


def _side(name: str, path: Path) -> _Side:
    if path.is_file():
        one = store.read(path)
        if one.status != "finished":
            raise ValueError(f"{name}: {path} is the record of a trial that failed: it has no result to compare")
        beside, notes = [], []
        for other in sorted(path.parent.glob(f"{one.row}-{one.scale}-*.json")):
            try:
                beside.append(store.read(other))
            except ValueError as error:  # nobody asked for this one
                notes.append(f"{name}: left out of the spread: {error}")
        return _Side(group_records([one]), group_records(beside), notes)
    if not path.is_dir():
        raise ValueError(f"{name}: {path} is neither a record nor a folder of records")
    records = store.read_all(path)
    groups = group_records(records)
    if not groups:
        raise ValueError(f"{name}: {path} holds no record of a finished trial (ID.json)")
    rest = len(records) - sum(len(group.records) for group in groups)
    return _Side(groups, [], [f"{name}: {rest} records are not used: superseded or failed"] if rest else [])


def _print(found: Comparison) -> None:
    title(_title(found.a))
    for name, group in (("A", found.a), ("B", found.b)):
        say(f"{name}: {_seeds(record.seed for record in group.records)}")
    if found.facts:
        table = Table(box=None, padding=(0, 1, 0, 0))
        for heading in ("", "what differs", "A", "B"):
            table.add_column(heading, overflow="fold")  # file names and hashes longer than a column stay whole
        area = ""
        for fact in found.facts:
            table.add_row(fact.area if fact.area != area else "", *map(escape, (fact.name, fact.a, fact.b)))
            area = fact.area
        show(table)
    else:
        say("recipe, data, versions, hardware, commit and command are the same")
    for family in [] if _same(found) else metrics.families({line.metric for line in found.lines}):
        _print_lines(found, [line for line in found.lines if metrics.family(line.metric) == family], family)
    for sentence in sentences(found):
        say(sentence)


def _print_lines(found: Comparison, lines: Sequence[Line], family: str) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0), title=metrics.heading(family), title_justify="left")
    table.add_column("mean ± sd (n)", min_width=10)
    for heading in ("A", "B", "B - A (95 % interval)", "within"):
        table.add_column(heading, justify="right", no_wrap=True)  # at 80 columns the names wrap
    arm = ""
    for line in lines:
        if line.arm != arm:
            table.add_row(f"[bold]{escape(line.arm)}[/]")
            arm = line.arm
        digits = metrics.digits(line.metric)
        of = metrics.unit(line.metric, found.a.metric, found.a.sample.unit)
        name = metrics.with_unit(line.metric, of, short=True)
        cells = (_cell(line.a, digits), _cell(line.b, digits), _difference(line, digits), _within(line))
        table.add_row(escape(name), *cells)
    show(table)


def sentences(found: Comparison) -> list[str]:
    """Return what the lines say taken together, a sentence each."""
    result = []
    used = set() if _same(found) else {line.yardstick for line in found.lines}
    if used and len(found.a.records) == len(found.b.records) == 1 and "other records" not in used:
        result.append("one record a side: no spread to compare with")
    result += [f"intervals: {_YARDSTICKS[one]}" for one in _YARDSTICKS if one in used]
    if any(_within(line) == "no*" for line in found.lines):
        result.append("* of so many lines one may be so by chance: not so after Holm's correction for all of them")
    result += [f"not compared: {', '.join(found.alone)}"] if found.alone else []
    if found.seeds:
        few = 0 < len(found.identical) < len(found.seeds)
        which = f" ({_seeds(found.identical)})" if few else ""
        result.append(f"the same bit for bit: {len(found.identical)} of {_count(found.seeds)} on both sides{which}")
    if not found.alike:
        result.append("recipe, scale, data, start, suite or number of processes differ: not the same experiment")
    beyond = [line for line in found.lines if line.within is False]
    if beyond:
        first = [line.arm for line in beyond if line.metric == found.a.metric]
        told = [f"{metrics.label(found.a.metric)} ({', '.join(first)})"] if first else []
        told += [f"{len(beyond) - len(first)} lines of other metrics"] if len(beyond) > len(first) else []
        result.append(f"the results differ by more than the spread: {'; '.join(told)}")
    elif found.agree:
        result.append("the results are the same" if _same(found) else "the results agree within the spread")
    else:
        result.append("whether the results agree cannot be said")
    return result


def _same(found: Comparison) -> bool:
    """Return whether all results that both have are the same to the last bit, so that there is no number to show."""
    return len(found.identical) == len(found.a.records) == len(found.b.records)


def _title(group: Group) -> str:
    return ", ".join((group.key.row, group.key.scale, *group.key.custom))


def _seeds(seeds: Iterable[int]) -> str:
    numbers = list(seeds)
    return f"{'seeds' if len(numbers) > 1 else 'seed'} {', '.join(map(str, numbers))}"


def _count(seeds: Sequence[int]) -> str:
    return f"{len(seeds)} {'seeds' if len(seeds) > 1 else 'seed'}"


def _cell(cell: Average, digits: int) -> str:
    spread = "" if cell.sd is None else f" ± {cell.sd:.{digits}f}"
    return f"{cell.mean:.{digits}f}{spread} ({cell.n})"


def _difference(line: Line, digits: int) -> str:
    shown = f"{line.difference:+.{digits}f}"
    if line.interval is None:
        return shown
    low, high = line.interval
    return f"{shown} ({low:.{digits}f} to {high:.{digits}f})"


def _within(line: Line) -> str:
    if line.within is None:
        return "?"
    outside = line.interval is not None and not line.interval[0] <= 0 <= line.interval[1]
    return ("no*" if outside else "yes") if line.within else "no"
