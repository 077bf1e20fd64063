"""Console output of the commands: plain lines, tables, and progress bars."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, cast

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID
from rich.table import Table

from benchmarks.cli.streams import Output

if TYPE_CHECKING:
    from tasks.task import Progress  # which loads torch

_LONGEST = 10_000  # characters per line in a log
_LINE_EVERY_SECONDS = 15.0  # how often a log shows progress


class _Console(Console):
    """A console on standard output. It ignores FORCE_COLOR, which CI services set although they write a log."""

    @property
    def is_terminal(self) -> bool:
        """Whether output goes to a terminal that can overwrite lines."""
        return self.file.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def make() -> Console:
    """Return a console on standard output. In a log, lines are never wrapped, even if COLUMNS is set."""
    console = _Console(file=cast("IO[str]", Output()))
    if not console.is_terminal:
        console.soft_wrap, console.size = True, ConsoleDimensions(_LONGEST, 100)
    return console


CONSOLE = make()


def say(text: str) -> None:
    """Print a line verbatim. File names may contain text that rich would read as markup."""
    CONSOLE.print(text, highlight=False, markup=False)


def write_json(value: object) -> None:
    """Write `value` to standard output as JSON, whether or not the console is quiet."""
    CONSOLE.file.write(json.dumps(value, indent=1) + "\n")
    CONSOLE.file.flush()


@contextlib.contextmanager
def quiet(asked: bool = True) -> Iterator[None]:
    """Context in which nothing is printed if `asked`, so that the output is only JSON."""
    before, CONSOLE.quiet = CONSOLE.quiet, CONSOLE.quiet or asked
    try:
        yield
    finally:
        CONSOLE.quiet = before


def show(what: RenderableType) -> None:
    """Print tables without cropping: fold cells on a narrow terminal; keep full lines in a log."""
    log = CONSOLE.soft_wrap
    for table in _tables(what):
        for column in table.columns:
            column.overflow = "fold"
            if log:
                column.max_width, column.no_wrap = None, True
    CONSOLE.print(what, crop=False, soft_wrap=False)


def title(text: str) -> None:
    """Print a heading: between rules on a terminal, as plain text in a log."""
    if not CONSOLE.soft_wrap:
        from rich.markup import escape

        CONSOLE.rule(escape(text), style="default")
    else:
        say(f"--- {text} ---")


def counts(of: dict[str, int]) -> str:
    """Return counts and their names on one line: "1,000 train, 100 test"."""
    return ", ".join(f"{count:,} {name}" for name, count in of.items())


def bars() -> ProgressBar:
    """Return a progress display that disappears on exit."""
    return ProgressBar(console=CONSOLE, transient=True)


def progress(bar: ProgressBar) -> Progress:
    """Return a callback (what, done, total) that drives `bar`; in a log it prints an occasional line."""
    ids: dict[str, TaskID] = {}
    last = time.monotonic()

    def show(what: str, done: int, total: int) -> None:
        nonlocal last
        if what not in ids:
            ids[what] = bar.add_task(what, total=total)
        bar.update(ids[what], completed=done)
        if CONSOLE.soft_wrap and time.monotonic() - last > _LINE_EVERY_SECONDS:
            last = time.monotonic()
            say(f"{what}: {done:,} of {total:,}")

    return show


def _tables(what: RenderableType) -> list[Table]:
    if isinstance(what, Group):
        return [table for part in what.renderables for table in _tables(part)]
    return [what] if isinstance(what, Table) else []
