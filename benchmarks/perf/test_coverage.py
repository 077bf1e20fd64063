"""Check the coverage of the crossed interval against coverage.json, with fewer replications."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from benchmarks.perf import coverage, coverage_table

REPLICATIONS = 1000


@pytest.mark.timeout(1200)
def test_coverage(benchmark: Any) -> None:
    """Simulate every cell. `python -m benchmarks.perf.coverage` uses more replications and writes the page."""
    cells = benchmark.pedantic(lambda: list(coverage.simulate(REPLICATIONS)), rounds=1)
    saved = json.loads((coverage.HERE / "coverage.json").read_text(encoding="utf-8"))["cells"]
    assert len(cells) == len(saved)
    for cell, before in zip(cells, saved, strict=True):
        error = math.sqrt(before["coverage"] * (1 - before["coverage"]) / REPLICATIONS)
        assert abs(cell["coverage"] - before["coverage"]) < 5 * error, cell
    planned = [cell for cell in cells if cell["n"] >= coverage_table.PLANNED]
    benchmark.extra_info["width / an oracle's, widest cell"] = max(cell["width"] for cell in planned)
    lowest = min(cell["coverage"] for cell in planned)
    print(f"\nlowest coverage of {len(planned)} cells: {100 * lowest:.1f} %")  # noqa: T201 - the figure
