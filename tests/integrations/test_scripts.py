"""The scripts of examples/, each run as a reader would run it: alone, in its own folder, on real digits.

`nox -s integrations` runs them with the wheel (DSD_FROM_WHEEL=1). Otherwise they use the checkout.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("digits_*.py"))
FROM_WHEEL = "DSD_FROM_WHEEL" in os.environ

pytest.importorskip("sklearn", reason="scikit-learn is not installed: nox -s integrations")


def python(folder: Path, *words: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": "" if FROM_WHEEL else str(ROOT)}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_they_run_on_what_they_should(tmp_path: Path) -> None:
    place = Path(python(tmp_path, "-c", "import dsd; print(dsd.__file__)").strip())
    assert ("site-packages" in place.parts) == FROM_WHEEL
    assert place.is_relative_to(ROOT / "dsd") != FROM_WHEEL


def test_there_is_one_for_each_framework() -> None:
    names = {script.stem.removeprefix("digits_") for script in SCRIPTS}
    assert names == {"accelerate", "fabric", "fastai", "lightning", "schedulefree", "timm", "transformers"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_half_of_the_weights_are_zero_in_the_middle_phase_alone_and_it_learns(script: Path, tmp_path: Path) -> None:
    needed = script.stem.removeprefix("digits_").replace("fabric", "lightning")
    pytest.importorskip(needed, reason=f"{needed} is not installed: nox -s integrations")
    said = python(tmp_path, str(script))
    found = re.findall(r"epoch (\d): (\d+)% of the weights are zero", said)
    assert found == [(str(epoch), "50" if epoch in (2, 3) else "0") for epoch in range(6)]
    (wrong,) = re.findall(r"wrong test answers: ([\d.]+)%", said)
    assert float(wrong) < 15
