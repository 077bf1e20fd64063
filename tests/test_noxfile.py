from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.rows import ROWS
from tests.benchmarks.test_registry import BLOCK_TORCH

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def sessions() -> dict[str, tuple[str | None, str]]:
    """Return tags and description of each session from `nox -l`, in a process without torch and the suite's other packages."""
    code = BLOCK_TORCH + "from nox.__main__ import main; sys.argv = ['nox', '-l']; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = re.findall(r"^[*-] (\S+)(?: \[(.*?)\])?(?: -> (.+))?$", done.stdout, re.MULTILINE)
    return {name: (tags or None, description) for name, tags, description in lines}


def test_there_is_a_session_per_row_and_per_chore_with_a_line_that_says_what_it_does(
    sessions: dict[str, tuple[str | None, str]],
) -> None:
    chores = {
        "smoke",
        "tests",
        "evidence",
        "resume",
        "lint",
        "tables",
        "data",
        "perf",
        "gpu",
        "lock",
        "integrations",
        "library",
        "engines",
        "docs",
        "package",
    }
    assert set(sessions) == {*ROWS, *chores}
    assert all(description.endswith(".") for _, description in sessions.values())
    assert {row: sessions[row][0] for row in ROWS} == {row: f"train,{row.split('_')[0]}" for row in ROWS}


def test_the_data_session_makes_data_sets_too(tmp_path: Path) -> None:
    command = [
        "nox",
        "-s",
        "data",
        "--",
        "prepare",
        "squeezenet1_0",
        "--from",
        str(tmp_path),
        "--out",
        str(tmp_path / "w"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DSD_SUITE_PYTHON": sys.executable},
    )
    assert done.returncode == 1
    assert f"error: {tmp_path}/compressed_SqueezeNet.net is not there" in done.stdout + done.stderr
