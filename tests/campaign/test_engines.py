"""A campaign by every engine, in which a trial is killed between two checkpoints inside S, equals a plain run bit for bit."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.records import progress
from tests.campaign.trainer import CAMPAIGN
from tests.fork_server import ForkServer

pytestmark = pytest.mark.timeout(1800)  # whole campaigns, several processes each

ENGINES = ("ray", "submitit")
_UNLIKE = {"id", "started", "finished", "seconds", "content_hash", "interruptions", "earlier", "command"}
_CLOCK = {"time", "samples_per_second", "seconds_left", "memory", "device_memory"}


START = "import sys; from tests.campaign import trainer; sys.exit(trainer.start(*sys.argv[1:]))"


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
def plain(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of the same trials, run by `run` without any engine or interruption."""
    folder = tmp_path_factory.mktemp("plain")
    words = ("run", "imagenet_resnet18", "--seeds", "2", "--arms", "control", "dsd", "random", "--save-weights")
    options = ("--device", "cpu", "--out", str(folder / "out"))
    done = fork_server.run(START, "train", "nothing", str(folder / "mark"), *words, *options)
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
    engine: str, action: str, plain: Path, tmp_path: Path, fork_server: ForkServer
) -> None:
    if engine in ENGINES and importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed here: `nox -s engines` runs this in an environment that has it")
    (tmp_path / "campaign.toml").write_text(CAMPAIGN)
    out = tmp_path / "out"
    words = ["evidence", "--campaign", str(tmp_path / "campaign.toml"), "--out", str(out), "--backend", engine]
    jobs = ["--jobs", "2"] if engine == "local" else []
    done = fork_server.run(START, "drive", action, str(tmp_path / "mark"), *words, *jobs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "mark").exists(), "no trial came to S"
    interruptions = [json.loads(path.read_bytes())["interruptions"] for path in (out / "records").glob("*.json")]
    assert sorted(interruptions) == [0, 1]
    assert records(out) == records(plain)
    assert weights(out) == weights(plain)
    assert curves(out) == curves(plain)
    assert "started 2 times" in done.stdout or action in ("kill_both", "kill_worker", "time_limit"), done.stdout
    again = fork_server.run(START, "drive", "nothing", str(tmp_path / "mark"), *words, "--plan", "--json")
    assert {state["state"] for state in json.loads(again.stdout)["states"]} == {"finished"}
