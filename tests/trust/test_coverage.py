import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.trust import coverage, coverage_table
from tests.trust.worlds import Binary, Corpus

REPLICATIONS = 200
SAVED = json.loads((coverage.HERE / "coverage.json").read_text(encoding="utf-8"))


def test_the_page_is_what_the_cells_say() -> None:
    page = (coverage.HERE / "coverage.md").read_text(encoding="utf-8")
    assert page == coverage_table.render(SAVED)


@pytest.mark.timeout(1200)
def test_fewer_replications_give_the_saved_coverage() -> None:
    cells = list(coverage.simulate(REPLICATIONS))
    assert len(cells) == len(SAVED["cells"])
    for cell, before in zip(cells, SAVED["cells"], strict=True):
        error = math.sqrt(before["coverage"] * (1 - before["coverage"]) / REPLICATIONS)
        assert abs(cell["coverage"] - before["coverage"]) < 5 * error, cell


def test_every_cell_is_there() -> None:
    names = ("metric", "examples", "interaction", "seeds", "ratio", "n")
    found = {tuple(cell[name] for name in names) for cell in SAVED["cells"]}
    wanted = product(
        coverage.WORLDS, coverage.TAILS, coverage.INTERACTIONS, coverage.TAILS, coverage.RATIOS, coverage.COUNTS
    )
    assert found == set(wanted)
    assert len(SAVED["cells"]) == len(found)


def test_cells_of_planned_seeds_reach_the_target() -> None:
    planned = [cell for cell in SAVED["cells"] if cell["n"] >= coverage_table.PLANNED]
    assert min(cell["coverage"] for cell in planned) >= coverage_table.COVERAGE
    assert max(cell["width"] for cell in planned) <= coverage_table.WIDTH


def test_the_t_interval_over_five_gains_is_a_third_wider_than_the_oracles() -> None:
    assert coverage_table.limit(5) == pytest.approx(2.776445 * 0.939986 / 1.959964, abs=1e-5)  # t, c4, z of tables


def test_cells_come_out_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(coverage, "WORLDS", {"binary": Binary})
    monkeypatch.setattr(coverage, "INTERACTIONS", (1.0,))
    monkeypatch.setattr(coverage, "HERE", tmp_path)
    coverage.main(["20"])
    cells = json.loads((tmp_path / "coverage.json").read_text(encoding="utf-8"))["cells"]
    coverage.main(["20"])
    assert json.loads((tmp_path / "coverage.json").read_text(encoding="utf-8"))["cells"] == cells
    assert len(cells) == 2 * 2 * 4 * 3


@pytest.mark.parametrize(
    "world", [Binary("light", 0.5), Binary("heavy", 1.0), Corpus(1, "heavy", 0.5), Corpus(4, "light", 1.0)]
)
def test_a_worlds_true_gain_is_its_mean(world: Binary | Corpus) -> None:
    generator = np.random.default_rng(0)
    drawn = world.draw(200, generator)
    effects = generator.standard_normal((200, 10))
    values, parts = world.gains(drawn, effects)
    error = values.mean(axis=1).std() / np.sqrt(200)
    assert (values - effects).mean() == pytest.approx(world.truth, abs=4 * error)
    assert parts.mean(axis=-1) == pytest.approx(values, abs=0.3)  # equal except for the ratio's bias
