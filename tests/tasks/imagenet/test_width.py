"""Narrower networks: `width_factor` scales the channels of all convolutions; weights are drawn as in torchvision."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tasks.imagenet import models
from tasks.imagenet.recipes import Network


def build(name: str, factor: float, **settings: object) -> nn.Module:
    dropout = (0.4, 0.7) if name == "googlenet" else (0.0,)
    return models.build(name, Network(dropout=dropout, width_factor=factor, **settings), 50, 0)  # type: ignore[arg-type]


def channels(network: nn.Module) -> list[int]:
    return [one.out_channels for one in network.modules() if isinstance(one, nn.Conv2d)]


@pytest.mark.parametrize(
    ("name", "factor", "settings"),
    [
        ("resnet18", 0.25, {}),
        ("resnet50", 0.25, {}),
        ("googlenet", 0.5, {}),
        ("vgg16_bn", 0.25, {"pool": 1, "width": 512}),
    ],
)
def test_channels_are_multiplied_and_classes_are_not(name: str, factor: float, settings: dict[str, int]) -> None:
    whole, narrow = build(name, 1.0, **settings), build(name, factor, **settings)
    assert channels(narrow) == [round(factor * count) for count in channels(whole)]
    assert list(narrow.state_dict()) == list(whole.state_dict())
    narrow.train()
    output = narrow(torch.randn(2, 3, 64, 64) if name != "vgg16_bn" else torch.randn(2, 3, 32, 32))
    for logits in output if isinstance(output, tuple) else (output,):
        assert logits.shape == (2, 50)
    assert all(torch.isfinite(one).all() for one in narrow.state_dict().values())


# ResNet-18 by hand: 708,546 weights in convolutions and batch norm of 16, 32, 64 and 128 channels, and the last 128 x 50 + 50.
def test_resnet18_at_a_quarter_has_as_many_weights_as_counted_by_hand() -> None:
    def block(inputs: int, outputs: int, shortcut: bool) -> int:
        return 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs + shortcut * (inputs * outputs + 2 * outputs)

    counted = 3 * 16 * 49 + 2 * 16 + 2 * block(16, 16, shortcut=False)
    for inputs, outputs in ((16, 32), (32, 64), (64, 128)):
        counted += block(inputs, outputs, shortcut=True) + block(outputs, outputs, shortcut=False)
    counted += 128 * 50 + 50
    assert sum(one.numel() for one in build("resnet18", 0.25).parameters()) == counted == 708_546


def test_vgg16s_hidden_layers_keep_their_own_width() -> None:
    network = build("vgg16_bn", 0.5, pool=1, width=1024)
    shapes = [(one.in_features, one.out_features) for one in network.modules() if isinstance(one, nn.Linear)]
    assert shapes == [(256, 1024), (1024, 1024), (1024, 50)]


def test_weights_have_torchvisions_spread_and_depend_on_the_seed_alone() -> None:
    residual = build("resnet18", 0.25)
    assert isinstance(residual.layer4[0].conv2, nn.Conv2d)  # type: ignore[index, union-attr]
    spread = float(residual.layer4[0].conv2.weight.detach().std())  # type: ignore[index, union-attr, operator]
    assert spread == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)  # He, fan out
    inception = build("googlenet", 0.5)
    assert float(inception.conv3.conv.weight.detach().std()) == pytest.approx(0.01, rel=0.05)  # type: ignore[union-attr, operator]
    again = build("resnet18", 0.25).state_dict()
    assert all(torch.equal(one, again[name]) for name, one in residual.state_dict().items())


def test_the_whole_width_is_torchvisions_own_network_bit_for_bit() -> None:
    from torchvision import models as theirs

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = theirs.resnet18(num_classes=50).state_dict()
    found = build("resnet18", 1.0).state_dict()
    assert all(torch.equal(one, expected[name]) for name, one in found.items())


def test_a_width_that_does_not_divide_the_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"width_factor=0\.3: 64 channels times that is not a whole number"):
        build("resnet18", 0.3)
