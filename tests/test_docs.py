"""The library's site: all its pages and links exist. `nox -s docs` builds it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NAV = re.findall(r"^  - [^:]+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
PROSE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)  # code blocks, whose brackets are not links


def text(page: Path) -> str:
    return PROSE.sub("", page.read_text(encoding="utf-8"))


def test_the_menu_names_every_page_and_every_page_is_there() -> None:
    assert len(NAV) == len(set(NAV)) >= 6
    assert sorted(NAV) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_every_relative_link_and_inclusion_leads_to_a_file() -> None:
    found = 0
    for page in DOCS.rglob("*.md"):
        links = [target for target in re.findall(r"\]\(([^)#\s]+)", text(page)) if not target.startswith("http")]
        links += re.findall(r"include-markdown \"([^\"]+)\"", text(page))
        for target in links:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
        for target in re.findall(r"--8<-- \"([^\"]+)\"", page.read_text(encoding="utf-8")):
            assert (ROOT / target).is_file(), f"{page.name} includes {target}"
        found += len(links)
    assert found > 10


def test_inclusions_begin_and_end_where_the_document_has_such_a_line() -> None:
    for page in DOCS.rglob("*.md"):
        for target, marks in re.findall(r"include-markdown \"([^\"]+)\"(.*?)%}", text(page)):
            for mark in re.findall(r"(?:start|end)=\"([^\"]+)\"", marks):
                assert (page.parent / target).read_text(encoding="utf-8").count(f"\n{mark}\n") == 1, (page.name, mark)


def test_the_package_index_can_follow_every_link_of_the_package_readme() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text(ROOT / "dsd/README.md")):
        assert target.startswith(("https://", "#")), f"{target} leads nowhere on a package index"


def test_the_library_promises_name_tests_that_exist() -> None:
    promises = re.findall(r"^\| \*\*.*\| (`tests/.*`) \|$", text(DOCS / "promises.md"), re.MULTILINE)
    assert len(promises) == 8
    for tests in promises:
        for test in re.findall(r"`([^`]+)`", tests):
            assert (ROOT / test).exists(), test


def test_the_tutorial_shows_the_script_and_lines_of_it() -> None:
    script = [line.strip() for line in (ROOT / "examples/digits.py").read_text(encoding="utf-8").splitlines()]
    tutorial = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"three lines that matter\n\n```python\n(.*?)```", tutorial, re.DOTALL)
    lines = iter(script)
    assert all(line in lines for line in shown.splitlines())
    assert '\n--8<-- "examples/digits.py"\n' in tutorial


def test_the_reference_has_every_public_name() -> None:
    exported = re.search(r"__all__ = \[(.*?)\]", (ROOT / "dsd/__init__.py").read_text(encoding="utf-8"), re.DOTALL)
    assert exported is not None
    names = set(re.findall(r'"(\w+)"', exported[1]))
    shown = set(re.findall(r"^::: dsd\.(\w+)$", text(DOCS / "reference.md"), re.MULTILINE))
    assert names - shown == {"Masks"}  # a mapping from name to mask
    assert shown <= names
