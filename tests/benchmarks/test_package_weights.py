"""Released weights: evaluating the networks in a release folder gives the scores of the trial's record."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.__main__ import main
from benchmarks.cli import package_weights
from benchmarks.records import store
from benchmarks.records.networks import main_networks
from benchmarks.records.schema import LayerMask, Record
from benchmarks.training import saved_weights
from tasks.data.cache import made_once
from tests.figures import without_figures

ROW = "imagenet_googlenet"
RECORDS = Path(__file__).parents[1] / "golden" / "records"
NAMES = ["dense", "control", "dsd-sparse1", "dsd"]


@pytest.fixture(scope="module")
def finished(_own_cache: Path) -> Path:
    """The output folder of a finished trial with saved weights, which all workers of pytest-xdist read."""

    def train(out: Path) -> None:
        with without_figures():
            assert main(["run", ROW, "--subset", "0.1", "--device", "cpu", "--out", str(out), "--save-weights"]) == 0

    return made_once(_own_cache / "package-weights", train)


def only_record(out: Path) -> Record:
    (path,) = (out / "records").glob("*.json")
    return store.read(path)


def package(finished: Path, out: Path, *words: str, weights: Path | None = None) -> int:
    folders = ["--records", str(finished / "records"), "--weights", str(weights or finished / "weights")]
    return main(["package-weights", *words, *folders, "--device", "cpu", "--out", str(out)])


@pytest.fixture(scope="module")
def packaged(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the trial in the release."""
    out, name = tmp_path_factory.mktemp("release"), only_record(finished).id  # an empty output folder is accepted
    assert package(finished, out, name) == 0
    assert [path.name for path in out.iterdir()] == [name]
    return out / name


def test_evaluate_gives_the_scores_of_the_record_and_of_the_card(
    finished: Path, packaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = only_record(finished)
    tests = [record.runs["dense"].test, record.arms["control"].test]
    tests += [record.arms["dsd"].phases[0].test, record.arms["dsd"].test]
    card = (packaged / "README.md").read_text()
    (flags,) = re.findall(rf"benchmarks evaluate {ROW} --model dsd.safetensors (.*)", card)
    for name, test in zip(NAMES, tests, strict=True):
        words = ["evaluate", ROW, "--model", str(packaged / f"{name}.safetensors"), *flags.split(), "--device", "cpu"]
        capsys.readouterr()
        assert main(words) == 0
        shown = capsys.readouterr().out
        scores = [f"{test[metric]:.3f}" for metric in ("top1_error", "top5_error", "test_loss")]
        assert re.findall(r": (\d+\.\d{3})$", shown, re.MULTILINE) == scores
        assert re.search(rf"^\| `{name}.safetensors` .*" + " .*".join(map(re.escape, scores)), card, re.MULTILINE)


def test_the_mask_is_the_one_of_s(finished: Path, packaged: Path) -> None:
    recorded = only_record(finished).arms["dsd"].phases[0].mask
    masks, sparse = (load_file(packaged / f"dsd-sparse1{end}.safetensors") for end in (".mask", ""))
    assert recorded is not None
    assert {layer.name: layer.kept for layer in recorded} == {name: int(mask.sum()) for name, mask in masks.items()}
    assert all(mask.dtype == torch.bool and not sparse[name][~mask].any() for name, mask in masks.items())


def test_the_card_loads_a_network_in_five_lines_and_names_every_file(
    finished: Path, packaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, record = (packaged / "README.md").read_text(), only_record(finished)
    assert all(fact in card for fact in (record.recipe_hash, record.data.fingerprint, record.command, "Apache-2.0"))
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert code.count("\n") == 5
    monkeypatch.chdir(packaged)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    state, saved = names["network"].state_dict(), load_file("dsd.safetensors")
    assert all(torch.equal(weight.cpu(), saved[name]) for name, weight in state.items())
    assert main(["verify", "--record", f"{record.id}.json"]) == 0
    sums = dict(reversed(line.split("  ")) for line in Path("SHA256SUMS").read_text().splitlines())
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in packaged.iterdir() if path.name in sums
    }
    assert set(sums) == {path.name for path in packaged.iterdir()} - {"SHA256SUMS"}


def test_without_ids_seed_0_of_each_planned_row_is_packaged(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert package(finished, tmp_path / "none") == 2  # a smoke trial is not planned
    assert "no weights of seed 0 of a planned row" in capsys.readouterr().err
    group = SimpleNamespace(covers=lambda record: True, arms=("control", "dsd"))
    monkeypatch.setattr(package_weights, "WANTED", [group])
    assert package(finished, tmp_path / "release") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


@pytest.mark.parametrize(
    ("replaced", "by", "message"),
    [
        (
            "dsd",
            "control",
            "-dsd.safetensors: top[15]_error is .*, the record says .*: these are not the trial's weights",
        ),
        ("dsd-sparse1", None, "missing .*-dsd-sparse1.safetensors"),
    ],
)
def test_other_weights_and_missing_ones_are_refused_and_nothing_is_left(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], replaced: str, by: str | None, message: str
) -> None:
    name = only_record(finished).id
    weights = tmp_path / "weights"
    shutil.copytree(finished / "weights", weights)
    path = weights / f"{name.rpartition('-')[0]}-{replaced}.safetensors"
    path.unlink()
    if by is not None:
        shutil.copyfile(weights / path.name.replace(replaced, by), path)
    assert package(finished, tmp_path / "new" / "release", name, weights=weights) == 2
    assert re.search(message, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_a_folder_with_files_is_refused(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note").touch()
    assert package(finished, tmp_path, only_record(finished).id) == 2
    assert "the folder is not empty; name a new one" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_a_second_iteration_and_a_shared_sparse_phase_have_their_files() -> None:
    record = next(one for one in store.read_all(RECORDS) if one.row == "librispeech_deepspeech2")
    names = [one.name for one in main_networks(record)]
    assert names == ["dense", "control", "dsd-sparse1", "dsd-sparse2", "dsd"]
    forked = record.arms["dsd"].model_copy(update={"forked_from": "dsd-text", "shared_phases": 1})
    first, second = main_networks(record.model_copy(update={"arms": record.arms | {"dsd": forked}}))[2:4]
    assert first.file.endswith("-dsd-text-sparse1.safetensors")
    assert second.file.endswith("-dsd-sparse2.safetensors")


def test_masks_are_told_from_weights_and_checked_against_the_counts_of_the_record() -> None:
    dense = {"w": torch.tensor([0.5, -0.1, 0.2, -3.0])}
    sparse = {"w": torch.tensor([0.4, 0.0, 0.0, -2.0])}

    def masks(kept: int, zeros: int, start: dict[str, torch.Tensor] | None) -> list[bool]:
        layer = LayerMask(name="w", weights=4, kept=kept, zeros=zeros)
        found: list[bool] = saved_weights.masks(sparse, [layer], start)["w"].tolist()
        return found

    assert masks(2, 2, dense) == masks(2, 2, None) == [True, False, False, True]
    assert masks(3, 2, dense) == [True, False, True, True]  # a kept weight is zero
    with pytest.raises(ValueError, match="w has 2 zeros, the record 1"):
        masks(3, 1, dense)
    with pytest.raises(ValueError, match="w: its zeros are not the mask of 3 kept weights"):
        masks(3, 2, None)
    with pytest.raises(ValueError, match="w: its zeros are not the mask of 2 kept weights"):
        masks(2, 2, {"w": torch.tensor([0.1, 5.0, 5.0, 5.0])})
