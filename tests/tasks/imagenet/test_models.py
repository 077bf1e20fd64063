from __future__ import annotations

import pytest
import torch
from torch import nn

from dsd import prunable
from tasks.imagenet import models
from tasks.imagenet.recipes import RECIPES, Network

# torchvision's counts of parameters for 1,000 classes; GoogLeNet's with both auxiliary heads.
PAPER_SIZES = {
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "googlenet": 13_004_888,
    "vgg16": 138_357_544,
}


@pytest.mark.parametrize("row", RECIPES)
def test_the_paper_networks_have_torchvisions_parameters(row: str) -> None:
    recipe = RECIPES[row]["paper"]
    network = models.build(recipe.network, recipe.model, 1000, seed=0)
    assert sum(p.numel() for p in network.parameters()) == PAPER_SIZES[recipe.network]


@pytest.mark.parametrize(("network", "parameters"), [("resnet34", 21_797_672), ("resnet101", 44_549_160)])
def test_a_new_row_may_use_any_resnet(network: str, parameters: int) -> None:
    whole = models.build(network, Network(), 1000, seed=0)
    assert sum(p.numel() for p in whole.parameters()) == parameters
    narrow = models.build(network, Network(width_factor=0.25), 12, seed=0).eval()
    assert narrow(torch.zeros(1, 3, 64, 64)).shape == (1, 12)


@pytest.mark.parametrize("row", RECIPES)
def test_everything_but_the_first_convolution_biases_and_norms_is_pruned(row: str) -> None:
    recipe = RECIPES[row]["smoke"]
    network = models.build(recipe.network, recipe.model, 12, seed=0)
    found = prunable(network, recipe.skip)
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert list(found.weights) == [f"{name}.weight" for name in layers[1:]]
    assert found.excluded[f"{layers[0]}.weight"].startswith("skipped by")


@pytest.mark.parametrize("row", RECIPES)
def test_the_seed_alone_decides_the_weights(row: str) -> None:
    recipe = RECIPES[row]["smoke"]

    def weights(seed: int) -> torch.Tensor:
        network = models.build(recipe.network, recipe.model, 12, seed)
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    torch.manual_seed(1)
    first = weights(0)
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))
    torch.manual_seed(1)
    weights(3)
    assert torch.equal(torch.random.get_rng_state(), state)  # the global generator is unchanged


def test_vgg_is_initialised_as_torchvision_does() -> None:
    network = models.build("vgg16", Network(dropout=(0.5,), pool=2, width=1024), 12, seed=0)
    weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
    assert float(weights["classifier.3.weight"].std()) == pytest.approx(0.01, rel=0.02)
    assert float(weights["features.28.weight"].std()) == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.02)  # He, fan out
    assert float(weights["classifier.0.bias"].abs().max()) == 0


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown network 'alexnet'"):
        models.build("alexnet", Network(), 10, seed=0)
