"""What is printed of data and of saved networks, and which networks are refused: a captioner's words are its data's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.__main__ import main
from benchmarks.inspection import score_lines
from benchmarks.registry import ROWS
from tasks.flickr8k import task, tiny

ROW = "flickr8k_neuraltalk"


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "set"
    tiny.generate(root, train=30, dev=4, test=6)
    return root


@pytest.fixture(scope="module")
def permuted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many words as in `root`, in another order: two of them have changed places."""
    other = tmp_path_factory.mktemp("data") / "permuted"
    tiny.generate(other, train=30, dev=4, test=6)
    captions = other / tiny.TEXT / "Flickr8k.token.txt"
    words = {"red": "left", "left": "red"}
    text = re.sub(r"\b(red|left)\b", lambda found: words[found[0]], captions.read_text(encoding="utf-8"))
    captions.write_text(text, encoding="utf-8")
    return other


def captioner(data: Path, path: Path, **metadata: str) -> str:
    """Save an untrained captioner of the words of `data`; return the fingerprint of the data."""
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
    assert f"set.safetensors was trained on data of fingerprint {ours}, but permuted has {theirs}" in error


def test_a_captioner_of_other_data_is_no_dense_start(
    root: Path, permuted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = captioner(root, tmp_path / "m.safetensors")
    words = ["run", ROW, "--data", str(permuted), "--dense", str(tmp_path / "m.safetensors"), "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    assert f"m.safetensors was trained on data of fingerprint {ours}, but permuted has" in capsys.readouterr().err
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_file_that_does_not_say_its_data_is_scored(root: Path, permuted: Path, tmp_path: Path) -> None:
    captioner(root, tmp_path / "m.safetensors", format="pt")
    assert score(tmp_path / "m.safetensors", permuted) == 0


def test_verification_calls_what_covers_no_features_by_another_name(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = task.verify(root, 1.0, quiet).fingerprint
    assert main(["verify", ROW, "--data", str(root)]) == 0
    shown = capsys.readouterr().out
    assert f"; files {found}\n" in shown
    assert "fingerprint" not in shown
    # The same word stands in what a run tells of the features.
    report = task.open_data(ROWS[ROW].recipe("smoke"), root, 1.0, quiet).report
    assert report.fingerprint != found
    assert report.features.endswith(f"; files {found}")


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
    assert [place for place, line in enumerate(lines) if line.endswith("in percent.")] == [0, 4, 7]  # before its scores
    assert lines[0].endswith("without the brevity penalty, in percent.")
    assert lines[4].endswith("with the brevity penalty, in percent.")
    errors = score_lines({"top5_error": 10.0, "top1_error": 30.0}, ROWS["imagenet_resnet18"].metric)
    assert errors == ["top-1 error %: 30.000", "top-5 error %: 10.000"]
