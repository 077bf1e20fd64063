from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.__main__ import main
from benchmarks.analysis.trial_priority import stand
from benchmarks.campaign.trial import Resources, Result, Trial
from benchmarks.cli import engines, evidence, recorded_command
from benchmarks.cli.console import CONSOLE
from benchmarks.cli.options import Evidence, Run
from benchmarks.evidence_plan import SECONDARY, WANTED, Wanted
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.rows import ROWS
from benchmarks.training import lock

RECORDS = ROOT / "results" / "records"
RESNET18 = next(one for one in WANTED if one.row == "imagenet_resnet18")
ARMS = ("control", "dsd", "llr")
SMALL = dataclasses.replace(RESNET18, arms=ARMS)


def trial(seed: int, **changed: object) -> Record:
    """A record with the facts of a planned trial and the numbers of a trial of suite 0.1."""
    old = next(one for one in store.read_all(RECORDS) if one.row == "imagenet_resnet18" and {*ARMS} <= {*one.arms})
    facts = {
        "id": f"trial-{seed}",
        "seed": seed,
        "numerics": ROWS[SMALL.row].numerics,
        "recipe_hash": SMALL.recipe.hash(),
        "data": old.data.model_copy(update={"name": SMALL.data, "subset": 1.0}),
        "arms": {name: old.arms[name] for name in ARMS},
        "interruptions": 0,
    }
    return old.model_copy(update=facts | changed)


def test_the_plan_runs_nothing_and_says_what_each_row_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CONSOLE, "width", 160)
    assert evidence.evidence(Evidence(data=tmp_path / "absent", plan=True, out=RECORDS.parent)) == 0
    said = capsys.readouterr().out
    assert "half the claim" in said
    assert all(ROWS[one.row].title in said for one in WANTED)


def test_rows_can_be_chosen_and_a_misspelt_one_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evidence.evidence(Evidence(data=tmp_path, plan=True, out=tmp_path, rows=("imagenet_vgg16",))) == 0
    said = capsys.readouterr().out
    assert "VGG-16" in said
    assert "ResNet" not in said
    with pytest.raises(ValueError, match="did you mean 'imagenet_vgg16'"):
        evidence.evidence(Evidence(data=tmp_path, plan=True, out=tmp_path, rows=("imagenet_vgg",)))


def test_a_trial_that_another_process_is_at_counts_as_taken_as_long_as_it_holds_the_lock(tmp_path: Path) -> None:
    given = Evidence(data=tmp_path / "data", out=tmp_path)
    command = recorded_command.command("run", evidence.options(SMALL, given.data, 1, tmp_path))
    with lock.held(tmp_path / "checkpoints" / "some-trial", command):
        running = evidence.running_elsewhere(given, tmp_path, [SMALL])
        assert running == {(SMALL, 1)}
        (one,) = stand([trial(0)], [SMALL], running)
        assert (one.have, one.running, one.next_seed) == ({0}, {1}, 2)
        assert "1 of 5, 1 running" in [*evidence.plan_table([one], None).columns[2].cells]
    # A killed process may leave its lock file and the file that names its owner.
    folder = tmp_path / "checkpoints" / "another-trial"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "owner.json").write_text(json.dumps({"pid": 1, "host": "h", "since": "s", "command": command}))
    assert evidence.running_elsewhere(given, tmp_path, [SMALL]) == set()


@pytest.fixture
def no_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not change the priority and threads of this process, which runs further tests."""
    monkeypatch.setattr(evidence, "_give_way", lambda gpu: None)


@pytest.mark.usefixtures("no_priority")
def test_a_trial_that_another_process_took_first_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def run(options: Run) -> int:
        asked.append(options.first_seed)
        if options.first_seed < 2:
            raise lock.TakenError("another process is running this trial")
        return 130

    monkeypatch.setattr(engines.run, "run", run)
    (tmp_path / SMALL.data).mkdir()
    assert evidence.evidence(Evidence(data=tmp_path, out=tmp_path), (SMALL,)) == 130
    assert asked == [0, 1, 2]


def test_absent_data_sets_are_all_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "flickr8k").mkdir()
    with pytest.raises(ValueError, match=r"missing .*tiny-imagenet-50, .*squeezenet1_0.*noisy-digits"):
        evidence.evidence(Evidence(data=tmp_path, out=tmp_path))


@pytest.mark.usefixtures("no_priority")
def test_the_missing_trial_is_run_with_the_flags_of_its_group_and_a_stop_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Run] = []
    monkeypatch.setattr(engines.run, "run", lambda options: asked.append(options) or 130)
    wanted = dataclasses.replace(RESNET18, row="imagenet_vgg16", label_noise=0.2)
    (tmp_path / "tiny-imagenet-50").mkdir()
    assert evidence.evidence(Evidence(data=tmp_path, out=tmp_path), (wanted,)) == 130
    (options,) = asked
    assert (options.row, options.scale, options.first_seed, options.seeds) == ("imagenet_vgg16", "small", 0, 1)
    assert (options.subset, options.label_noise, options.arms) == (1.0, 0.2, wanted.arms)
    assert options.data == tmp_path / "tiny-imagenet-50"
    assert options.save_weights
    assert not evidence.options(wanted, tmp_path, 1, None).save_weights  # only for the first seed


@pytest.mark.usefixtures("no_priority")
def test_a_run_that_leaves_nothing_behind_is_not_asked_for_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(engines.run, "run", lambda options: asked.append(options.first_seed) or 0)
    (tmp_path / SMALL.data).mkdir()
    with pytest.raises(ValueError, match=r"seed 0 of ResNet-18 ran but left no record that counts in "):
        evidence.evidence(Evidence(data=tmp_path, out=tmp_path), (SMALL,))
    assert asked == [0]


def test_a_worker_gives_way_to_other_work_on_a_cpu_and_not_beside_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    nice, threads = [0], []

    def renice(by: int) -> int:
        nice[0] += by
        return nice[0]

    monkeypatch.setattr(evidence.os, "nice", renice)
    monkeypatch.setattr(evidence.torch, "set_num_threads", threads.append)
    evidence._give_way("H200")
    assert (nice, threads) == ([0], [])
    evidence._give_way(None)
    evidence._give_way(None)  # the second call changes nothing
    assert (nice, threads) == ([19], [1, 1])


def test_the_plan_of_a_group_is_its_title_recipe_and_claim() -> None:
    assert dataclasses.replace(RESNET18, label_noise=0.2).title == "ResNet-18 (20% wrong labels)"
    assert dataclasses.replace(RESNET18, arms=(*RESNET18.arms, "swa")).title == "ResNet-18 (sensitivity)"
    assert RESNET18.title == "ResNet-18"  # the arms with the text's D2 are not sensitivity arms
    assert isinstance(RESNET18, Wanted)


@pytest.mark.usefixtures("no_priority")
def test_several_trials_at_a_time_are_each_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / SMALL.data).mkdir()
    records, done = {seed: trial(seed) for seed in (2, 4)}, []
    # By seed: taken by another process; full disk; finished; killed too often; finished.
    ends = {0: 75, 1: 1, 2: 0, 3: -9, 4: 0}

    def submit(trials: Iterable[Trial], backend: str, **options: object) -> Iterator[Result]:
        assert (backend, options["jobs"]) == ("local", 2)
        for one in trials:
            seed = int(one.title.split()[-1])
            assert one.command[3:5] == ("run", "imagenet_resnet18")
            if ends[seed] == 0:
                done.append(records[seed])
            yield Result(one, ends[seed], 1, "here", 60.0)

    (tmp_path / "out" / "records").mkdir(parents=True)
    monkeypatch.setattr(engines, "submit", submit)
    monkeypatch.setattr(evidence.store, "read_all", lambda folder: list(done))
    given = Evidence(data=tmp_path, out=tmp_path / "out", jobs=2)
    assert evidence.evidence(given, (SMALL,)) == 1
    said = capsys.readouterr().out
    ending = r"^ResNet-18 seed (\d): (.*)$"
    told = [found for found in re.findall(ending, said, re.MULTILINE) if not found[1].startswith("starts")]
    assert told == [
        ("0", "another process is running it, or has just run it on here after 60 s"),
        ("1", "failed on here after 60 s"),
        ("2", "finished on here after 60 s"),
        ("3", "killed by signal 9 on here after 60 s"),
        ("4", "finished on here after 60 s"),
    ]


def test_a_trial_without_a_result_of_its_command_is_reported_with_the_reason(tmp_path: Path) -> None:
    lost = Result(Trial("ResNet-18 seed 0", (), tmp_path / "log"), -9, 4, "", 0.0, "job 7 was lost (TIMEOUT)")
    assert engines._ending(lost) == "ResNet-18 seed 0: job 7 was lost (TIMEOUT), started 4 times"


@pytest.mark.parametrize(
    ("status", "log", "ending"),
    [
        (2, "error: --data: x is not a folder\n", "invalid input on n1 after 9 s: error: --data: x is not a folder"),
        (1, "seed 0 failed: loss is NaN\nsaved: out\n", "failed on n1 after 9 s: seed 0 failed: loss is NaN"),
        (1, "Traceback:\n  x\nRuntimeError: no memory\n", "failed on n1 after 9 s: RuntimeError: no memory"),
        (1, "torch.OutOfMemoryError: CUDA\n", "failed on n1 after 9 s: torch.OutOfMemoryError: CUDA"),
        (1, "terminated\n", "failed on n1 after 9 s"),
        (0, "error: of an earlier try\n", "finished on n1 after 9 s"),
    ],
)
def test_a_failed_trial_is_reported_with_the_error_in_its_log(
    tmp_path: Path, status: int, log: str, ending: str
) -> None:
    (tmp_path / "log").write_text("noise\n" * 50_000 + log)
    ended = Result(Trial("ResNet-18 seed 0", (), tmp_path / "log"), status, 1, "n1", 9.0)
    assert engines._ending(ended) == f"ResNet-18 seed 0: {ending}"


@pytest.mark.usefixtures("no_priority")
def test_an_interrupted_trial_ends_the_command_with_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(trials: Iterable[Trial], backend: str, **options: object) -> Iterator[Result]:
        yield from (Result(one, 130, 1, "here", 1.0) for one in trials)

    (tmp_path / SMALL.data).mkdir()
    monkeypatch.setattr(engines, "submit", submit)
    assert evidence.evidence(Evidence(data=tmp_path, out=tmp_path, jobs=2), (SMALL,)) == 130


def test_the_plan_as_json_lists_groups_and_trials_in_their_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = Evidence(data=tmp_path / "absent", plan=True, json=True, out=RECORDS.parent)
    assert evidence.evidence(given) == 0
    told = json.loads(capsys.readouterr().out)
    assert [group["row"] for group in told["groups"]] == [one.row for one in (*WANTED, *SECONDARY)]
    missing = sum(of["seeds"] - len({*of["finished"], *of["failed"]}) for of in told["groups"])
    assert len(told["trials"]) == told["total"]["trials"] == missing
    assert told["total"]["hours"] == pytest.approx(sum(one["hours"] for one in told["trials"]))


def test_planned_trials_elsewhere_need_what_a_file_says_and_not_what_this_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    submitted: list[Trial] = []

    def submit(trials: Iterable[Trial], backend: str, **options: object) -> Iterator[Result]:
        assert (backend, options["gpus"], options["slurm"]) == ("submitit", [], {"partition": "cpu"})
        submitted.extend(trials)
        yield from (Result(one, 75, 1, "there", 1.0) for one in submitted)

    monkeypatch.setattr(engines, "submit", submit)
    monkeypatch.setattr(evidence.torch.cuda, "is_available", lambda: True)  # on the submitting machine
    monkeypatch.setattr(evidence.torch.cuda, "get_device_name", lambda: "H200")
    monkeypatch.setattr(evidence.torch.cuda, "device_count", lambda: 1)
    shipped = (ROOT / "benchmarks" / "campaign" / "planned.toml").read_text(encoding="utf-8")
    path = tmp_path / "planned.toml"
    path.write_text(shipped.replace('# partition = "cpu"', 'partition = "cpu"'))
    (tmp_path / SMALL.data).mkdir()
    given = Evidence(data=tmp_path, out=tmp_path / "out", resources=path, backend="submitit")
    assert evidence.PlanQueue(given, (SMALL,)).gpu is None
    assert evidence.evidence(given, (SMALL,)) == 0
    assert [one.title for one in submitted] == [f"ResNet-18 seed {seed}" for seed in range(5)]
    assert {one.resources for one in submitted} == {Resources(cpus=1, memory_gb=8, time_limit_hours=12)}
    path.write_text("[resources]\ncores = 1\n")
    with pytest.raises(ValueError, match=r"planned\.toml: resources\.cores"):
        evidence.evidence(given, (SMALL,))
    assert main(["evidence", "--data", str(tmp_path), "--plan", "--backend", "ray"]) == 2
    assert "--backend ray: this machine does not tell what a trial needs" in capsys.readouterr().err
