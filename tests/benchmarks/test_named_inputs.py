from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.cli import named_inputs, option_checks
from benchmarks.cli.options import Evaluate, Run
from benchmarks.rows import ROWS
from tasks.recipe import SCALES, Scale
from tasks.row import Row

ROW = ROWS["flickr8k_neuraltalk"]


@pytest.mark.parametrize(
    ("scale", "network", "custom"),
    [
        ("paper", None, ()),
        ("paper", "vgg16", ()),
        ("paper", "squeezenet1_0", ("network=squeezenet1_0",)),
        ("small", None, ()),
        ("small", "squeezenet1_0", ()),
        ("small", "resnet18", ()),
    ],
)
def test_another_network_is_custom_at_paper_scale_alone(
    scale: Scale, network: str | None, custom: tuple[str, ...]
) -> None:
    assert named_inputs.custom(ROW, Run(ROW.name, scale=scale, network=network, weights="own.pt")) == custom


def test_overrides_are_named_in_a_fixed_order_and_the_recipes_own_values_are_none() -> None:
    options = Run(ROW.name, scale="paper", sparsity=0.5, lr_factor=0.1, network="resnet18")
    assert named_inputs.custom(ROW, options) == ("sparsity=0.5", "lr_factor=0.1", "network=resnet18")
    assert named_inputs.custom(ROW, dataclasses.replace(options, sparsity=0.8, lr_factor=1.0, network="vgg16")) == ()


@pytest.mark.parametrize("scale", SCALES)
def test_a_domain_is_told_its_own_options_alone(scale: Scale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(row: Row, options: Run | Evaluate) -> dict[str, Any]:
        domain = SimpleNamespace(open_data=lambda *_, **own: own)
        monkeypatch.setattr(named_inputs, "domain", lambda of: domain)
        found: Any = named_inputs.open_data(row, row.recipe(scale), tmp_path, options, lambda *_: None)
        assert found.pop("train")
        assert found.pop("device") == torch.device("cpu")
        return dict(found)

    assert told(ROWS["imagenet_resnet18"], Run("imagenet_resnet18", device="cpu")) == {}
    assert told(ROW, Run(ROW.name, device="cpu")) == {"network": None, "weights": None}
    named = str(tmp_path / "w.pt")
    Path(named).touch()
    options = Evaluate(ROW.name, named, data=tmp_path, network="resnet18", weights=named, scale=scale, device="cpu")
    with pytest.raises(ValueError, match="imagenet_resnet18 has no such flag; rows that have it: flickr8k_neuraltalk"):
        option_checks.check(dataclasses.replace(options, row="imagenet_resnet18"))
    if scale == "smoke":
        with pytest.raises(ValueError, match="no use at smoke scale; add --scale small --data DIR"):
            option_checks.check(options)
    else:
        option_checks.check(options)
        assert told(ROW, options) == {"network": "resnet18", "weights": named}
