"""What the results say, before any format: a document of headings, paragraphs, figures and tables, which renderers only write down.

Texts are inline Markdown: emphasis and escapes, no links of their own.
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
"""What a cell without content shows."""


@dataclass(frozen=True)
class Cell:
    """One thing that is said, in a table or within a sentence.

    Attributes:
        text: as pages show it.
        value: the number or word behind it, for machines.
        trials: ids of the records that it is computed from; on pages it leads to them.
        address: of the file that it leads to, as seen from the results folder.
    """

    text: str = NONE
    value: float | str | None = None
    trials: tuple[str, ...] = ()
    address: str = ""


Text = str | tuple[str | Cell, ...]
"""A sentence, or its pieces in order."""


@dataclass(frozen=True)
class Column(Generic[Line]):
    """A column, declared once: its name for machines and on pages, what it says of a line, and the formats that have it."""

    key: str
    heading: str
    cell: Callable[[Line], Cell]
    where: frozenset[Format] = ALL

    def only(self, where: frozenset[Format]) -> Column[Line]:
        """Return the column for fewer formats: those that have it in another place have it by another `only`."""
        return dataclasses.replace(self, where=self.where & where)


@dataclass(frozen=True)
class Table:
    """Cells under their columns, with the sentences that must not be parted from them. Without a row, no format has it.

    Attributes:
        sentences: what must be known to read it.
        caption: what it is called where it stands by itself, and what must be known to read it.
        group: whose trials it lists: links to them lead here.
        words: whether its cells quote what networks said.
    """

    columns: tuple[Column[Any], ...]
    rows: tuple[tuple[Cell, ...], ...]
    sentences: Text = ""
    caption: str = ""
    group: Group | None = None
    words: bool = False

    def of(self, where: Format) -> tuple[list[Column[Any]], list[list[Cell]]]:
        """Return the columns and the rows that a format has."""
        kept = [number for number, column in enumerate(self.columns) if where in column.where]
        return [self.columns[k] for k in kept], [[row[k] for k in kept] for row in self.rows if kept]


def table(columns: Iterable[Column[Line]], lines: Iterable[Line], where: frozenset[Format] = ALL, **said: Any) -> Table:
    """Return the table that `columns` make of `lines`, for the formats of `where`; `said` is the rest of a `Table`."""
    kept = tuple(column.only(where) for column in columns)
    return Table(kept, tuple(tuple(column.cell(line) for column in kept) for line in lines), **said)


@dataclass(frozen=True)
class Heading:
    """A heading; `group` is the one whose part of the page it opens, if any."""

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
class Figure:
    """A picture in the folder of figures, by its file, and the words for it."""

    name: str
    words: str


def headed(heading: str, sentences: Text, columns: Iterable[Column[Line]], lines: Iterable[Line]) -> list[Block]:
    """Return a table under a heading of its own, nothing where it has no line."""
    made = table(columns, lines, PRINT, sentences=sentences, caption=f"{heading}. {plain(sentences)}".strip())
    return [Heading(2, heading), made] if made.rows else []


Block = Heading | Paragraph | Bullets | Figure | Table
Document = tuple[Block, ...]


@dataclass(frozen=True)
class Places:
    """Where a format has the trials: id to the address of those of its group, and where several groups are beside one another."""

    trials: Mapping[str, str]
    several: str = ""

    def address(self, cell: Cell) -> str:
        """Return where a cell leads, empty where nowhere."""
        found = {self.trials[one] for one in cell.trials if one in self.trials} if cell.text != NONE else set()
        return cell.address or (found.pop() if len(found) == 1 else self.several if found else "")


def plain(text: Text) -> str:
    """Return a text without its links."""
    return "".join(one if isinstance(one, str) else one.text for one in pieces(text))


def pieces(text: Text) -> tuple[str | Cell, ...]:
    """Return the pieces of a text."""
    return (text,) if isinstance(text, str) else text
