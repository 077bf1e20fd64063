"""The four networks, from torchvision, initialised from a seed."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torchvision import models

from tasks.imagenet.recipes import Network


def build(network: str, settings: Network, classes: int, seed: int) -> nn.Module:
    """Return the network with random weights that depend on `seed` alone. Input: (batch, 3, height, width) normalised RGB.

    Raises:
        ValueError: `network` is not one of the four.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(seed)
        # GoogLeNet warns that its slow initialisation may go; this is the one that it was published with.
        warnings.filterwarnings("ignore", category=FutureWarning, module="torchvision")
        if network in ("resnet18", "resnet50"):
            return _module(getattr(models, network)(num_classes=classes))
        if network == "googlenet":
            dropout, auxiliary = settings.dropout
            return _module(
                models.googlenet(
                    num_classes=classes, aux_logits=True, init_weights=True, dropout=dropout, dropout_aux=auxiliary
                )
            )
        if network in ("vgg16", "vgg16_bn"):
            return _vgg16(network, settings, classes)
    raise ValueError(f"unknown network {network!r}: one of resnet18, resnet50, googlenet, vgg16, vgg16_bn")


def _vgg16(name: str, settings: Network, classes: int) -> nn.Module:
    (dropout,) = settings.dropout
    # Built without torchvision's classifier: initialising its 120 million weights to throw them away takes a second.
    with torch.device("meta"):
        network = _module(getattr(models, name)(num_classes=classes, init_weights=False))
    features = 512 * settings.pool**2
    network.avgpool = nn.AdaptiveAvgPool2d(settings.pool)
    network.classifier = nn.Sequential(
        nn.Linear(features, settings.width, device="meta"),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(settings.width, settings.width, device="meta"),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(settings.width, classes, device="meta"),
    )
    network = network.to_empty(device="cpu")
    # torchvision's rule for VGG: He initialisation for convolutions, N(0, 0.01) for the classifier, zero biases. With batch
    # norm (a reduction of ours, whose classifier may be narrow) He for both: N(0, 0.01) is made for 4096 inputs.
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear) and name == "vgg16_bn":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return network


def _module(network: object) -> nn.Module:
    assert isinstance(network, nn.Module)
    return network
