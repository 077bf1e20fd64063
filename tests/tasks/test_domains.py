"""What holds of every domain, whichever folders there are."""

from __future__ import annotations

from pathlib import Path

import grimp
import pytest

from benchmarks.rows import DOMAINS, ROWS

TASKS = Path(__file__).parents[2] / "tasks"
FOLDERS = sorted(path.parent.name for path in TASKS.glob("*/__init__.py"))


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("tasks", cache_dir=None)


def test_every_folder_is_a_domain_with_rows_of_its_own() -> None:
    assert sorted(DOMAINS) == FOLDERS
    assert sorted({row.domain for row in ROWS.values()}) == FOLDERS
    assert all(name.startswith(f"{row.domain}_") for name, row in ROWS.items())


@pytest.mark.parametrize("domain", FOLDERS)
def test_nobody_in_tasks_imports_a_domain_but_itself(graph: grimp.ImportGraph, domain: str) -> None:
    package = f"tasks.{domain}"
    for module in {package, *graph.find_descendants(package)}:
        importers = graph.find_modules_that_directly_import(module)
        assert not {name for name in importers if not f"{name}.".startswith(f"{package}.")}, module
