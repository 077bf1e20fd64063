"""VGG-16, GoogLeNet and the ResNets, from torchvision, initialised from a seed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torchvision import models

from tasks.imagenet.recipes import Network


def build(network: str, settings: Network, classes: int, seed: int) -> nn.Module:
    """Return the network with random weights that depend on `seed` only. Input: (batch, 3, height, width) normalised RGB.

    Raises:
        ValueError: `network` is unknown.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(seed)
        # GoogLeNet warns that its slow initialisation, the published one, may be removed.
        warnings.filterwarnings("ignore", category=FutureWarning, module="torchvision")
        if network in ("vgg16", "vgg16_bn"):
            return _vgg16(network, settings, classes)
        options: dict[str, Any] = {}
        if network == "googlenet":
            dropout, auxiliary = settings.dropout
            options = {"aux_logits": True, "init_weights": True, "dropout": dropout, "dropout_aux": auxiliary}
        elif network not in (resnets := models.list_models(models, include="resnet*")):
            raise ValueError(f"unknown network {network!r}: one of {', '.join(resnets)}, googlenet, vgg16, vgg16_bn")
        # `narrowed` replaces the weights, so a narrow network is built without them.
        with torch.device("cpu" if settings.width_factor == 1 else "meta"):
            whole = models.get_model(network, num_classes=classes, **options)
        return narrowed(whole, settings.width_factor, _truncated_normal if options else _he)


def _vgg16(name: str, settings: Network, classes: int) -> nn.Module:
    (dropout,) = settings.dropout
    # Built on the meta device: initialising the 120 million weights of torchvision's classifier takes a second.
    with torch.device("meta"):
        network: nn.Module = models.get_model(name, num_classes=classes, init_weights=False)
    _thin(network.get_submodule("features"), settings.width_factor)
    features = round(512 * settings.width_factor) * settings.pool**2
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
    # torchvision's initialisation of VGG: He for convolutions, normal with standard deviation 0.01 for the classifier, zero biases.
    # With batch norm (our reduced network, whose classifier may be narrow): He for both, because 0.01 is meant for 4096 inputs.
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


def narrowed(network: nn.Module, factor: float, initialise: Callable[[nn.Module], None]) -> nn.Module:
    """Return `network` with `factor` times as many channels in every layer but the last, and new random weights.

    Args:
        network: a network whose last layers are called `fc` or `fc2` (auxiliary heads of GoogLeNet).
        factor: 1 returns the network unchanged.
        initialise: draws the weights of a layer, as torchvision does for this network.

    Raises:
        ValueError: a number of channels times `factor` is not an integer.
    """
    if factor == 1:
        return network
    _thin(network, factor, last=("fc", "fc2"))
    network = network.to_empty(device="cpu")
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.Conv2d, nn.Linear)):
            module.reset_parameters()
            initialise(module)
    return network


def _thin(network: nn.Module, factor: float, last: tuple[str, ...] = ()) -> None:
    """Replace every layer of `network` by a layer with `factor` times the channels, on the meta device."""

    def channels(count: int) -> int:
        if count * factor != int(count * factor):
            raise ValueError(f"width_factor={factor}: {count} channels times that is not a whole number")
        return int(count * factor)

    for name, module in list(network.named_modules()):
        parent, _, own = name.rpartition(".")
        new: nn.Module
        if isinstance(module, nn.Conv2d):
            new = nn.Conv2d(
                3 if module.in_channels == 3 else channels(module.in_channels),
                channels(module.out_channels),
                module.kernel_size,  # type: ignore[arg-type]
                module.stride,  # type: ignore[arg-type]
                module.padding,  # type: ignore[arg-type]
                bias=module.bias is not None,
                device="meta",
            )
        elif isinstance(module, nn.BatchNorm2d):
            new = nn.BatchNorm2d(channels(module.num_features), module.eps, module.momentum, device="meta")
        elif isinstance(module, nn.Linear):
            outputs = module.out_features if own in last else channels(module.out_features)
            new = nn.Linear(channels(module.in_features), outputs, device="meta")
        else:
            continue
        setattr(network.get_submodule(parent), own, new)


def _he(layer: nn.Module) -> None:
    """Draw the weights of a ResNet's convolution as torchvision does (He et al. 2015); other layers keep torch's default."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def _truncated_normal(layer: nn.Module) -> None:
    """Draw the weights of GoogLeNet's convolutions and fully connected layers as torchvision does."""
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.trunc_normal_(layer.weight, mean=0.0, std=0.01, a=-2, b=2)
