"""The command `compare`: compare two records, or two folders of records."""

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
    "paired seeds": "t interval of the differences, paired by seed",
    "Welch": "Welch's t interval over the seeds of both sides",
    "other records": "t interval with the seed spread of other records of these groups, since one side is a single record",
    "test set": "paired bootstrap over the test examples: test-set noise only",
}


@dataclass(frozen=True)
class _Side:
    """What one path names.

    `groups` are compared. `beside` are the groups of the other records in a single record's folder; they are used only for the
    spread. `notes` list what was left out.
    """

    groups: list[Group]
    beside: list[Group]
    notes: list[str]


def compare(options: Compare) -> int:
    """Print what differs between A and B; return 1 if settings differ, or results differ by more than the spread.

    Raises:
        ValueError: a path is neither the record of a finished trial nor a folder of records, or A and B share no row.
    """
    a, b = _side("A", options.a), _side("B", options.b)
    pairs, left, right = comparison.pair(a.groups, b.groups)
    compared = [comparison.compare(of_a, of_b, [*a.beside, *b.beside]) for of_a, of_b in pairs]
    say(f"A {options.a}\nB {options.b}")
    for note in (*a.notes, *b.notes):
        say(note)
    for name, rest in (("A", left), ("B", right)):
        for group in rest:
            say(
                f"only in {name}: {_title(group)}, {_seeds(r.seed for r in group.records)}, recipe {group.key.recipe_hash}"
            )
    for pair_result in compared:
        _print(pair_result)
    return 0 if all(result.alike and result.agree for result in compared) else 1


def _side(name: str, path: Path) -> _Side:
    if path.is_file():
        record = store.read(path)
        if record.status != "finished":
            raise ValueError(f"{name}: {path} records a failed trial, which has no result to compare")
        beside, notes = [], []
        for other in sorted(path.parent.glob(f"{record.row}-{record.scale}-*.json")):
            try:
                beside.append(store.read(other))
            except ValueError as error:  # the user did not name this record
                notes.append(f"{name}: left out of the spread: {error}")
        return _Side(group_records([record]), group_records(beside), notes)
    if not path.is_dir():
        raise ValueError(f"{name}: {path} is neither a record nor a folder of records")
    records = store.read_all(path)
    groups = group_records(records)
    if not groups:
        raise ValueError(f"{name}: {path} has no record of a finished trial (ID.json)")
    rest = len(records) - sum(len(group.records) for group in groups)
    return _Side(groups, [], [f"{name}: {rest} records not used: replaced or failed"] if rest else [])


def _print(found: Comparison) -> None:
    title(_title(found.a))
    for name, group in (("A", found.a), ("B", found.b)):
        say(f"{name}: {_seeds(record.seed for record in group.records)}")
    if found.facts:
        table = Table(box=None, padding=(0, 1, 0, 0))
        for heading in ("", "what differs", "A", "B"):
            table.add_column(heading, overflow="fold")  # never truncate file names and hashes
        area = ""
        for fact in found.facts:
            table.add_row(fact.area if fact.area != area else "", *map(escape, (fact.name, fact.a, fact.b)))
            area = fact.area
        show(table)
    else:
        say("recipe, data, versions, hardware, commit and command are identical")
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
    """Return the conclusions from all lines, one sentence each."""
    result = []
    used = set() if _same(found) else {line.yardstick for line in found.lines}
    if used and len(found.a.records) == len(found.b.records) == 1 and "other records" not in used:
        result.append("one record per side: no seed spread to compare with")
    result += [f"intervals: {_YARDSTICKS[one]}" for one in _YARDSTICKS if one in used]
    if any(_within(line) == "no*" for line in found.lines):
        result.append("* not significant after Holm's correction over all lines")
    result += [f"not compared: {', '.join(found.alone)}"] if found.alone else []
    if found.seeds:
        few = 0 < len(found.identical) < len(found.seeds)
        which = f" ({_seeds(found.identical)})" if few else ""
        result.append(f"identical bit for bit: {len(found.identical)} of {_count(found.seeds)} on both sides{which}")
    if not found.alike:
        result.append("recipe, scale, data, start, suite or number of processes differ: not the same experiment")
    beyond = [line for line in found.lines if line.within is False]
    if beyond:
        first = [line.arm for line in beyond if line.metric == found.a.metric]
        metrics_beyond = [f"{metrics.label(found.a.metric)} ({', '.join(first)})"] if first else []
        metrics_beyond += [f"{len(beyond) - len(first)} lines of other metrics"] if len(beyond) > len(first) else []
        result.append(f"the results differ by more than the spread: {'; '.join(metrics_beyond)}")
    elif found.agree:
        result.append("the results are identical" if _same(found) else "the results agree within the spread")
    else:
        result.append("the spread is unknown, so it is unclear whether the results agree")
    return result


def _same(found: Comparison) -> bool:
    """Return whether both sides have the same seeds with bit-identical results, so there are no numbers to show."""
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
