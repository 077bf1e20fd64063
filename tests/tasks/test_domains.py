"""Requirements for every domain folder in tasks/."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import grimp
import pytest

from benchmarks.perf import workloads
from benchmarks.rows import DOMAINS, ROWS
from tests.benchmarks import toy

TASKS = Path(__file__).parents[2] / "tasks"
FOLDERS = sorted(path.parent.name for path in TASKS.glob("*/rows.py"))


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("tasks", cache_dir=None)


def test_every_folder_is_a_domain_with_rows_of_its_own() -> None:
    # "data": code that all domains share.
    assert {path.parent.name for path in TASKS.glob("*/__init__.py")} == {*FOLDERS, "data"}
    assert sorted(DOMAINS) == FOLDERS
    assert sorted({row.domain for row in ROWS.values()}) == FOLDERS
    assert all(name.startswith(f"{row.domain}_") for name, row in ROWS.items())


@pytest.mark.parametrize("domain", FOLDERS)
def test_nobody_in_tasks_imports_a_domain_but_itself(graph: grimp.ImportGraph, domain: str) -> None:
    package = f"tasks.{domain}"
    for module in {package, *graph.find_descendants(package)}:
        importers = graph.find_modules_that_directly_import(module)
        assert not {name for name in importers if not f"{name}.".startswith(f"{package}.")}, module


def test_a_domain_without_a_workload_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = dataclasses.replace(toy.ROW, recipes={**toy.ROW.recipes, "small": toy.RECIPE})
    monkeypatch.setitem(ROWS, row.name, row)
    with pytest.raises(
        ValueError, match=r"toy_row: no generated data for toy; add them to benchmarks/perf/workloads\.py"
    ):
        workloads.task(row.name, tmp_path)
