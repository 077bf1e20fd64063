"""The format-independent document: headings, paragraphs, figures and tables, which the renderers write out.

Texts are inline Markdown: emphasis and escapes, but no links.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from benchmarks.analysis.groups import Group

Line = TypeVar("Line")
Format = Literal["markdown", "html", "csv", "latex", "terminal"]
ALL: frozenset[Format] = frozenset({"markdown", "html", "csv", "latex", "terminal"})
PAGES: frozenset[Format] = frozenset({"markdown", "html"})
PRINT: frozenset[Format] = PAGES | {"latex"}
CSV: frozenset[Format] = frozenset({"csv"})
TERMINAL: frozenset[Format] = frozenset({"terminal"})
NONE = "-"
"""The text of an empty cell."""


@dataclass(frozen=True)
class Cell:
    """One value, in a table or within a sentence.

    Attributes:
        text: the text that pages show.
        value: the number or word for CSV.
        trials: ids of the records it is computed from; pages link to them.
        address: the link target, relative to the results folder.
    """

    text: str = NONE
    value: float | str | None = None
    trials: tuple[str, ...] = ()
    address: str = ""


Text = str | tuple[str | Cell, ...]
"""A sentence, or its pieces in order."""


@dataclass(frozen=True)
class Column(Generic[Line]):
    """A column: its key for CSV, its heading on pages, the function from a line to a cell, and the formats that show it."""

    key: str
    heading: str
    cell: Callable[[Line], Cell]
    where: frozenset[Format] = ALL

    def only(self, where: frozenset[Format]) -> Column[Line]:
        """Return the column restricted to the formats of `where`. So a column can have another position in another format."""
        return dataclasses.replace(self, where=self.where & where)


@dataclass(frozen=True)
class Table:
    """A table with its explanatory sentences. A table without rows is not shown.

    Attributes:
        sentences: the explanation shown with the table.
        caption: title and explanation, for formats without text around the table (LaTeX, terminal).
        group: the group whose trials it lists; links to these trials lead here.
        words: whether its cells quote captions or transcripts.
    """

    columns: tuple[Column[Any], ...]
    rows: tuple[tuple[Cell, ...], ...]
    sentences: Text = ""
    caption: str = ""
    group: Group | None = None
    words: bool = False

    def of(self, where: Format) -> tuple[list[Column[Any]], list[list[Cell]]]:
        """Return the columns and rows that a format shows."""
        kept = [number for number, column in enumerate(self.columns) if where in column.where]
        return [self.columns[k] for k in kept], [[row[k] for k in kept] for row in self.rows if kept]


def table(columns: Iterable[Column[Line]], lines: Iterable[Line], where: frozenset[Format] = ALL, **said: Any) -> Table:
    """Return the table with one row per line, for the formats of `where`; `said` gives the other fields of `Table`."""
    kept = tuple(column.only(where) for column in columns)
    return Table(kept, tuple(tuple(column.cell(line) for column in kept) for line in lines), **said)


@dataclass(frozen=True)
class Heading:
    """A heading. `group` is the group whose section it starts, if any."""

    level: int
    text: str
    group: Group | None = None


@dataclass(frozen=True)
class Paragraph:
    """A paragraph."""

    text: Text


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Details:
    """A collapsed list: pages show its title, and readers can open it."""

    title: str
    items: tuple[Text, ...]


@dataclass(frozen=True)
class Figure:
    """A picture in the figures folder: its file name and its alternative text."""

    name: str
    words: str


def headed(heading: str, sentences: Text, columns: Iterable[Column[Line]], lines: Iterable[Line]) -> list[Block]:
    """Return a table under its own heading; nothing if the table has no rows."""
    made = table(columns, lines, PRINT, sentences=sentences, caption=f"{heading}. {plain(sentences)}".strip())
    return [Heading(2, heading), made] if made.rows else []


Block = Heading | Paragraph | Bullets | Details | Figure | Table
Document = tuple[Block, ...]


@dataclass(frozen=True)
class Places:
    """Link targets of trials: record id to the address of its group, and one address for cells that span several groups.

    `single` is the start of the address of one trial. Without it, a cell of one trial leads to the trial's group.
    """

    trials: Mapping[str, str]
    several: str = ""
    single: str = ""

    def address(self, cell: Cell) -> str:
        """Return the link target of a cell; empty if it has none."""
        if self.single and len(cell.trials) == 1 and not cell.address and cell.text != NONE:
            return f"{self.single}{cell.trials[0]}"
        targets = {self.trials[trial] for trial in cell.trials if trial in self.trials} if cell.text != NONE else set()
        return cell.address or (targets.pop() if len(targets) == 1 else self.several if targets else "")


def plain(text: Text) -> str:
    """Return a text without its links."""
    return "".join(one if isinstance(one, str) else one.text for one in pieces(text))


def joined(texts: Iterable[Text]) -> Text:
    """Return several texts as one, separated by spaces."""
    return tuple(piece for number, text in enumerate(texts) for piece in (*([" "] if number else []), *pieces(text)))


def pieces(text: Text) -> tuple[str | Cell, ...]:
    """Return the pieces of a text."""
    return (text,) if isinstance(text, str) else text
