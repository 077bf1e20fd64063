from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pandas as pd

from benchmarks.records import outputs

SAID = {
    "control": [
        {"utterance": "a", "reference": "one, two", "transcript": "one"},
        {"utterance": "b", "reference": "three", "transcript": ""},
    ],
    "dsd": [
        {"utterance": "a", "reference": "one, two", "transcript": "one, two"},
        {"utterance": "b", "reference": "three", "transcript": "tree"},
    ],
}


def test_every_example_stands_on_a_line_with_what_every_arm_said(tmp_path: Path) -> None:
    path = tmp_path / "outputs" / "id.csv.gz"
    digest = outputs.write(SAID, path)
    assert gzip.decompress(path.read_bytes()).decode() == (
        'utterance,reference,control,dsd\na,"one, two",one,"one, two"\nb,three,,tree\n'
    )
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert pd.read_csv(path).shape == (2, 4)
    assert [file.name for file in path.parent.iterdir()] == ["id.csv.gz"]


def test_the_same_words_are_the_same_bytes(tmp_path: Path) -> None:
    assert outputs.write(SAID, tmp_path / "one.csv.gz") == outputs.write(SAID, tmp_path / "two.csv.gz")


def test_classification_says_nothing_and_leaves_no_file(tmp_path: Path) -> None:
    assert outputs.write({"control": [], "dsd": []}, tmp_path / "outputs" / "id.csv.gz") == ""
    assert not (tmp_path / "outputs").exists()


def test_a_file_that_is_not_what_was_written_is_found_and_a_missing_one_is_not_wrong(tmp_path: Path) -> None:
    recorded = {name: outputs.write(SAID, tmp_path / f"{name}.csv.gz") for name in ("kept", "changed", "left_out")}
    recorded["without"] = ""
    assert outputs.altered(tmp_path, recorded) == []
    (tmp_path / "left_out.csv.gz").unlink()
    (tmp_path / "changed.csv.gz").write_bytes(gzip.compress(b"utterance,reference,control,dsd"))
    (tmp_path / "without.csv.gz").write_bytes(b"somebody else's")
    assert outputs.altered(tmp_path, recorded) == [tmp_path / "changed.csv.gz"]
