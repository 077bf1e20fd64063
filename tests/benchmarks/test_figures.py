import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from benchmarks import figures, tables
from tests.golden import build

PNG = b"\x89PNG"


def test_every_figure_is_drawn_small_and_the_same_again(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    drawn = figures.write(tmp_path / "a", build.everything())
    assert dict(mpl.rcParams) == before
    again = figures.write(tmp_path / "b", build.everything())
    assert [path.name for path in drawn] == [
        "gains.png",
        "imagenet_vgg16-paper-curves.png",
        "imagenet_resnet18-small-curves.png",
        "imagenet_resnet18-small-c0570c0570c0-2-curves.png",
        "imagenet_resnet18-smoke-curves.png",
        "librispeech_deepspeech2-paper-curves.png",
    ]
    for one, two in zip(drawn, again, strict=True):
        content = one.read_bytes()
        assert content.startswith(PNG)
        assert content == two.read_bytes()
        assert len(content) < 150_000
        assert b"Software" not in content  # nor a date


def test_after_figures_and_tables_nothing_is_stale(tmp_path: Path) -> None:
    found = build.trio()
    figures.write(tmp_path, found)
    tables.write(tmp_path, found)
    assert tables.check(tmp_path, found) == []
    (tmp_path / "figures" / "gains.png").unlink()
    assert tables.check(tmp_path, found) == ["figures/gains.png"]


def test_figures_of_groups_that_are_gone_are_removed(tmp_path: Path) -> None:
    figures.write(tmp_path, build.trio())
    figures.write(tmp_path, build.trio(row="imagenet_vgg16"))
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"gains.png", "imagenet_vgg16-small-curves.png"}


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gains\.png"):
        figures.gains([build.failed()], tmp_path / "gains.png")
    with pytest.raises(ValueError, match="records of 2"):
        figures.curves([build.record(), build.record("imagenet_vgg16")], tmp_path / "curves.png")
    assert figures.write(tmp_path, []) == []


def test_a_given_dense_start_has_no_curve_of_its_own(tmp_path: Path) -> None:
    record = build.record(source="resnet18.safetensors")
    assert record.dense is not None
    record = record.model_copy(update={"dense": record.dense.model_copy(update={"phases": [], "curve": []})})
    figures.curves([record], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


def test_no_display_and_no_pyplot_are_needed() -> None:
    code = "import sys, benchmarks.figures; sys.exit('matplotlib.pyplot' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
