"""A column is declared once: whatever it says stands in every format that it names."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console

from benchmarks.analysis.groups import group_records
from benchmarks.arms.registry import ARMS
from benchmarks.records.schema import Record
from benchmarks.reporting import results_folder
from benchmarks.reporting.csv import csv
from benchmarks.reporting.document import ALL, Block, Cell, Column, Format, Paragraph, Table, table
from benchmarks.reporting.html.render import Place, html
from benchmarks.reporting.latex import latex
from benchmarks.reporting.markdown import markdown
from benchmarks.reporting.tables import quantities
from benchmarks.reporting.terminal import terminal
from tests.golden import build


def texts(block: Block) -> Mapping[str, list[str]]:
    """Return what stands under each heading of a table."""
    assert isinstance(block, Table)
    return {column.heading: [row[k].text for row in block.rows] for k, column in enumerate(block.columns)}


def rendered(document: Sequence[Block]) -> dict[Format, str]:
    """Return a document in every format."""
    blocks = tuple(document)
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(terminal(blocks))
    return {
        "markdown": markdown(blocks, "README.md"),
        "html": html(blocks, Place({}, {}, {}), "title"),
        "csv": csv(blocks),
        "latex": latex(blocks),
        "terminal": console.export_text(),
    }


@pytest.mark.parametrize(
    "where", [ALL, *(frozenset({one}) for one in sorted(ALL)), frozenset({"csv", "html"}), frozenset()]
)
def test_a_column_stands_in_every_format_that_it_names(where: frozenset[Format]) -> None:
    columns: list[Column[int]] = [
        Column("line", "line", lambda line: Cell(f"line {line}", line)),
        Column("new", "newly added", lambda line: Cell(f"about {line}", f"exactly {line}"), where),
        Column("last", "last", lambda line: Cell("words")),
    ]
    found = rendered([table(columns, [7])])
    assert {name for name, text in found.items() if "newly added" in text or "new" in text.split(",")} == where
    assert {name for name, text in found.items() if "about 7" in text or "exactly 7" in text} == where
    assert "exactly 7" not in "".join(text for name, text in found.items() if name != "csv")


def test_a_new_column_of_the_gains_needs_one_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    new: Column[quantities.Quantity] = Column("seeds", "newly added", lambda one: Cell(f"{one.found.n} seeds", 1_000))
    monkeypatch.setattr(quantities, "COLUMNS", (*quantities.COLUMNS, new))
    files = results_folder.render(build.trio())
    name = "tables/imagenet_resnet18"
    assert all("newly added" in files[f"{name}{suffix}"] for suffix in (".md", ".tex"))
    assert "3 seeds" in files[f"{name}.md"]
    header, *lines = files[f"{name}.csv"].splitlines()
    assert header.endswith(",seeds")
    assert all(line.endswith(",1000") for line in lines)


def test_a_table_without_lines_is_in_no_format() -> None:
    column: Column[int] = Column("key", "heading", lambda line: Cell())
    found = rendered([table([column], [], sentences="sentences", caption="caption"), Paragraph("end")])
    assert not any(word in text for text in found.values() for word in ("heading", "sentences", "caption"))


def test_words_are_never_markup_of_a_format() -> None:
    hostile = "a|b <b> & 50 % _x_ [red]"
    columns: list[Column[str]] = [Column(key, key, lambda line: Cell(line, line)) for key in ("first", "last")]
    found = rendered([table(columns, [hostile])])
    assert r"a\|b <b>" in found["markdown"]
    assert "a|b &lt;b&gt; &amp; 50 %" in found["html"]
    assert r"\& 50 \% \_x\_" in found["latex"]
    assert "[red]" in found["terminal"]


def every_arm() -> Record:
    """Return a record that has all arms."""
    return build.record(arms={name: (41.0, 40.0 + rank / 10) for rank, name in enumerate(ARMS)})


def test_an_arm_stands_in_a_table_wherever_a_record_has_it() -> None:
    (group,) = group_records([every_arm()])
    assert set(group.sample.arms) == set(ARMS)
    files = results_folder.render([every_arm()])
    page, exported = (files[f"tables/imagenet_resnet18.{suffix}"] for suffix in ("md", "csv"))
    for arm in ARMS.values():
        assert f"| {arm.label} " in page, f"no table knows the arm {arm.name}"
        assert f",{arm.label}," in exported or f',"{arm.label}",' in exported, f"no CSV knows the arm {arm.name}"
