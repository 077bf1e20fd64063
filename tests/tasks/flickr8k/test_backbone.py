"""The layer whose input is used as features, in every family of networks, and the part of a picture that a network sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from tasks.flickr8k import backbone


def test_vgg16_gives_fc7_after_its_relu() -> None:
    assert backbone.width("vgg16", 224) == 4096
    with torch.device("meta"):  # 500 MB of weights are not needed to see the order of layers
        vgg = models.vgg16(weights=None)
    assert backbone._last_layer(vgg) == "classifier.6"
    fc7, relu, dropout, scores = vgg.classifier[3:]
    assert (type(relu), type(dropout), scores.out_features) == (nn.ReLU, nn.Dropout, 1000)
    assert (fc7.in_features, fc7.out_features) == (4096, 4096)


@pytest.mark.parametrize(
    ("network", "width"),
    [
        ("alexnet", 4096),
        ("convnext_tiny", 768),
        ("densenet121", 1024),
        ("maxvit_t", 512),
        ("mnasnet0_5", 1280),
        ("resnet50", 2048),
        ("shufflenet_v2_x0_5", 1024),
        ("swin_v2_t", 768),
        ("vit_b_16", 768),
    ],
)
def test_other_families_of_networks_have_a_last_layer_too(network: str, width: int) -> None:
    assert backbone.width(network, 224) == width


@pytest.mark.parametrize("network", ["vgg16", "squeezenet1_0", "regnet_y_400mf"])
def test_torchvisions_name_for_a_networks_weights_is_one_it_knows(network: str) -> None:
    name = backbone.default_weights(network)
    assert isinstance(models.get_weight(name), models.get_model_weights(network))


def test_a_crop_leaves_out_what_lies_at_the_edge_and_a_warp_does_not() -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 78:] = 255
    assert backbone.view(picture, 20, 20).max() == 0
    warped = backbone.view(picture, None, 20)
    assert warped.shape == (20, 20, 3)
    assert warped[:, -1].min() > 100
