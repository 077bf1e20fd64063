"""A campaign by every engine, in which a trial is killed between two checkpoints inside S, equals a plain run bit for bit."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ROOT
from benchmarks.records import progress
from tests.campaign.trainer import CAMPAIGN

pytestmark = pytest.mark.timeout(1800)  # whole campaigns, several processes each

ENGINES = ("ray", "submitit")
_UNLIKE = {"id", "started", "finished", "seconds", "content_hash", "interruptions", "earlier", "command"}
_CLOCK = {"time", "samples_per_second", "seconds_left", "memory", "device_memory"}


def start(role: str, action: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.campaign.trainer", role, action, str(folder / "mark"), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=900)


def records(out: Path) -> dict[int, dict[str, Any]]:
    """Return the records by seed, without times and other fields that may differ."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in _UNLIKE}
        return [strip(item) for item in value] if isinstance(value, list) else value

    found = [json.loads(path.read_bytes()) for path in (out / "records").glob("*.json")]
    assert len({one["seed"] for one in found}) == len(found), "a trial has two records"
    return {one["seed"]: strip(one) for one in found}


def weights(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "weights").iterdir()}


def curves(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Return by trial the evaluations and phase ends in its progress file. A resumed trial must neither repeat nor omit any."""
    return {
        path.stem: [
            {key: value for key, value in line.items() if key not in _CLOCK}
            for line in progress.read(path)
            if line["event"] in ("evaluation", "phase_end")
        ]
        for path in (out / "progress").iterdir()
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the same trials, run by `run` without any engine or interruption."""
    folder = tmp_path_factory.mktemp("plain")
    words = ("run", "imagenet_resnet18", "--seeds", "2", "--arms", "control", "dsd", "random", "--subset", "0.1")
    done = start("train", "nothing", folder, *words, "--save-weights", "--device", "cpu", "--out", str(folder / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(records(folder / "out")) == {0, 1}
    return folder / "out"


@pytest.mark.parametrize(
    ("engine", "action"),
    [
        ("local", "kill_trial"),
        ("ray", "kill_trial"),
        ("ray", "kill_both"),
        ("ray", "kill_worker"),
        ("submitit", "kill_trial"),
        ("submitit", "kill_both"),
        ("submitit", "time_limit"),
    ],
)
def test_a_campaign_with_a_killed_trial_gives_the_records_of_a_plain_run(
    engine: str, action: str, plain: Path, tmp_path: Path
) -> None:
    if engine in ENGINES and importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed here: `nox -s engines` runs this in an environment that has it")
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    out = tmp_path / "out"
    words = ["evidence", "--campaign", str(tmp_path / "campaign.toml"), "--out", str(out), "--backend", engine]
    done = start("drive", action, tmp_path, *words, *(["--jobs", "2"] if engine == "local" else []))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "mark").exists(), "no trial came to S"
    interruptions = [json.loads(path.read_bytes())["interruptions"] for path in (out / "records").glob("*.json")]
    assert sorted(interruptions) == [0, 1]
    assert records(out) == records(plain)
    assert weights(out) == weights(plain)
    assert curves(out) == curves(plain)
    assert "started 2 times" in done.stdout or action in ("kill_both", "kill_worker", "time_limit"), done.stdout
    again = start("drive", "nothing", tmp_path, *words, "--plan", "--json")
    assert {state["state"] for state in json.loads(again.stdout)["states"]} == {"finished"}
