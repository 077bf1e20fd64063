"""The command `compare` as a user sees it: its exit status, its lines at 80 columns, and what it reports as left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.cli import console
from benchmarks.records import store
from benchmarks.records.schema import Record
from tests.golden import build


def written(folder: Path, *trials: Record) -> Path:
    for trial in trials:
        store.write(trial, folder)
    return folder


def test_the_command_tells_by_its_status_whether_two_sets_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.CONSOLE, "soft_wrap", False)  # as in a terminal
    monkeypatch.setattr(console.CONSOLE, "width", 80)
    a = written(tmp_path / "a", *build.trio())
    b = written(tmp_path / "b", *build.trio((0.3, 0.1, 0.5), commit="b" * 40))
    worse = written(tmp_path / "worse", *build.trio((-5.0, -5.1, -5.2), recipe_hash="0" * 12, command="x" * 90))
    assert main(["compare", str(a), str(b)]) == 0
    assert "the results agree within the spread" in capsys.readouterr().out
    other = written(tmp_path / "other", *build.trio((0.3, 0.1, 0.5), recipe_hash="0" * 12))
    assert main(["compare", str(a), str(other)]) == 1  # two recipes: status 1, although the results agree
    assert "the results agree within the spread" in capsys.readouterr().out
    assert main(["compare", str(a), str(worse)]) == 1
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    told = " ".join(shown.split())
    assert "not the same experiment" in told
    assert told.endswith("the results differ by more than the spread: top-1 error (gain of dsd, dsd)")
    assert "x" * 10 in shown
    assert "…" not in shown  # nothing is cut off
    assert "top-1 error % 40.30 ± 0.26 (3)" in shown.replace("\n", " ")


def test_a_record_is_compared_with_what_lies_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c = (written(tmp_path / "a", one) / f"{one.id}.json" for one in build.trio())
    assert main(["compare", str(a), str(b)]) == 0
    shown = capsys.readouterr().out
    assert "A: seed 0" in shown
    assert "the seed spread of other records of these groups" in shown
    assert "left out" not in shown
    c.write_text("{}")
    assert main(["compare", str(a), str(a.parent)]) == 2  # all files of a folder are read
    assert f"{c} is not a readable record" in capsys.readouterr().err
    main(["compare", str(a), str(b)])
    assert f"A: left out of the spread: {c} is not a readable record" in capsys.readouterr().out


def test_what_has_no_counterpart_or_is_not_in_use_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = written(tmp_path / "a", build.record(), build.failed(seed=4, id="imagenet_resnet18-small-failed"))
    b = written(tmp_path / "b", build.record(), build.record("imagenet_vgg16", seed=5))
    assert main(["compare", str(a), str(b)]) == 0
    shown = capsys.readouterr().out
    assert "A: 1 records not used: replaced or failed" in shown
    assert "only in B: imagenet_vgg16, small, seed 5" in shown
    assert "recipe, data, versions, hardware, commit and command are identical" in shown
    assert "the results are identical" in shown
    assert "interval" not in shown  # there is nothing to show


def test_wrong_input_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(tmp_path / "good", build.record())
    failed = written(tmp_path / "failed", build.failed(id="imagenet_resnet18-small-failed"))
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "nowhere", "B: {} is neither a record nor a folder of records"),
        (tmp_path / "empty", "B: {} has no record of a finished trial"),
        (failed, "B: {} has no record of a finished trial"),
        (failed / "imagenet_resnet18-small-failed.json", "B: {} records a failed trial"),
    ):
        assert main(["compare", str(good), str(path)]) == 2
        error = capsys.readouterr().err
        assert message.format(path) in error
        assert error.count("\n") == 1
