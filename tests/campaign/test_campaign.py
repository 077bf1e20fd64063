"""A campaign file: errors, the trials left to run, their cost, and the Python API."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ROOT, api
from benchmarks.__main__ import main
from benchmarks.campaign import file
from benchmarks.campaign.trial import PROGRAM, Resources
from benchmarks.cli import campaign, option_checks
from benchmarks.cli.options import Evidence, Run
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.rows import ROWS
from benchmarks.training import lock

PAPER, PLANNED = (ROOT / "benchmarks" / "campaign" / name for name in ("paper.toml", "planned.toml"))
SMOKE = """
scale = "smoke"
seeds = [0, 2]
arms = ["control", "dsd", "llr"]
price = 3.0
[resources]
cpus = 2
[rows.imagenet_resnet18]
[rows.flickr8k_neuraltalk]
seeds = 1
expected_hours = 0.5
options = { subset = 0.5 }
"""


@pytest.fixture
def smoke(tmp_path: Path) -> Path:
    path = tmp_path / "smoke.toml"
    path.write_text(SMOKE)
    return path


def finished(options: Run) -> Record:
    """A record of the trial of `options`, with the numbers of another trial."""
    old = store.read(next((ROOT / "tests" / "golden" / "records").glob("imagenet_resnet18-smoke-*.json")))
    row = ROWS[options.row]
    facts: dict[str, Any] = {
        "seed": options.first_seed,
        "numerics": row.numerics,
        "recipe_hash": row.recipe(options.scale).hash(),
        "custom": [],
        "interruptions": 0,
        "arms": dict.fromkeys(options.arms, old.arms["control"]),
        "cost": old.cost.model_copy(update={"seconds": 1800.0}),
        "data": old.data.model_copy(update={"subset": 1.0}),
    }
    return old.model_copy(update=facts)


def test_the_paper_campaign_is_every_row_with_arms_that_it_takes() -> None:
    paper = file.read(PAPER)
    assert list(paper.rows) == list(ROWS)
    assert (paper.scale, paper.resources.gpus) == ("paper", 1)
    for name in paper.rows:
        assert len(paper.seeds_of(name)) == 5
        for arm in paper.rows[name].arms or paper.arms:
            assert option_checks.ARMS[arm].refusal(ROWS[name].recipe("paper")) == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("scale = ", "Invalid value"),
        ('scale = "smoke"\nseed = 3\n[rows]', "seed: Extra inputs"),
        ('scale = "large"\n[rows]', "scale: Input should be"),
        ('scale = "smoke"\n[resources]\ngpu = 1\n[rows]', "resources.gpu: "),
        ('scale = "smoke"\n[resources]\nhours = 1\n[rows]', "resources.hours: "),  # a time limit, not an expected time
        ('scale = "smoke"\n[resources]\ngpus = 4\n[rows]', "resources.gpus: Input should be less"),
        ('scale = "smoke"\n[rows.imagenet_vgg16]\ndatas = "x"', "rows.imagenet_vgg16.datas: Extra"),
        ('scale = "smoke"\n[rows.imagenet_vgg]', "did you mean 'imagenet_vgg16'"),
        ('scale = "smoke"\n[rows.imagenet_vgg16]\noptions = { subst = 0.1 }', "rows.imagenet_vgg16.options: "),
        ('scale = "small"\n[rows.imagenet_vgg16]\n', "--scale small needs --data"),
    ],
)
def test_a_mistake_is_named_in_one_line(
    text: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.toml").write_text(text)
    assert main(["evidence", "--campaign", str(tmp_path / "c.toml"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert named in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_trials_are_ordered_by_seed_and_the_finished_and_failed_are_left_out(
    smoke: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = campaign.CampaignQueue(Evidence(campaign=smoke, out=tmp_path / "out"))
    runs = [planned.options for planned in queue.left()]
    assert [(one.row, one.first_seed) for one in runs] == [
        ("imagenet_resnet18", 0),
        ("flickr8k_neuraltalk", 0),
        ("imagenet_resnet18", 2),
    ]
    assert [one.hours for one in queue.left()] == [None, 0.5, None]
    records = [finished(runs[0])]
    monkeypatch.setattr(campaign.store, "read_all", lambda folder: records)
    (tmp_path / "out" / "records").mkdir(parents=True)
    assert [(one.options.first_seed, one.hours) for one in queue.left()] == [(0, 0.5), (2, 0.5)]
    records[0] = records[0].model_copy(update={"status": "failed", "arms": {}})
    assert [one.options.first_seed for one in queue.left()] == [0, 2]
    for other in ({"numerics": "imagenet 0"}, {"custom": ["subset"]}, {"recipe_hash": "0" * 12}, {"arms": {}}):
        records[0] = finished(runs[0]).model_copy(update=other)
        assert len(queue.left()) == 3
    on_gpu = records[0].hardware.model_copy(update={"gpu": "NVIDIA H200"})
    records[0] = finished(runs[0]).model_copy(update={"hardware": on_gpu})
    assert [one.hours for one in queue.left()] == [0.5, None]  # times on other hardware are not used


def test_a_trial_that_another_process_is_running_is_not_submitted(smoke: Path, tmp_path: Path) -> None:
    queue = campaign.CampaignQueue(Evidence(campaign=smoke, out=tmp_path / "out"))
    options = queue.left()[0].options
    command = campaign.recorded_command.command("run", options)
    with lock.held(tmp_path / "out" / "checkpoints" / "some-trial", command):
        assert [(one.options.row, one.options.first_seed) for one in queue.left()] == [
            ("flickr8k_neuraltalk", 0),
            ("imagenet_resnet18", 2),
        ]


def test_plan_dry_run_and_json_say_the_same(smoke: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evidence", "--campaign", str(smoke), "--out", str(tmp_path / "out"), "--jobs", "2"]
    assert main([*words, "--plan", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"imagenet_resnet18 +2 +0 +0 +0 +2 +unknown", shown)
    assert f"--arms control dsd llr --subset 0.5 --out {tmp_path / 'out'}" in shown
    assert (
        "left: 3 trials, each on 2 cores, 2 of them of unknown time (`estimate` measures it), 1.0 core-hours, "
        "15 min with 2 at a time, cost 1.50" in shown
    )
    assert main([*words, "--plan", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["title"] for one in told["trials"]] == ["ResNet-18 seed 0", "NeuralTalk seed 0", "ResNet-18 seed 2"]
    assert (told["total"]["trials"], told["total"]["hours"], told["total"]["cost"]) == (3, 0.5, 1.5)
    assert not (tmp_path / "out").exists()
    assert main([*words, "--rows", "imagenet_vgg16", "--plan"]) == 2


def test_flags_that_make_no_sense_together_are_refused(smoke: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, named in (
        (["--json"], "--json: expected --plan"),
        (["--jobs", "0"], "--jobs 0"),
        (["--jobs", "2", "--backend", "ray"], "--jobs 2"),
        (["--hours", "2", "--backend", "submitit"], "--hours 2"),
        (["--campaign", "none.toml"], "--campaign none.toml: no such file"),
        (["--resources", str(PLANNED)], f"--resources {PLANNED}: {smoke} says what its trials need"),
    ):
        assert main(["evidence", "--campaign", str(smoke), *words]) == 2
        assert named in capsys.readouterr().err


def test_the_api_gives_what_the_command_line_runs(smoke: Path, tmp_path: Path) -> None:
    trials = api.campaign(smoke, out=tmp_path / "out")
    assert [one.title for one in trials] == ["ResNet-18 seed 0", "NeuralTalk seed 0", "ResNet-18 seed 2"]
    assert trials[0].resources == Resources(cpus=2)
    assert trials[1].hours == 0.5
    options = Run("imagenet_resnet18", seeds=1, first_seed=2, arms=("control", "dsd", "llr"), out=tmp_path / "out")
    alone = api.trial(options, Resources(cpus=2))
    assert alone == trials[2]
    words = ("run", "imagenet_resnet18", "--seeds", "1", "--first-seed", "2", "--arms", "control", "dsd", "llr")
    assert alone.command == (*PROGRAM, *words, "--out", str(tmp_path / "out"))
    with pytest.raises(ValueError, match="did you mean"):
        api.trial(dataclasses.replace(options, row="imagenet_resnet81"))


def test_the_examples_of_the_api_name_what_exists() -> None:
    assert api.__doc__ is not None
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    imports = re.findall(r"from benchmarks\.api import (.*)", api.__doc__ + readme)
    assert len(imports) == 5
    for name in ", ".join(imports).split(", "):
        assert name in api.__all__
        assert hasattr(api, name)


def test_the_readme_documents_every_event_and_field_of_a_progress_file() -> None:
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Watch a trial")[2].partition("\n## ")[0]
    source = (ROOT / "benchmarks" / "training" / "progress_writer.py").read_text(encoding="utf-8")
    written = re.findall(r"^ +(\w+)=", source, re.MULTILINE) + re.findall(r'_line\("(\w+)"', source)
    assert {"arm", "trial", "phase_end"} <= set(written)
    for name in written:
        assert f"`{name}`" in section, name
