"""A column is declared once, and its text appears in every format that it names."""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Mapping, Sequence

import pytest
from rich.console import Console

from benchmarks.analysis.groups import group_records
from benchmarks.arms.registry import ARMS
from benchmarks.records.schema import Record
from benchmarks.reporting import results_folder
from benchmarks.reporting.csv import csv
from benchmarks.reporting.document import ALL, Block, Cell, Column, Format, Paragraph, Places, Table, table
from benchmarks.reporting.html.render import Place, html
from benchmarks.reporting.latex import latex
from benchmarks.reporting.markdown import markdown
from benchmarks.reporting.tables import estimates
from benchmarks.reporting.terminal import terminal
from tests.golden import build


def texts(block: Block) -> Mapping[str, list[str]]:
    """Return the texts of the cells below each heading of a table."""
    assert isinstance(block, Table)
    return {column.heading: [row[k].text for row in block.rows] for k, column in enumerate(block.columns)}


def rendered(document: Sequence[Block]) -> dict[Format, str]:
    """Return the document in every format."""
    blocks = tuple(document)
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(terminal(blocks))
    return {
        "markdown": markdown(blocks, "README.md", Places({})),
        "html": html(blocks, Place({}, Places({}), {}), "title"),
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
    new: Column[estimates.Quantity] = Column("seeds", "newly added", lambda one: Cell(f"{one.found.n} seeds", 1_000))
    monkeypatch.setattr(estimates, "COLUMNS", (*estimates.COLUMNS, new))
    files = results_folder.render(build.trio())
    name = "tables/superseded"
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
    page, exported = (files[f"tables/superseded.{suffix}"] for suffix in ("md", "csv"))
    for arm in ARMS.values():
        assert f"| {arm.label} " in page, f"no table knows the arm {arm.name}"
        assert f",{arm.label}," in exported or f',"{arm.label}",' in exported, f"no CSV knows the arm {arm.name}"


def test_numbers_lead_to_the_trials_on_the_page_of_their_row() -> None:
    files = results_folder.render(build.everything()) | {"../README.md": results_folder.headline(build.everything())}
    linked = 0
    for name, text in files.items():
        targets = re.findall(r"\]\(([^()\s]*)#(t\d+)\)", text)
        assert not targets or name.endswith(".md"), f"{name} has no links"
        for address, anchor in targets:
            page = (
                posixpath.normpath(posixpath.join("results", posixpath.dirname(name), address))
                if address
                else f"results/{name}"
            )
            assert f'<a id="{anchor}"></a>\n\n| record ' in files[page.removeprefix("results/")], (
                f"{name}: {address}#{anchor}"
            )
        linked += len(targets)
    assert linked > 500
    assert "[+1.00 [+0.43, +1.57]](results/tables/imagenet_resnet18.md#t1)" in files["../README.md"]
    assert "[+1.00 [+0.43, +1.57]](tables/imagenet_resnet18.md#t1)" in files["README.md"]
    assert "[+1.00 [+0.43, +1.57]](imagenet_resnet18.md#t1)" in files["tables/overview.md"]
    assert "[+1.00 [+0.43, +1.57]](#t1)" in files["tables/imagenet_resnet18.md"]


def test_what_is_the_papers_or_a_setting_leads_nowhere() -> None:
    overview = results_folder.render(build.everything())["tables/overview.md"]
    (papers,) = (line for line in overview.splitlines() if line.startswith("| VGG-16 "))
    assert papers.split("|")[-2].strip() == "31.5 to 27.2 top-1 error %, ImageNet: +4.3 (+13.7 %)"
    page = results_folder.render(build.utterances())["tables/librispeech_deepspeech2.md"]
    first, epochs = next(line for line in page.splitlines() if line.startswith("| S, iteration 1 ")).split("|")[1:3]
    assert "](" not in first + epochs


def test_what_several_groups_give_leads_to_the_overview() -> None:
    both = [*build.planned(), *build.planned((0.5, 0.8, 0.6, 0.9, 0.7), row="imagenet_resnet50")]
    assert re.search(
        r"the gain is \[\+.*? of the claim \[.*?\]\]\(tables/overview\.md\)", results_folder.render(both)["README.md"]
    )


def test_the_page_of_the_arms_sets_what_was_found_beside_what_is_claimed() -> None:
    page = results_folder.render(build.everything())["tables/arms.md"]
    parts = dict(
        zip(
            headings := re.findall(r"^## (.*)$", page, re.MULTILINE),
            re.split(r"^## .*$", page, flags=re.MULTILINE)[1:],
            strict=True,
        )
    )
    assert len(headings) == len(set(headings)) == len({arm.listed or arm.label for arm in ARMS.values()})
    for arm in ARMS.values():
        part = parts[arm.listed or arm.label]
        assert all(text in part for text in (f"`{arm.name}`", arm.card.source, *arm.card.deviations, *arm.card.unknown))
        for claim in arm.card.claims:
            (line,) = (
                text
                for text in part.splitlines()
                if text.startswith("| ") and text.split("|")[1].strip() == claim.network and claim.where in text
            )
            assert (f"| {claim.gain} *from memory* " in line) == (claim.mark == "M")
    sam = next(line for line in parts["SAM"].splitlines() if "| superseded " in line)
    assert "| SAM   | Control (equal budget) | [+0.80 ± " in sam
    assert sam.endswith("| [3](superseded.md#t4) |")
    assert "2 gradients per step" in parts["SAM"]
    assert "SYNTHETIC" not in page
    assert "sparsity=0.9" not in page
    assert "(tables/arms.md)" in results_folder.render(build.everything())["README.md"]
