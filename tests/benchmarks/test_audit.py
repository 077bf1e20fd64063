"""The audit finds a record with inconsistent numbers, by the right check and no other."""

from __future__ import annotations

import dataclasses
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.__main__ import main
from benchmarks.audit.checks import audit, audit_files
from benchmarks.cli.display import Display
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.reporting import results_folder
from benchmarks.training.interruption import Stop
from benchmarks.training.trial import Trial
from dsd.schedule import Phase, Schedule
from tests.benchmarks import toy
from tests.benchmarks.test_trial_outputs import Speaking

pytestmark = pytest.mark.promise(3)

ROOT = Path(__file__).parents[2]
COMMITTED = sorted((ROOT / "results" / "records").glob("*.json"))
Content = dict[str, Any]


def train(out: Path, task: toy.ToyTask, arms: tuple[str, ...] = ("control", "dsd", "llr", "random")) -> Path:
    display = Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH)
    return Trial(toy.plan(out, arms=arms, recipe=task.recipe), task, display, Stop()).run()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """A trial that clips about half of its steps."""
    task = toy.ToyTask(dataclasses.replace(toy.RECIPE, clip_norm=1.0))
    return store.read(train(tmp_path_factory.mktemp("toy"), task))


def statuses(record: Record) -> dict[str, str]:
    return {one.check: one.status for one in audit(record)}


def changed(record: Record, edit: Callable[[Content], object]) -> Record:
    content = record.model_dump()
    edit(content)
    return Record.model_validate(content).sealed()


def failing(record: Record, edit: Callable[[Content], object]) -> list[str]:
    return [check for check, status in statuses(changed(record, edit)).items() if status == "fails"]


def everywhere(arm: Content, **scores: float) -> None:
    """Change the final scores in every place of the record that contains them."""
    for place in (arm["test"], arm["phases"][-1]["test"], arm["curve"][-1]["test"]):
        place.update(scores)


def layer(content: Content) -> Content:
    found: Content = content["arms"]["dsd"]["phases"][0]["mask"][0]
    return found


def point(content: Content, index: int) -> Content:
    found: Content = content["arms"]["dsd"]["histograms"]["points"][index]
    return found


def shift(histogram: Content, by: int) -> None:
    """Move `by` weights from the fullest bin to the exact zeros; the total stays the same."""
    fullest = histogram["counts"].index(max(histogram["counts"]))
    histogram["counts"][fullest] -= by
    histogram["zeros"] += by


def regrown(content: Content) -> Content:
    found: Content = content["arms"]["dsd"]["phases"][1]["regrown"][0]
    return found


def test_every_check_holds_of_a_trial_as_it_was_run(trained: Record) -> None:
    assert statuses(trained) == dict.fromkeys(
        ("identity", "recipe", "schedule", "masks", "clipping", "scores", "bootstrap", "curve", "cost"), "holds"
    )


@pytest.mark.skipif(not COMMITTED, reason="no record is committed under results/records")
@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_every_check_holds_of_the_committed_records(path: Path) -> None:
    found = audit(store.read(path))
    assert [one for one in found if one.status == "fails"] == []
    assert {one.check for one in found if one.status == "not applicable"} <= {"clipping", "masks", "bootstrap"}


@pytest.mark.parametrize(
    ("check", "edit"),
    [
        ("identity", lambda r: r["data"].update(fingerprint="0" * 16)),
        ("identity", lambda r: r.update(custom=["sparsity=0.9"])),
        ("identity", lambda r: r["hardware"].update(processes=2)),
        ("identity", lambda r: r.update(started="2999-01-01T00:00:00Z")),
        ("identity", lambda r: r.update(started="2000-01-01T00:00:00Z", finished="2000-01-01T00:00:01Z")),
        ("recipe", lambda r: r["recipe"]["optimizer"].update(momentum=0.8)),
        ("recipe", lambda r: r["recipe"].pop("clip_norm")),
        ("recipe", lambda r: r["recipe"]["schedule"]["phases"][0].update(epochs=-1)),
        ("recipe", lambda r: r["recipe"].update(batch_size="8")),
        ("schedule", lambda r: r["dense"]["phases"][0].update(last_lr=0.02)),
        ("schedule", lambda r: r["arms"]["llr"]["phases"][1].update(first_lr=0.0011)),
        ("schedule", lambda r: r["arms"]["dsd"]["phases"][1].update(epochs=1.01)),
        ("schedule", lambda r: r["arms"]["control"]["phases"][1].update(kind="redense")),
        ("schedule", lambda r: r["arms"]["dsd"]["curve"][0].update(epoch=0.5)),
        ("schedule", lambda r: r["arms"]["dsd"]["curve"][0].update(lr=0.06)),
        ("schedule", lambda r: r["arms"]["random"]["first_step_in_lr"].pop()),
        ("masks", lambda r: layer(r).update(kept=65)),
        ("masks", lambda r: layer(r).update(zeros=63)),
        ("masks", lambda r: layer(r).update(zeros=65)),
        ("masks", lambda r: layer(r).update(weights=130)),
        ("masks", lambda r: layer(r).update(name="3.weight")),
        ("masks", lambda r: r["arms"]["random"]["phases"][0].update(mask=None)),
        ("masks", lambda r: r["arms"]["dsd"]["phases"][1].update(mask=[layer(r)])),
        ("masks", lambda r: layer(r).update(again=3)),
        ("masks", lambda r: point(r, 0)["counts"].__setitem__(31, point(r, 0)["counts"][31] + 1)),
        ("masks", lambda r: point(r, 2).update(zeros=point(r, 2)["zeros"] + 1)),
        ("masks", lambda r: shift(point(r, 0), 1)),
        ("masks", lambda r: shift(point(r, 1), -1)),
        ("masks", lambda r: shift(point(r, 2), 1)),
        ("masks", lambda r: shift(point(r, 3), 1)),
        ("masks", lambda r: point(r, 1)["counts"].__setitem__(slice(None), point(r, 0)["counts"])),
        ("masks", lambda r: point(r, 4)["counts"].append(0)),
        ("masks", lambda r: r["arms"]["dsd"]["histograms"]["points"].reverse()),
        ("masks", lambda r: r["arms"]["dsd"]["histograms"].update(layer="5.weight", weights=32)),
        ("masks", lambda r: r["arms"]["dsd"]["histograms"].update(limit=-1.0)),
        ("masks", lambda r: regrown(r).update(weights=63)),
        ("masks", lambda r: regrown(r).update(below=65)),
        ("masks", lambda r: regrown(r).update(name="5.weight")),
        ("masks", lambda r: regrown(r).update(below=64, magnitude=regrown(r)["threshold"] * 2)),
        ("masks", lambda r: r["arms"]["dsd"]["phases"][1].update(regrown=None)),
        ("masks", lambda r: r["arms"]["dsd"]["phases"][0].update(regrown=[regrown(r)])),
        ("clipping", lambda r: r["arms"]["dsd"]["phases"][0]["clipping"].update(share=0.33)),
        ("clipping", lambda r: r["arms"]["dsd"]["phases"][0]["clipping"].update(factor=1.01)),
        ("clipping", lambda r: r["dense"]["phases"][0].update(clipping={"share": 0.0, "factor": 0.9})),
        ("scores", lambda r: everywhere(r["arms"]["dsd"], error=r["arms"]["dsd"]["test"]["error"] - 5)),
        ("scores", lambda r: everywhere(r["dense"], error=r["dense"]["test"]["error"] + 0.001)),
        ("scores", lambda r: r["data"]["counts"].update(test=21)),
        ("scores", lambda r: r["dense"].update(outcomes="bits:20:AAA=")),
        ("bootstrap", lambda r: r["bootstrap"]["dsd"].update(low=r["bootstrap"]["dsd"]["low"] + 0.01)),
        ("bootstrap", lambda r: r["bootstrap"]["dsd"].update(mean=99.0)),
        ("bootstrap", lambda r: r["bootstrap"].pop("random")),
        ("curve", lambda r: r["arms"]["dsd"]["phases"][0]["test"].update(error=1.0)),
        ("curve", lambda r: r["arms"]["dsd"]["curve"][-1]["test"].update(error=1.0)),
        ("curve", lambda r: r["arms"]["dsd"]["curve"].pop()),
        ("curve", lambda r: r["dense"]["curve"].reverse()),
        ("cost", lambda r: r["cost"].update(steps=r["cost"]["steps"] + 1)),
        ("cost", lambda r: r["cost"].update(seconds=r["cost"]["seconds"] + 1)),
        ("cost", lambda r: r["dense"]["phases"][0]["cost"].update(seconds=9.0)),
        ("cost", lambda r: r["arms"]["dsd"]["phases"][0]["cost"].update(samples=55)),
    ],
)
def test_a_changed_number_is_found_by_its_check_alone(
    trained: Record, check: str, edit: Callable[[Content], object]
) -> None:
    assert failing(trained, edit) == [check]


def test_a_resample_that_another_machine_drew_otherwise_is_no_forgery() -> None:
    """One of this record's 10,000 resamples differed between the machine that wrote it and another one."""
    written = [store.read(path) for path in COMMITTED if path.name.startswith("imagenet_resnet50-small-seed2-")]
    arm = written[0].bootstrap["random"]
    assert (round(arm.low, 4), arm.resamples) == (-1.6133, 10_000)
    assert statuses(written[0])["bootstrap"] == "holds"
    # About 50 resamples lie within one step, which is 100 / 7500 points (one test example). The check does not accept so many.
    assert failing(written[0], lambda r: r["bootstrap"]["random"].update(low=arm.low + 100 / 7500)) == ["bootstrap"]
    assert failing(written[0], lambda r: r["bootstrap"]["random"].update(low=arm.low - 200 / 7500)) == ["bootstrap"]


def test_lineage_that_cannot_be_is_found(tmp_path: Path) -> None:
    phases = (*toy.RECIPE.schedule.phases, Phase("sparse", 1, 0.02, sparsity=0.75), Phase("redense", 1, 0.01))
    task = toy.ToyTask(dataclasses.replace(toy.RECIPE, schedule=Schedule(phases)))
    record = store.read(train(tmp_path, task, ("control", "dsd")))
    assert failing(record, lambda _: None) == []
    for again in (31, 65, None):  # of 128 weights, 64 were pruned and then 96: 32 to 64 of them both times
        assert failing(record, lambda r, n=again: r["arms"]["dsd"]["phases"][2]["mask"][0].update(again=n)) == ["masks"]
    for again in (32, 64):
        assert failing(record, lambda r, n=again: r["arms"]["dsd"]["phases"][2]["mask"][0].update(again=n)) == []


def test_a_phase_of_other_length_is_found(trained: Record) -> None:
    def shorten(content: Content) -> None:
        phase = content["arms"]["dsd"]["phases"][0]
        phase["steps"] -= 1

    found = {one.check: one.detail for one in audit(changed(trained, shorten)) if one.status == "fails"}
    assert "('sparse', 6, 1.4, 0.05, 0.05), the recipe says ('sparse', 7, 1.4, 0.05, 0.05)" in found["schedule"]
    assert set(found) >= {"schedule", "curve", "cost"}


@pytest.mark.parametrize(
    ("row", "edit"),
    [
        ("imagenet_vgg16-smoke", lambda arm: everywhere(arm, top5_error=arm["test"]["top1_error"] + 1)),
        ("flickr8k_neuraltalk-smoke", lambda arm: everywhere(arm, bleu2=arm["test"]["bleu2"] + 0.1)),
        ("flickr8k_neuraltalk-smoke", lambda arm: everywhere(arm, caption_words=arm["test"]["caption_words"] + 1)),
        ("flickr8k_neuraltalk-smoke", lambda arm: everywhere(arm, beam20_bleu3_standard=1.0)),
        ("librispeech_deepspeech-smoke", lambda arm: everywhere(arm, wer=arm["test"]["wer"] - 1)),
    ],
)
def test_scores_of_every_domain_are_recomputed(row: str, edit: Callable[[Content], object]) -> None:
    (path,) = [path for path in COMMITTED if path.name.startswith(row)][-1:]
    assert failing(store.read(path), lambda r: edit(r["arms"]["dsd"])) == ["scores"]


def test_another_metric_than_the_rows_is_found() -> None:
    (path,) = [path for path in COMMITTED if path.name.startswith("imagenet_vgg16-smoke")][-1:]
    assert failing(store.read(path), lambda r: r.update(unit="points")) == ["recipe"]


def test_a_recipe_of_an_older_version_is_no_fault(trained: Record) -> None:
    found = statuses(changed(trained, lambda r: (r.update(suite="0.0"), r["recipe"].pop("clip_norm"))))
    assert {check for check, status in found.items() if status == "not applicable"} == {
        *("recipe", "schedule", "masks", "clipping")
    }
    assert "fails" not in found.values()


def test_a_failed_trial_is_checked_as_far_as_it_came(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="nan"):
        train(tmp_path, toy.ToyTask(poison=12))
    (path,) = (tmp_path / "records").iterdir()
    found = statuses(store.read(path))
    assert "fails" not in found.values()
    assert {"schedule", "scores", "curve"} <= {check for check, status in found.items() if status == "holds"}
    assert found["bootstrap"] == "not applicable"


def test_an_altered_file_of_outputs_is_found(tmp_path: Path) -> None:
    path = train(tmp_path, Speaking(), arms=("control", "dsd"))

    def outputs() -> str:
        ((_, found),) = audit_files([path], results_folder.check)
        return next(one.status for one in found if one.check == "outputs")

    assert outputs() == "holds"
    (file,) = (tmp_path / "outputs").iterdir()
    file.write_bytes(file.read_bytes() + b"\n")
    assert outputs() == "fails"
    file.unlink()
    assert outputs() == "not applicable"  # such files may be missing in published results


def test_a_table_cell_that_does_not_follow_from_the_records_is_found(tmp_path: Path) -> None:
    golden = ROOT / "tests" / "golden"
    for folder in ("records", "tables"):
        shutil.copytree(golden / folder, tmp_path / folder)
    paths = [next((tmp_path / "records").glob(f"{row}-*.json")) for row in ("imagenet_resnet18", "imagenet_vgg16")]

    def tables() -> list[str]:
        return [
            one.status
            for _, found in audit_files(paths, results_folder.check)
            for one in found
            if one.check == "tables"
        ]

    assert tables() == ["holds", "holds"]
    page = tmp_path / "tables" / "imagenet_resnet18.csv"
    text = page.read_text()
    page.write_text(text.replace("0.158114", "0.158115", 1))
    assert page.read_text() != text
    assert tables() == ["fails", "holds"]
    shutil.rmtree(tmp_path / "tables")
    assert tables() == ["not applicable", "not applicable"]


def test_the_command_names_what_fails(trained: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = store.write(trained, tmp_path / "a")
    bad = store.write(changed(trained, lambda r: layer(r).update(zeros=60)), tmp_path / "b")
    edited = tmp_path / "c" / good.name
    edited.parent.mkdir()
    edited.write_text(good.read_text().replace('"interruptions": 0', '"interruptions": 1'))
    assert main(["verify", "--record", str(good)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == str(good)
    assert [line.split(": ")[1] for line in shown[1:-1]] == [
        *("file", "identity", "recipe", "schedule", "masks", "clipping", "scores", "bootstrap", "curve", "cost"),
        *("outputs", "tables"),
    ]
    assert shown[-1] == "1 records: every check holds"
    assert main(["verify", "--record", *map(str, (good, bad, edited))]) == 1
    shown = capsys.readouterr().out.splitlines()
    assert [line for line in shown if "fails" in line] == [
        "  fails: masks: dsd, sparse phase: 4.weight has 60 zeros, but 64 pruned weights",
        f"  fails: file: {edited} was changed after it was written: its content does not match its content_hash",
    ]
    assert shown[-1] == "3 records: 2 fail"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "verify takes either ROW (to check its data) or --record FILE (to check records); got neither"),
        (["imagenet_vgg16", "--record", "x.json"], "got imagenet_vgg16 and --record"),
        (["--record", "nowhere.json"], "--record nowhere.json: no such file"),
        (
            ["--record", "tests/golden"],
            "--record tests/golden: is a folder; name the records in it (tests/golden/*.json)",
        ),
    ],
)
def test_wrong_words_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *words]) == 2
    assert message in capsys.readouterr().err


def test_what_a_dead_unit_kept_at_zero_is_no_fault_in_the_second_sparse_phase(tmp_path: Path) -> None:
    again = (Phase("sparse", 1, 0.02, sparsity=0.25), Phase("redense", 1, 0.01))
    recipe = dataclasses.replace(toy.RECIPE, schedule=Schedule((*toy.RECIPE.schedule.phases, *again)))
    record = store.read(train(tmp_path, toy.ToyTask(recipe), ("control", "dsd")))

    def zeros(count: int) -> Callable[[Content], object]:
        return lambda content: content["arms"]["dsd"]["phases"][2]["mask"][0].update(zeros=count)

    assert [layer.zeros for layer in record.arms["dsd"].phases[2].mask or []] == [32, 8]
    assert failing(record, zeros(64)) == []  # as many as the first sparse phase pruned
    assert failing(record, zeros(65)) == ["masks"]
    assert failing(record, zeros(31)) == ["masks"]
