"""Printed facts of data and saved networks, and refused networks: a captioner can only be scored on data with its words."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file

from benchmarks.__main__ import main
from benchmarks.cli.display import Display
from benchmarks.cli.evaluate import score_lines
from benchmarks.records import store
from benchmarks.rows import ROWS
from benchmarks.training.interruption import Stop
from benchmarks.training.trial import Trial
from tasks.data.cache import MARK
from tasks.flickr8k import dataset as flickr8k
from tasks.flickr8k import synthetic, task
from tasks.imagenet import synthetic as imagenet
from tasks.imagenet import task as pictures_task
from tests.benchmarks import toy

ROW = "flickr8k_neuraltalk"


def quiet(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "set"
    synthetic.generate(root, train=30, dev=4, test=6)
    return root


@pytest.fixture(scope="module")
def permuted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of `root` with two words exchanged: the vocabulary has the same size, but another order."""
    other = tmp_path_factory.mktemp("data") / "permuted"
    synthetic.generate(other, train=30, dev=4, test=6)
    captions = other / synthetic.TEXT / "Flickr8k.token.txt"
    words = {"red": "left", "left": "red"}
    text = re.sub(r"\b(red|left)\b", lambda found: words[found[0]], captions.read_text(encoding="utf-8"))
    captions.write_text(text, encoding="utf-8")
    return other


def captioner(data: Path, path: Path, **metadata: str) -> str:
    """Save an untrained captioner with the vocabulary of `data`; return the fingerprint of the data."""
    recipe = ROWS[ROW].recipe("smoke")
    source = task.open_data(recipe, data, 1.0, quiet)
    model = task.build(recipe, source, 0, torch.device("cpu"), None).model()
    save_file(model.state_dict(), path, metadata or {"data": source.report.fingerprint})
    return source.report.fingerprint


def score(model: Path, data: Path) -> int:
    return main(["evaluate", ROW, "--model", str(model), "--data", str(data), "--scale", "smoke", "--device", "cpu"])


def test_a_captioner_is_scored_on_its_own_data_alone(
    root: Path, permuted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = (captioner(data, tmp_path / f"{data.name}.safetensors") for data in (root, permuted))
    assert ours != theirs
    assert score(tmp_path / "set.safetensors", root) == 0
    shown = capsys.readouterr().out
    assert f", fingerprint {ours}\n" in shown
    assert "features: pixels" in shown
    assert "6 test examples, smoke protocol" in shown
    assert "without the brevity penalty, in percent." in shown
    assert re.search(r"^BLEU-4 \(no penalty\): \d+\.\d{3}$", shown, re.MULTILINE)
    assert re.search(r"^BLEU-4 \(standard\), beam 20: \d+\.\d{3}$", shown, re.MULTILINE)
    assert "bleu4" not in shown
    assert score(tmp_path / "set.safetensors", permuted) == 2
    error = capsys.readouterr().err
    assert f"set.safetensors was trained on data with fingerprint {ours}, but permuted has {theirs}" in error


def test_a_captioner_of_other_data_is_no_dense_start(
    root: Path, permuted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = captioner(root, tmp_path / "m.safetensors")
    words = ["run", ROW, "--data", str(permuted), "--dense", str(tmp_path / "m.safetensors"), "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert f"m.safetensors was trained on data with fingerprint {ours}, but permuted has" in capsys.readouterr().err
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_narrow_network_is_scored_as_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At small scale VGG-16 is narrower than at paper scale."""
    for split, name in ((split, name) for split in ("train", "val") for name in ("n1", "n2")):
        (tmp_path / "set" / split / name).mkdir(parents=True)
        for number in range(8):
            Image.new("RGB", (64, 64), (number, 0, 0)).save(tmp_path / "set" / split / name / f"{number}.JPEG")
    recipe = ROWS["imagenet_vgg16"].recipe("small")
    source = pictures_task.open_data(recipe, tmp_path / "set", 1.0, quiet, train=False)
    model = pictures_task.build(recipe, source, 0, torch.device("cpu"), None).model()
    save_file({name: one.contiguous() for name, one in model.state_dict().items()}, tmp_path / "narrow.safetensors")
    words = ["evaluate", "imagenet_vgg16", "--model", str(tmp_path / "narrow.safetensors"), "--device", "cpu"]
    words += ["--data", str(tmp_path / "set")]
    assert main([*words, "--scale", "small"]) == 0
    assert "26 test examples" in capsys.readouterr().out  # per class 8 of val and 5 unused ones of train
    assert main([*words, "--scale", "paper"]) == 2
    assert "features.0.weight" in capsys.readouterr().err


def test_a_file_that_does_not_say_its_data_is_scored(root: Path, permuted: Path, tmp_path: Path) -> None:
    captioner(root, tmp_path / "m.safetensors", format="pt")
    assert score(tmp_path / "m.safetensors", permuted) == 0


def test_verification_calls_what_covers_no_features_by_another_name(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = task.verify(ROWS[ROW].recipe("smoke"), root, 1.0, quiet).fingerprint
    assert main(["verify", ROW, "--data", str(root)]) == 0
    shown = capsys.readouterr().out
    assert f"; files {found}\n" in shown
    assert "fingerprint" not in shown
    # The report of a run shows the same hash of the files.
    report = task.open_data(ROWS[ROW].recipe("smoke"), root, 1.0, quiet).report
    assert report.fingerprint != found
    assert report.features.endswith(f"; files {found}")


def pictures(root: Path) -> str:
    imagenet.generate(root, train=2, val=1)
    return "train/tiny03_disc_plain/tiny03_disc_plain_0.JPEG"


def captioned(root: Path) -> str:
    synthetic.generate(root, train=30, dev=4, test=6)
    return f"{synthetic.PICTURES}/train_0003.jpg"


def spoken(root: Path) -> str:
    for speaker, split in enumerate(("train", "test")):
        chapter = root / split / f"{speaker}" / "2"
        chapter.mkdir(parents=True)
        soundfile.write(chapter / f"{speaker}-2-3.flac", np.zeros(16_000, np.int16), 16_000)
        (chapter / f"{speaker}-2.trans.txt").write_text(f"{speaker}-2-3 ONE\n")
    return "test/1/2/1-2-3.flac"


@pytest.mark.parametrize(
    ("row", "make"),
    [("imagenet_resnet18", pictures), ("flickr8k_neuraltalk", captioned), ("librispeech_deepspeech", spoken)],
)
def test_no_step_is_made_on_data_of_which_a_file_is_damaged(
    row: str, make: Callable[[Path], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = make(tmp_path / "set")
    path = tmp_path / "set" / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 12])
    words = [row, "--data", str(tmp_path / "set")]
    assert main(["verify", *words]) == 1
    assert f"problem: {name.removeprefix(synthetic.PICTURES + '/')} is not a readable " in capsys.readouterr().out
    out = tmp_path / "out"
    assert main(["run", *words, "--device", "cpu", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert f"{Path(name).name} is not a readable " in error
    assert "set: 1 problem(s) in the data:" in error  # found by verification, before training decodes it
    assert not list(out.glob("records/*"))
    assert not list(out.glob("checkpoints/*"))


def test_what_verification_found_is_in_the_record(tmp_path: Path) -> None:
    task = toy.ToyTask()
    warnings = ("test files that are also trained on: 1 (a = b)", "left out by quarantine.txt: 1 (c)")
    task.report = dataclasses.replace(task.report, subset=0.5, warnings=warnings)
    display = Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH)
    data = store.read(Trial(toy.plan(tmp_path, recipe=task.recipe), task, display, Stop()).run()).data
    assert (data.name, data.fingerprint, data.synthetic, data.subset) == ("blobs", "f" * 16, True, 0.5)
    assert data.counts == {"train": toy.N, "test": 20}
    assert data.warnings == list(warnings)


def test_verification_says_where_there_is_as_much_as_was_published(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(root, tmp_path / "set")
    (tmp_path / "set" / MARK).unlink()
    monkeypatch.setattr(flickr8k, "PUBLISHED", {"train": 30, "val": 4, "test": 1000})
    assert main(["verify", ROW, "--data", str(tmp_path / "set")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "counts are those of the published Flickr8k: train 30, val 4" in shown
    assert "warning: counts are not those of the published Flickr8k: test 6 (expected 1,000)" in shown


def test_scores_are_called_as_in_the_tables_a_family_at_a_time() -> None:
    scores = {"beam20_bleu4": 15.0, "val_perplexity": 17.25, "bleu4_standard": 12.5, "bleu4": 14.24, "bleu1": 50.0}
    lines = score_lines(scores | {"brevity_penalty": 0.9}, ROWS[ROW].metric)
    assert [line for line in lines if not line.endswith("in percent.")] == [
        "BLEU-1 (no penalty): 50.000",
        "BLEU-4 (no penalty): 14.240",
        "validation perplexity: 17.250",
        "BLEU-4 (standard): 12.500",
        "brevity penalty: 0.900",
        "BLEU-4 (no penalty), beam 20: 15.000",
    ]
    # Each heading comes before its scores.
    assert [place for place, line in enumerate(lines) if line.endswith("in percent.")] == [0, 4, 7]
    assert lines[0].endswith("without the brevity penalty, in percent.")
    assert lines[4].endswith("with the brevity penalty, in percent.")
    errors = score_lines({"top5_error": 10.0, "top1_error": 30.0}, ROWS["imagenet_resnet18"].metric)
    assert errors == ["top-1 error %: 30.000", "top-5 error %: 10.000"]
