"""Where commands speak: lines as they are, and the bars of what takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress as ProgressBar
from rich.progress import TaskID
from rich.table import Table

if TYPE_CHECKING:
    from tasks.task import Progress  # which loads torch


CONSOLE = Console()
CONSOLE.soft_wrap = not CONSOLE.is_terminal  # a log keeps its lines whole

_LONGEST = 10_000  # characters in a line of a log


def say(text: str) -> None:
    """Print a line as it is: file names may hold what rich would take for markup."""
    CONSOLE.print(text, highlight=False, markup=False)


def show(table: Table) -> None:
    """Print a table whole: what a terminal is too narrow for is folded; a log gets lines as long as they are."""
    for column in table.columns:
        column.overflow = "fold"
    width = None if CONSOLE.is_terminal else Measurement.get(CONSOLE, CONSOLE.options.update_width(_LONGEST), table)
    CONSOLE.print(table, width=width.maximum if width else None, crop=False, soft_wrap=False)


def counts(of: dict[str, int]) -> str:
    """Return numbers with what they are of, in one line."""
    return ", ".join(f"{count:,} {name}" for name, count in of.items())


def bars() -> ProgressBar:
    """Return a display of bars that is gone when it is left."""
    return ProgressBar(console=CONSOLE, transient=True)


def progress(bar: ProgressBar) -> Progress:
    """Return a callback (what, done, total) that drives `bar`."""
    ids: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in ids:
            ids[what] = bar.add_task(what, total=total)
        bar.update(ids[what], completed=done)

    return show
