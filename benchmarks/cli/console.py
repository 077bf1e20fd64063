"""Where commands speak: lines as they are, and the bars of what takes long."""

from __future__ import annotations

import os
import time
from typing import IO, TYPE_CHECKING, cast

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID
from rich.table import Table

from benchmarks.cli.streams import Output

if TYPE_CHECKING:
    from tasks.task import Progress  # which loads torch

_LONGEST = 10_000  # characters in a line of a log
_LINE_EVERY_SECONDS = 15.0  # of a log, while something takes long


class _Console(Console):
    """What writes to standard output. FORCE_COLOR, which CI services set, makes no terminal of a log."""

    @property
    def is_terminal(self) -> bool:
        """Whether somebody looks on, and what is written can be written over."""
        return self.file.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def make() -> Console:
    """Return a console on standard output. A log keeps its lines whole, whatever COLUMNS says of some terminal."""
    made = _Console(file=cast("IO[str]", Output()))
    if not made.is_terminal:
        made.soft_wrap, made.size = True, ConsoleDimensions(_LONGEST, 100)
    return made


CONSOLE = make()


def say(text: str) -> None:
    """Print a line as it is: file names may hold what rich would take for markup."""
    CONSOLE.print(text, highlight=False, markup=False)


def show(what: RenderableType) -> None:
    """Print tables whole: what a terminal is too narrow for is folded; a log gets lines as long as they are."""
    log = CONSOLE.soft_wrap
    for table in _tables(what):
        for column in table.columns:
            column.overflow = "fold"
            if log:
                column.max_width, column.no_wrap = None, True
    CONSOLE.print(what, crop=False, soft_wrap=False)


def title(text: str) -> None:
    """Print a heading: between rules on a terminal, whole in a log."""
    if not CONSOLE.soft_wrap:
        from rich.markup import escape

        CONSOLE.rule(escape(text), style="default")
    else:
        say(f"--- {text} ---")


def counts(of: dict[str, int]) -> str:
    """Return numbers with what they are of, in one line."""
    return ", ".join(f"{count:,} {name}" for name, count in of.items())


def bars() -> ProgressBar:
    """Return a display of bars that is gone when it is left."""
    return ProgressBar(console=CONSOLE, transient=True)


def progress(bar: ProgressBar) -> Progress:
    """Return a callback (what, done, total) that drives `bar`; a log gets a line of it now and then."""
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
