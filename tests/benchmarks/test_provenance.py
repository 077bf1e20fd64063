from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks import provenance
from benchmarks.options import Run


def test_the_command_names_no_place_on_this_machine(tmp_path: Path) -> None:
    weights = tmp_path / "start.safetensors"
    weights.touch()
    options = Run(
        "imagenet_vgg16",
        scale="small",
        data=tmp_path / "somebody" / "pictures",
        seeds=5,
        arms=("control", "dsd", "llr"),
        fresh=True,
        dense=str(weights),
    )
    assert provenance.command("run", options) == (
        "python -m benchmarks run imagenet_vgg16 --scale small --data pictures --seeds 5 --arms control dsd llr "
        "--fresh --dense start.safetensors"
    )
    named = Run("imagenet_vgg16", dense="VGG16_Weights.IMAGENET1K_V1")
    assert provenance.command("run", named).endswith("--dense VGG16_Weights.IMAGENET1K_V1")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path.resolve()
    for name in ("results", "code"):
        (root / name).mkdir()
    (root / "code" / "a.py").write_text("1")
    (root / "results" / "table.md").write_text("1")
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(provenance, "ROOT", root)
    return root


def test_a_checkout_is_dirty_where_code_differs_or_is_new(checkout: Path) -> None:
    head, dirty = provenance.commit()
    assert head is not None
    assert len(head) == 40
    assert dirty is False
    (checkout / "results" / "table.md").write_text("2")
    (checkout / "notes.txt").write_text("2")
    assert provenance.commit() == (head, False)
    (checkout / "code" / "b.py").write_text("2")
    assert provenance.commit() == (head, True)
    (checkout / "code" / "b.py").unlink()
    (checkout / "code" / "a.py").write_text("2")
    assert provenance.commit() == (head, True)


def test_somebody_elses_checkout_around_ours_is_not_ours(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "ROOT", checkout / "code")
    assert provenance.commit() == (None, None)
