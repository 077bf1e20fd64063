from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import IO

import pytest
import torch

from benchmarks.training import checkpoint

pytestmark = pytest.mark.promise(4)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    state = {"step": 7, "tensors": {"w": torch.arange(5.0)}, "curve": [{"loss": 0.1}], "none": None}
    checkpoint.save(state, tmp_path / "deep" / "trial.pt")
    loaded = checkpoint.load(tmp_path / "deep" / "trial.pt")
    assert torch.equal(loaded.pop("tensors")["w"], torch.arange(5.0))
    assert loaded == {"format": 2, "step": 7, "curve": [{"loss": 0.1}], "none": None}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["trial.pt"]


def test_a_write_that_fails_leaves_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trial.pt"
    checkpoint.save({"step": 1}, path)

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save({"step": 2}, path)
    assert checkpoint.load(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_cut_file_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = tmp_path / "trial.pt"
    checkpoint.save({"w": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"trial\.pt is not a readable checkpoint"):
        checkpoint.load(path)


def test_every_damaged_byte_of_a_tensor_is_found(tmp_path: Path) -> None:
    path = tmp_path / "trial.pt"
    weights = torch.arange(1, 501, dtype=torch.float32)
    checkpoint.save({"w": weights}, path)
    whole = path.read_bytes()
    start = whole.index(weights.numpy().tobytes())
    for offset in range(start, start + 2000, 97):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0x10]) + whole[offset + 1 :])
        with pytest.raises(
            ValueError, match=r"trial\.pt is not a readable checkpoint: the checksum of its .*data/0 is wrong"
        ):
            checkpoint.load(path)
    path.write_bytes(whole)
    assert torch.equal(checkpoint.load(path)["w"], weights)


def test_what_cannot_be_read_back_does_not_replace_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "trial.pt"
    checkpoint.save({"step": 1}, path)

    def rotten(state: object, file: IO[bytes]) -> None:
        file.write(path.read_bytes()[:-30])

    monkeypatch.setattr(torch, "save", rotten)
    with pytest.raises(OSError, match=r"trial\.pt could not be written: .* the one before it is untouched"):
        checkpoint.save({"step": 2}, path)
    assert checkpoint.load(path)["step"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_no_pickle_is_executed(tmp_path: Path) -> None:
    for name, write in (("pickle.pt", pickle.dump), ("torch.pt", torch.save)):
        with (tmp_path / name).open("wb") as file:
            write({"format": 2, "step": Bomb(tmp_path / "executed")}, file)
        with pytest.raises(ValueError, match="not a readable checkpoint"):
            checkpoint.load(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="not a checkpoint of format 2"):
        checkpoint.load(tmp_path / "weights.pt")
