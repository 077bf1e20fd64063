"""A run on features of a frozen network that is not the recipe's: the record names it, and the trained networks can be scored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision import models

from benchmarks.__main__ import main
from benchmarks.records import store
from benchmarks.rows import ROWS
from tasks import pretrained
from tasks.flickr8k import synthetic

ROW = "flickr8k_neuraltalk"


def test_the_record_and_the_saved_weights_say_what_was_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synthetic.generate(tmp_path / "set", train=24, dev=2, test=3)
    torch.manual_seed(0)
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "frozen.pt")
    words = ["--data", str(tmp_path / "set"), "--scale", "small", "--device", "cpu"]
    words += ["--network", "squeezenet1_1", "--weights", str(tmp_path / "frozen.pt")]
    out = tmp_path / "out"
    assert main(["run", ROW, *words, "--seeds", "1", "--arms", "control", "--save-weights", "--out", str(out)]) == 0
    (path,) = (out / "records").glob("*.json")
    record = store.read(path)
    assert record.recipe["data"]["network"] == "squeezenet1_1"
    assert record.recipe_hash == ROWS[ROW].recipe("small", network="squeezenet1_1").hash()
    assert record.custom == []
    dense, saved = sorted((out / "weights").iterdir(), key=lambda path: "-control" in path.name)
    assert dense.name.endswith("-dense.safetensors")
    assert pretrained.read(str(saved)).data == record.data.fingerprint
    capsys.readouterr()
    assert main(["evaluate", ROW, "--model", str(saved), *words]) == 0
    shown = capsys.readouterr().out
    assert f"validation perplexity: {record.arms['control'].test['val_perplexity']:.3f}\n" in shown
    assert f"features: {record.data.features}\n" in shown
