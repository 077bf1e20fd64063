from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import rows
from benchmarks.__main__ import main
from benchmarks.analysis import groups
from benchmarks.audit import checks
from benchmarks.records import store
from benchmarks.training import provenance
from tasks.imagenet import models
from tasks.mixed_precision import train_in_bfloat16
from tests.benchmarks import toy
from tests.trust.matrix import small_network

CPU = torch.device("cpu")


def test_products_are_taken_in_bfloat16_and_everything_kept_is_float32() -> None:
    plain = toy.ToyTask()
    mixed = toy.ToyTask()
    train_in_bfloat16(mixed, CPU)
    model = mixed.model()
    seen: list[torch.dtype] = []
    first = next(module for module in model.modules() if isinstance(module, nn.Linear))
    first.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    (batch,) = mixed.batches(0, 1)
    torch.manual_seed(0)
    loss, _ = mixed.loss(model, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    mixed.evaluate(model, True)
    assert seen == [torch.bfloat16, torch.float32]  # in training, in scoring
    assert loss.dtype == torch.float32
    assert {p.dtype for p in model.parameters()} == {p.grad.dtype for p in model.parameters() if p.grad is not None}
    assert next(model.parameters()).dtype == torch.float32
    torch.manual_seed(0)
    exact, _ = plain.loss(plain.model(), next(plain.batches(0, 1)))
    assert float(loss.detach()) == pytest.approx(float(exact.detach()), rel=2**-6)  # bfloat16 has 8 bits
    assert float(loss.detach()) != float(exact.detach())


def test_rows_whose_layers_are_written_for_float32_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "flickr8k_neuraltalk", "--precision", "bfloat16"]) == 2
    assert (
        "--precision: flickr8k_neuraltalk has no such flag; rows that have it: imagenet_googlenet, "
        in capsys.readouterr().err
    )


@pytest.mark.usefixtures("no_figures")
def test_the_record_says_so_and_such_trials_are_a_group_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "build", small_network)
    recipes = rows.ROWS["imagenet_resnet18"].recipes
    monkeypatch.setitem(recipes, "smoke", dataclasses.replace(recipes["smoke"], skip=()))
    common = ["run", "imagenet_resnet18", "--subset", "0.1", "--out", str(tmp_path)]
    assert main(common) == main([*common, "--precision", "bfloat16"]) == 0
    found = store.read_all(tmp_path / "records")
    assert sorted(one.precision for one in found) == sorted(["float32", provenance.BFLOAT16])
    (mixed,) = (one for one in found if one.precision == provenance.BFLOAT16)
    assert "--precision bfloat16" in mixed.command
    assert len(groups.group_records(found)) == 2
    assert [finding for finding in checks.audit(mixed) if finding.status == "fails"] == []
    losses = {one.precision: json.dumps([p.train for p in one.dense.curve]) for one in found if one.dense}
    assert len(set(losses.values())) == 2
