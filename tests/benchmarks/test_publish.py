"""The command `tables`, on made-up records."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import outputs, tables
from benchmarks import record as records
from benchmarks.__main__ import main
from tests.golden import build, captioning

ROOT = Path(__file__).parents[2]


def written(out: Path) -> list[str]:
    """Write one captioning record with a file of outputs; return the words of the command."""
    (record,) = build.captions((1,))
    said = {name: arm.samples for name, arm in record.arms.items()}
    digest = outputs.write(said, out / "outputs" / f"{record.id}.csv.gz")
    records.write(record.model_copy(update={"outputs": digest}), out / "records")
    return ["tables", "--records", str(out / "records")]


def test_check_finds_outputs_that_are_not_their_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = written(tmp_path)
    assert main(words) == 0
    assert main([*words, "--check"]) == 0
    (path,) = (tmp_path / "outputs").iterdir()
    path.write_bytes(path.read_bytes() + b" ")
    capsys.readouterr()
    assert main([*words, "--check"]) == 1
    shown = capsys.readouterr().out
    assert f"altered: {path} is not the file that its record was written with" in shown
    assert "nox -s tables" not in shown  # which would not help
    path.unlink()
    assert main([*words, "--check"]) == 0


def test_sheets_with_photographs_lie_apart_from_what_is_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = written(tmp_path / "out")
    for picture in captioning.PICTURES:
        Image.new("RGB", (30, 20)).save(tmp_path / picture)
    assert main([*words, "--pictures", str(tmp_path)]) == 0
    sheet = tmp_path / "out" / "private" / "flickr8k_neuraltalk-paper-captions.png"
    assert str(sheet) in capsys.readouterr().out
    public = tmp_path / "out" / "figures" / sheet.name
    with Image.open(sheet) as with_photographs, Image.open(public) as names_alone:
        assert with_photographs.size[1] > names_alone.size[1]
    assert main([*words, "--check"]) == 0
    assert main([*words, "--check", "--pictures", str(tmp_path)]) == 2
    assert "--check writes nothing" in capsys.readouterr().err


def test_git_is_told_to_leave_sheets_with_photographs_alone() -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("there is no git here")
    words = [git, "check-ignore", "--no-index", "results/private/a.png", "results/figures/a.png"]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode == 128:
        pytest.skip("not a checkout of git")
    assert found.stdout.split() == ["results/private/a.png"]


def test_embed_replaces_what_stands_between_the_markers() -> None:
    readme = "# A\n<!-- results:begin -->\nold\n<!-- results:end -->\nB\n"
    once = tables.embed(readme, "new\n")
    assert once == "# A\n<!-- results:begin -->\nnew\n<!-- results:end -->\nB\n"
    assert tables.embed(once, "new") == once


@pytest.mark.parametrize(
    "text",
    ["none", "<!-- results:begin -->", "<!-- results:end --><!-- results:begin -->", "<!-- results:begin -->" * 2],
)
def test_embed_needs_the_markers_once_in_order(text: str) -> None:
    with pytest.raises(ValueError, match="results:begin"):
        tables.embed(text, "new")
