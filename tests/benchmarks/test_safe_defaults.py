"""Commands with few or wrong arguments: they do no harm, and errors come at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from benchmarks.analysis import groups
from benchmarks.arms.arm import ArmPlan
from benchmarks.arms.registry import ARMS, arm_plan
from benchmarks.cli import display, evidence, option_checks
from benchmarks.cli import run as run_command
from benchmarks.cli.options import Estimate, Evidence, Run
from benchmarks.records import schema, store
from benchmarks.rows import ROWS
from benchmarks.training import plan, trial
from benchmarks.training.interruption import Stop
from benchmarks.training.learner import Learner, make_optimizer
from tasks.recipe import SCALES, Scale
from tests.benchmarks import toy
from tests.benchmarks.test_evidence import SMALL

ROOT = Path(__file__).parents[2]
ROW = "imagenet_resnet18"
CAPTIONS = "flickr8k_neuraltalk"


@pytest.mark.parametrize("scale", SCALES)
def test_a_run_writes_to_runs_unless_results_are_named(scale: Scale) -> None:
    assert option_checks.folder(Run(ROW, scale=scale)) == Path("runs")
    assert option_checks.folder(Estimate(ROW, scale=scale)) == Path("runs")
    assert option_checks.folder(Run(ROW, scale=scale, out=Path("results"))) == Path("results")
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/runs/" in ignored


def test_evidence_names_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[Run] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_command, "run", lambda options: told.append(options) or 2)
    monkeypatch.setattr(evidence, "require", lambda root, wanted: None)
    monkeypatch.setattr(evidence, "_give_way", lambda gpu: None)
    assert evidence.evidence(Evidence(data=tmp_path), [SMALL]) == 2
    assert [one.out for one in told] == [Path("results")]


WRONG = {
    "did you mean 'imagenet_resnet18'": ["run", "imagenet_resnet81"],
    "rows: imagenet_googlenet, ": ["estimate", "zzz"],
    "needs --data DIR with train/WNID": ["run", ROW, "--scale", "small"],
    "--data: no/such is not a folder": ["run", ROW, "--scale", "small", "--data", "no/such"],
    "--data: README.md is not a folder": ["verify", ROW, "--data", "README.md"],
    "subset=0.0": ["run", ROW, "--subset", "0"],
    "subset=nan": ["evaluate", ROW, "--model", "README.md", "--subset", "nan"],
    "at least one seed": ["run", ROW, "--seeds", "0"],
    "must include 'control'": ["run", ROW, "--arms", "dsd"],
    "dsd-keep is compared with control-keep": ["run", ROW, "--arms", "control", "dsd-keep"],
    "is the recipe itself, or above the rate of S": [
        "run",
        "librispeech_deepspeech",
        "--arms",
        "control",
        "control-text",
        "dsd-text",
    ],
    "sparsity must lie in": ["run", ROW, "--sparsity", "1.5"],
    "--lr-factor -1.0": ["run", ROW, "--lr-factor", "-1"],
    "label_noise=2.0": ["run", ROW, "--label-noise", "2"],
    f"--label-noise: {CAPTIONS} has no such flag; rows that have it: imagenet_googlenet, ": [
        "run",
        CAPTIONS,
        "--label-noise",
        "0.2",
    ],
    "no pictures are set aside for probes": ["run", ROW, "--probe"],
    "--workers -1": ["run", ROW, "--workers", "-1"],
    f"--precision: {CAPTIONS} has no such flag; rows that have it: imagenet_googlenet, ": [
        "run",
        CAPTIONS,
        "--precision",
        "bfloat16",
    ],
    "--dense: 'nowhere.pt' is neither a file": ["run", ROW, "--dense", "nowhere.pt"],
    "--dense: 'tests' is a folder": ["run", ROW, "--dense", "tests"],
    "--model: 'nowhere.pt' is neither a file": ["evaluate", ROW, "--model", "nowhere.pt"],
    f"--probe: {CAPTIONS} has no such flag; rows that have it: ": ["run", CAPTIONS, "--probe"],
    f"--network: {ROW} has no such flag; rows that have it: {CAPTIONS}": ["run", ROW, "--network", "vgg16"],
    "no use at smoke scale": ["run", CAPTIONS, "--weights", "README.md"],
    "--out README.md/x: README.md is not a folder": ["run", ROW, "--out", "README.md/x"],
    "--out no/such: no such folder": ["status", "--out", "no/such"],
    "verify takes either ROW": ["verify"],
    "--record no.json: no such file": ["verify", "--record", "no.json"],
    "did you mean 'imagenet_vgg16'": ["evidence", "--plan", "--rows", "imagenet_vgg"],
    "--data no/such: no such folder": ["evidence", "--data", "no/such"],
    "--hours -1.0": ["evidence", "--hours", "-1"],
    "expected a folder called records": ["tables", "--records", "no/such"],
    "is neither a record nor a folder": ["compare", "no", "such"],
    "there is no flag --seedz (did you mean --seeds?)": ["run", ROW, "--seedz", "3"],
    "there is no flag --lr (did you mean --lr-factor?); there is no flag --x": ["run", ROW, "--lr", "1", "--x"],
    "there is no flag --dat (did you mean --data?)": ["verify", ROW, "--dat=no/such"],
    "there is no flag --modl (did you mean --model?)": ["evaluate", ROW, "--modl", "x"],
    "there is no flag --scale\n": ["tables", "--scale", "small"],
    "there is no place for '2'": ["estimate", ROW, "--seeds", "1", "2"],
    "--scale 'smal': expected one of smoke, small, paper (did you mean small?)": ["run", ROW, "--scale", "smal"],
    "--device 'gpu': expected one of auto, cpu, cuda, cuda:K (K: the number of a GPU, from 0)\n": [
        "run",
        ROW,
        "--device",
        "gpu",
    ],
    "--arms 'lr': expected one of dsd, control, llr, ": ["run", ROW, "--arms", "control", "lr"],
    "NAME 'flick': expected one of tiny-imagenet-50, ": ["prepare", "flick", "--from", "."],
    "--seeds: expected a whole number, got 'x'": ["run", ROW, "--seeds", "x"],
    "--subset: expected a number, got 'half'": ["run", ROW, "--subset", "half"],
    "--seeds is missing its value": ["run", ROW, "--seeds"],
    "ROW is missing": ["run"],
    "A and B are missing": ["compare"],
    "--model is missing": ["evaluate", ROW],
    "there is no command 'rn' (did you mean run?)": ["rn", ROW],
    "there is no command '--seeds'; commands: run, ": ["--seeds", "3"],
    "expected a command: run, estimate, ": [],
    "WORLD_SIZE=two": ["run", ROW, "--seeds", "1"],
}


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """The results of wrong command lines and of help, all from one process in which torch cannot be imported."""
    code = """
import contextlib, io, json, os, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise AssertionError("torch is loaded")
sys.meta_path.insert(0, Blocked())
from benchmarks.__main__ import main
found = {}
for words in json.loads(sys.argv[1]):
    out, error = io.StringIO(), io.StringIO()
    os.environ["WORLD_SIZE"] = "two" if words[-2:] == ["--seeds", "1"] else "1"
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            status = main(words)
        except SystemExit as end:
            status = end.code
    found[json.dumps(words)] = status, out.getvalue(), error.getvalue()
print(json.dumps(found))
"""
    lines = [*WRONG.values(), ["run", "--help"], ["evidence", "--help"], ["verify", "--help"]]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(lines)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("message", WRONG)
def test_wrong_input_is_answered_in_one_line_before_torch_is_loaded(answers: dict[str, Any], message: str) -> None:
    status, out, error = answers[json.dumps(WRONG[message])]
    assert status == (1 if "--out README.md" in message else 2)
    assert out == ""
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "evidence", "verify"])
def test_help_lists_rows_and_choices(answers: dict[str, Any], command: str) -> None:
    status, out, _ = answers[json.dumps([command, "--help"])]
    assert status == 0
    for row in ROWS:
        assert row in out
    assert " STR" not in out
    if command == "run":
        assert all(arm in out for arm in ARMS)
        assert "{smoke,small,paper}" in out


def test_beside_a_mask_the_control_is_not_said_to_be_in_d() -> None:
    task = toy.ToyTask()
    spe = task.steps_per_epoch()
    called = {}
    for name in ("control", "dsd", "llr"):
        model = task.model()
        learner = Learner(arm_plan(toy.RECIPE, name, spe), task, model, make_optimizer(toy.RECIPE, model), 10)
        learner.step = 1
        first = display.phase_name(learner)
        learner.step = learner.steps
        called[name] = first, display.phase_name(learner)
    assert called["control"] == called["llr"] == ("unmasked (S)", "unmasked (D2)")
    assert called["dsd"] == ("sparse (S)", "re-dense (D2)")
    dense = Learner(
        ArmPlan("dense", toy.RECIPE.schedule), task, model := task.model(), make_optimizer(toy.RECIPE, model)
    )
    dense.step = 1
    assert display.phase_name(dense) == "dense (D)"


def test_of_two_runs_the_later_is_the_newer_even_where_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = timedelta()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + shift

    for module in (plan, trial):
        monkeypatch.setattr(module, "datetime", Clock)

    def run() -> schema.Record:
        shown = display.Display(run_command.CONSOLE, 100, toy.ROW.metric, 4)
        planned = toy.plan(tmp_path, arms=("control", "dsd"))
        return store.read(trial.Trial(planned, toy.ToyTask(), shown, Stop(), fresh=True).run())

    first = run()
    shift = timedelta(hours=-1)
    second = run()
    (tmp_path / "records" / f"{toy.ROW.name}-smoke-seed0-notes-99999999T999999999Z.json").touch()
    shift = timedelta(days=-400)
    foreign = plan.Plan.ends(toy.plan(tmp_path), "2020-01-01T00:00:00Z")
    (tmp_path / "records" / f"{toy.ROW.name}-smoke-seed0-notes-99999999T999999999Z.json").unlink()
    assert first.finished < second.finished
    assert second.started <= second.finished
    assert foreign > datetime.fromisoformat(second.finished)
    found = plan.ended(toy.plan(tmp_path, arms=("control", "dsd")), toy.ToyTask())
    assert found is not None
    assert found[1].id == second.id
    (one,) = groups.group_records([first, second])
    assert [used.id for used in one.records] == [second.id]
    assert datetime.fromisoformat(second.finished) - datetime.now(UTC) < timedelta(minutes=5)
