"""examples/digits.py from end to end: real data, two seeds, few epochs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: nox -s integrations")

ROOT = Path(__file__).parents[2]


def test_both_arms_learn_and_are_compared() -> None:
    done = subprocess.run(
        [sys.executable, "examples/digits.py", "--seeds", "2", "--epochs", "6"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = re.findall(r"^ +(\d) +([\d.]+) +([\d.]+)$", done.stdout, re.MULTILINE)
    assert [seed for seed, _, _ in rows] == ["0", "1"]
    assert all(float(error) < 30 for _, *errors in rows for error in errors)
    gains = [float(control) - float(pruned) for _, control, pruned in rows]
    said = re.search(
        r"^gain of DSD: ([+-][\d.]+) points \(standard error [\d.]+, 2 seeds\)$", done.stdout, re.MULTILINE
    )
    assert said is not None
    assert float(said[1]) == pytest.approx(sum(gains) / 2, abs=0.011)
