"""Frozen torchvision classifiers without their last layer, which turn pictures into features."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import InterpolationMode, functional

from tasks.data.images import middle
from tasks.pretrained import Weights

LAYER = "input of the last linear layer or 1x1 convolution, averaged over places"
"""The activations used as features. For VGG-16 they are fc7 after its ReLU (4096 numbers), as in NeuralTalk."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, for RGB in [0, 1]

# Inception v3 is excluded: its weights do not show whether it expects inputs in [-1, 1], as torchvision's weights do.
_NETWORKS = sorted(set(models.list_models(module=models)) - {"inception_v3"})


def require_known(network: str) -> None:
    """Check that torchvision has a classifier of this name.

    Raises:
        ValueError: it has none; the message suggests similar names.
    """
    if network not in _NETWORKS:
        close = difflib.get_close_matches(network, _NETWORKS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "vgg16, resnet50 and squeezenet1_0 are some"
        raise ValueError(f"network={network!r} is no torchvision classifier that is supported; {hint}")


@lru_cache(maxsize=16)
def width(network: str, crop: int) -> int:
    """Return the number of features of `network` for a (crop, crop) picture. This needs no weights.

    Raises:
        ValueError: there is no such network, or it does not accept pictures of that size.
    """
    require_known(network)
    blank = _blank(network)
    device = next(blank.parameters()).device
    blank.set_submodule(_last_layer(blank), nn.Identity())
    try:
        with torch.no_grad(), device:
            output = blank(torch.zeros(1, 3, crop, crop))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ValueError(f"{network} cannot take pictures of {crop} x {crop}: {error}") from error
    assert output.ndim == 2, f"{network}: features of shape {tuple(output.shape)}"
    return int(output.shape[1])


def load(network: str, weights: Weights, device: torch.device) -> nn.Module:
    """Return the network on `device` in evaluation mode. An identity replaces its last layer, so it outputs features.

    In most networks nothing follows the last layer. In SqueezeNet the last layer is a 1x1 convolution. A ReLU and the average over
    positions follow it; the ReLU does not change features, because they are not negative. The weights determine the number of
    classes.

    Raises:
        ValueError: there is no such network, or the weights do not fit it.
    """
    require_known(network)
    blank = _blank(network)
    last = _last_layer(blank)
    head, expected = (state.get(f"{last}.weight") for state in (weights.state, blank.state_dict()))
    assert expected is not None, f"{network}: {last} has no weight"
    # A head that does not fit is rejected below. Its length must not determine how much memory the network takes.
    classes = len(head) if head is not None and head.shape[1:] == expected.shape[1:] else 1000
    auxiliary = network != "googlenet" or any(name.startswith("aux1.") for name in weights.state)
    with torch.random.fork_rng(devices=[]):  # its random weights are overwritten
        model = _construct(network, num_classes=classes, **({} if auxiliary else {"aux_logits": False}))
    try:
        weights.load_into(model)
    except ValueError as error:
        raise ValueError(f"network={network!r}: {error}") from error
    model.set_submodule(last, nn.Identity())
    model.eval().requires_grad_(False)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def default_weights(network: str) -> str:
    """Return the name of torchvision's default weights for `network`."""
    return str(models.get_model_weights(network).DEFAULT)


def view(picture: NDArray[np.uint8], resize: int | None, crop: int) -> NDArray[np.uint8]:
    """Return the network's view (crop, crop, 3) of a (height, width, 3) RGB picture.

    The short side is resized to `resize` and the centre is cropped. Without `resize`, the whole picture is warped to crop x crop by
    bicubic interpolation with antialiasing, as MATLAB's imresize does.
    """
    if resize is None:
        return np.asarray(functional.resize(Image.fromarray(picture), [crop, crop], InterpolationMode.BICUBIC))
    resized = functional.resize(Image.fromarray(middle(picture, resize)), [resize], InterpolationMode.BILINEAR)
    return np.asarray(functional.center_crop(resized, [crop, crop]))


def normalise(views: Tensor) -> Tensor:
    """Return (N, 3, height, width) uint8 RGB as float32, normalised for torchvision's classifiers."""
    x = views.to(torch.float32, memory_format=torch.channels_last, copy=True).div_(255)
    mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return x.sub_(mean).div_(std)


def _last_layer(model: nn.Module) -> str:
    """Return the name of the layer that outputs class scores. torchvision registers it last in every classifier."""
    layers: list[str] = [name for name, module in model.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return layers[-1]


def _blank(network: str) -> nn.Module:
    """Return the network on the meta device, or with random weights if its constructor calculates with tensors (RegNet)."""
    try:
        with torch.device("meta"):
            return _construct(network).eval()
    except NotImplementedError:
        with torch.random.fork_rng(devices=[]):
            return _construct(network).eval()


def _construct(network: str, **settings: Any) -> nn.Module:
    if network == "googlenet":
        settings["init_weights"] = False  # slow, and it warns
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="torchvision")
        constructor: Callable[..., nn.Module] = models.get_model_builder(network)
        return constructor(weights=None, **settings)
