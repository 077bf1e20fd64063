"""Flags that domains declare: their place in the help, their entries in records, and the short code that declares one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import tyro
from tyro.conf import FlagCreatePairsOff

from benchmarks.cli import named_inputs, option_checks, options, recorded_command
from benchmarks.cli.options import Evaluate, Run
from benchmarks.rows import OPTIONS, ROWS
from tasks.options import Option, with_data
from tests.benchmarks import toy


def test_flags_of_domains_stand_where_recorded_commands_have_them() -> None:
    assert [field.name for field in dataclasses.fields(Run)] == [
        *("row", "scale", "data", "seeds", "first_seed", "arms", "device", "precision", "subset", "weights", "network"),
        *("out", "fresh", "dense", "sparsity", "lr_factor", "probe", "label_noise", "workers", "save_weights"),
    ]
    pictures = Run(
        "imagenet_resnet18",
        precision="bfloat16",
        subset=0.25,
        fresh=True,
        lr_factor=0.5,
        probe=True,
        label_noise=0.2,
        workers=0,
    )
    assert recorded_command.command("run", pictures) == (
        "python -m benchmarks run imagenet_resnet18 --precision bfloat16 --subset 0.25 --fresh --lr-factor 0.5 --probe "
        "--label-noise 0.2 --workers 0"
    )
    captions = Run("flickr8k_neuraltalk", subset=0.5, weights="w.pt", network="vgg16", out=Path("out"))
    assert recorded_command.command("run", captions) == (
        "python -m benchmarks run flickr8k_neuraltalk --subset 0.5 --weights w.pt --network vgg16 --out out"
    )


def test_every_flag_of_a_domain_is_some_rows_own_and_no_field_of_the_generic_commands() -> None:
    assert {option.name for option in OPTIONS} == {"precision", "label_noise", "probe", "weights", "network"}
    for option in OPTIONS:
        assert any(option in row.options for row in ROWS.values())
        assert hasattr(Run("row"), option.name)
        assert hasattr(Evaluate("row", "model"), option.name) == option.scores


def test_overrides_of_a_domain_make_a_record_custom_in_the_order_of_their_declaration() -> None:
    told = Run("imagenet_resnet18", scale="small", probe=True, label_noise=0.2, precision="bfloat16", sparsity=0.5)
    assert named_inputs.custom(ROWS[told.row], told) == ("sparsity=0.5", "label_noise=0.2", "probe")
    assert (
        named_inputs.custom(ROWS[told.row], dataclasses.replace(told, label_noise=0.0, probe=False, sparsity=0.3)) == ()
    )


@dataclasses.dataclass(frozen=True)
class Blobs:
    spread: float = 1.0


SPREAD = Option(
    "spread",
    float | None,
    "How wide a blob is.",
    metavar="X",
    recipe=lambda recipe, spread: with_data(recipe, spread=spread),
)
ROW = dataclasses.replace(
    toy.ROW,
    recipes={scale: dataclasses.replace(toy.RECIPE, data=Blobs()) for scale in ("smoke", "paper")},
    options=(SPREAD,),
)


def test_a_flag_takes_one_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "OPTIONS", (*OPTIONS, SPREAD))
    monkeypatch.setattr(option_checks, "OPTIONS", (*OPTIONS, SPREAD))
    monkeypatch.setitem(ROWS, ROW.name, ROW)
    command = options._with_flags_of_domains()(Run.__bases__[0])
    told = tyro.cli(command, args=[ROW.name, "--spread", "2"], config=(FlagCreatePairsOff,))
    assert option_checks.own(ROW, told) == {"spread": 2.0}
    assert ROW.recipe("smoke", **option_checks.own(ROW, told)).data == Blobs(2.0)
    assert named_inputs.custom(ROW, told) == ("spread=2.0",)
    assert recorded_command.command("run", told) == f"python -m benchmarks run {ROW.name} --spread 2.0"
    with pytest.raises(ValueError, match="--spread: imagenet_vgg16 has no such flag; rows that have it: toy_row"):
        option_checks.run(dataclasses.replace(told, row="imagenet_vgg16"))


def test_a_row_has_no_options_of_others() -> None:
    with pytest.raises(ValueError, match="toy_row has no option label_noise"):
        ROW.recipe("smoke", label_noise=0.1)


def test_a_gpu_may_be_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert [named_inputs.device(name) for name in ("auto", "cpu", "cuda")] == [
        torch.device(name) for name in ("cuda", "cpu", "cuda")
    ]
    assert chosen == []
    assert named_inputs.device("cuda:1") == torch.device("cuda:1")
    assert chosen == [torch.device("cuda:1")]
    with pytest.raises(ValueError, match="--device cuda:2: torch sees 2 GPUs here, numbered from 0"):
        named_inputs.device("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert named_inputs.device("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match=f"--device {name}: torch sees no GPU here"):
            named_inputs.device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1 ", "cpu:0", ""])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected one of auto, cpu, cuda, cuda:K"):
        option_checks.check(Run("imagenet_resnet18", device=name))
    with pytest.raises(ValueError, match="expected one of auto, cpu, cuda, cuda:K"):
        option_checks.check(Evaluate("imagenet_resnet18", model="ResNet18_Weights.IMAGENET1K_V1", device=name))


def test_several_processes_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="--device cuda:1: each of 2 processes takes the GPU of its own number"):
        option_checks.check(Run("imagenet_resnet18", device="cuda:1", out=tmp_path))
