"""Preprocessing: crop and flip for each picture; colour changes and normalisation for batches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tasks.data.images import middle
from tasks.imagenet.settings import Augmentation
from tasks.random_streams import derive

_TRIES = 10
# Indices of a sample's uniform random numbers, by use. They are fixed, so no setting changes the numbers that another one uses.
_AREA, _RATIO, _LEFT, _TOP = (slice(start, 4 * _TRIES, 4) for start in range(4))
_FLIP, _FACTORS, _ORDER, _NORMAL = 40, slice(41, 44), slice(44, 47), slice(47, 53)
_UNIFORMS = 53

# Principal components of ImageNet's colours (RGB in [0, 1]; a column each) and their weights:
# fb.resnet.torch, datasets/imagenet.lua
_COMPONENTS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
_WEIGHTS = (0.2175, 0.0188, 0.0045)
_LUMA = (0.299, 0.587, 0.114)


class Colour(NamedTuple):
    """Random colour changes of a batch.

    Attributes:
        factors: (N, 3) float32, of brightness, contrast and saturation.
        order: (N, 3) int64, a permutation: the order of these three changes.
        lighting: (N, 3) float32, added to R, G and B.
    """

    factors: Tensor
    order: Tensor
    lighting: Tensor


class Choices(NamedTuple):
    """The random choices for the training views of a batch.

    Attributes:
        boxes: (N, 4) int64, left, top, right and bottom of the crops in pixels.
        flips: (N,) bool, whether each view is mirrored.
        colour: colour changes.
    """

    boxes: NDArray[np.int64]
    flips: NDArray[np.bool_]
    colour: Colour


def draws(count: int, *purpose: str | int) -> NDArray[np.uint64]:
    """Return (count,) random 64-bit numbers that depend on `purpose` only, on every machine and with every library version."""
    key = derive(*purpose).to_bytes(8, "little")
    return np.frombuffer(hashlib.shake_128(key).digest(8 * count), dtype="<u8")


def uniforms(count: int, *purpose: str | int) -> NDArray[np.float64]:
    """Return (count,) random numbers in [0, 1) that depend on `purpose` only."""
    return (draws(count, *purpose) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def choose(
    sizes: Sequence[tuple[int, int]], settings: Augmentation, seed: int, samples: Sequence[tuple[int, int]]
) -> Choices:
    """Return the random choices for a batch of samples. Those of a sample do not depend on the other samples.

    Area (uniform) and width / height (log-uniform) of a crop are drawn from the ranges of the settings. After ten crops that
    do not fit, the crop is the largest square in the centre (Szegedy et al. 2015). fb.resnet.torch multiplies one side by the
    ratio and divides the other, so its width / height is the square of the ratio; here it is the ratio.

    Args:
        sizes: width and height of each picture in pixels.
        settings: the ranges.
        seed: seed of the trial.
        samples: epoch and number in the data set of each sample, both from 0.
    """
    u = np.stack([uniforms(_UNIFORMS, "augment", seed, epoch, index) for epoch, index in samples])
    flips = u[:, _FLIP] < 0.5 if settings.flip else np.zeros(len(u), dtype=np.bool_)
    return Choices(_boxes(np.array(sizes), settings, u), flips, _colour(settings, u))


def augment(
    pictures: Sequence[NDArray[np.uint8]], settings: Augmentation, seed: int, samples: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.uint8], Colour]:
    """Return the training views of a batch.

    With `settings.resize` "torch", torch's filter on integers resizes the crop. Measured on photographs of 500 x 400 pixels at
    crop 224: a pixel differs from Pillow's by 0.015 of 255 levels on average (99 % are equal) and by at most 2. The two pixels
    along each edge differ more, because Pillow's filter uses pixels beyond the crop and torch's does not.

    Args:
        pictures: (height, width, 3) RGB each.
        settings: ranges, and the side of the result.
        seed: seed of the trial.
        samples: epoch and number in the data set of each sample, both from 0.

    Returns:
        (N, crop, crop, 3) RGB, resized with antialiasing, and the colour changes for `finish`.
    """
    sizes = [(picture.shape[1], picture.shape[0]) for picture in pictures]
    choices = choose(sizes, settings, seed, samples)
    view = _torch_view if settings.resize == "torch" else _pillow_view
    chosen = zip(pictures, choices.boxes.tolist(), choices.flips.tolist(), strict=True)
    return np.stack([view(picture, tuple(box), settings.crop, flip) for picture, box, flip in chosen]), choices.colour


def central_view(picture: NDArray[np.uint8], settings: Augmentation) -> NDArray[np.uint8]:
    """Return the test view: resize the short side to `test_resize` and crop the centre, (test_crop, test_crop, 3)."""
    picture = middle(picture, settings.test_resize)
    height, width = picture.shape[:2]
    short = min(height, width)
    if short != settings.test_resize:
        width, height = (round(side * settings.test_resize / short) for side in (width, height))
        picture = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
    top, left = (height - settings.test_crop) // 2, (width - settings.test_crop) // 2
    return picture[top : top + settings.test_crop, left : left + settings.test_crop]


def finish(batch: Tensor, colour: Colour | None, settings: Augmentation) -> Tensor:
    """Change the colours of a batch and normalise it, on its device.

    As in fb.resnet.torch, brightness, contrast and saturation blend with black, with the mean grey of the picture and with its
    grey version. Their order is drawn for each sample. Lighting noise is added last. Values are not clipped.

    Args:
        batch: (N, 3, height, width) uint8 RGB.
        colour: colour changes of the batch, or None in testing.
        settings: the kinds of changes, and mean and standard deviation.

    Returns:
        (N, 3, height, width) float32, channels last in memory.
    """
    x = batch.to(torch.float32, memory_format=torch.channels_last, copy=True).div_(255)  # a copy, changed in place
    if colour is not None and settings.jitter:
        luma = _on_device(_LUMA, 1, x.device).view(1, 3, 1, 1)
        for turn in range(3):
            kind = colour.order[:, turn]
            factor = colour.factors.gather(1, kind[:, None]).view(-1, 1, 1, 1)
            grey = (x * luma).sum(1, keepdim=True)
            is_contrast, is_saturation = ((kind == which).view(-1, 1, 1, 1) for which in (1, 2))
            other = torch.where(is_saturation, grey, torch.where(is_contrast, grey.mean((2, 3), keepdim=True), 0.0))
            x.mul_(factor).add_(other * (1 - factor))
    if colour is not None and settings.lighting:
        x.add_(colour.lighting[:, :, None, None])
    # By whole rows of pixels: over the three channels alone, the inner loop would have only three iterations.
    n, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).view(n, height, width * channels)
    mean, std = (_on_device(values, width, x.device) for values in (settings.mean, settings.std))
    rows.sub_(mean).div_(std)
    return x


@lru_cache(maxsize=16)
def _on_device(values: tuple[float, ...], times: int, device: torch.device) -> Tensor:
    """Return float32 `values`, repeated, on the device. Cached, because each copy to a GPU would wait for all earlier steps."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device).repeat(times)


_Box = tuple[int, int, int, int]


def _pillow_view(picture: NDArray[np.uint8], box: _Box, side: int, flip: bool) -> NDArray[np.uint8]:
    view = Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR, box=box)
    return np.asarray(view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else view)


def _torch_view(picture: NDArray[np.uint8], box: _Box, side: int, flip: bool) -> NDArray[np.uint8]:
    left, top, right, bottom = box
    crop = torch.from_numpy(picture).permute(2, 0, 1)[None, :, top:bottom, left:right]
    view = functional.interpolate(crop, (side, side), mode="bilinear", antialias=True)[0]
    return (view.flip(2) if flip else view).permute(1, 2, 0).numpy()


def _boxes(sizes: NDArray[np.int64], settings: Augmentation, u: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (N, 4) left, top, right and bottom for (N, 2) widths and heights and (N, _UNIFORMS) random numbers."""
    width, height = sizes[:, 0], sizes[:, 1]
    low, high = settings.area
    narrow, wide = (math.log(ratio) for ratio in settings.ratio)
    areas = (width * height)[:, None] * (low + (high - low) * u[:, _AREA])
    ratios = np.exp(narrow + (wide - narrow) * u[:, _RATIO])
    widths, heights = np.rint(np.sqrt(areas * ratios)), np.rint(np.sqrt(areas / ratios))
    fits = np.logical_and.reduce([widths >= 1, widths <= width[:, None], heights >= 1, heights <= height[:, None]])
    first = np.arange(len(u)), fits.argmax(1)
    w, h = widths[first], heights[first]
    left, top = np.floor(u[:, _LEFT][first] * (width - w + 1)), np.floor(u[:, _TOP][first] * (height - h + 1))
    boxes = np.stack([left, top, left + w, top + h], axis=1).astype(np.int64)
    side = np.minimum(width, height)
    x, y = (width - side) // 2, (height - side) // 2
    return np.where(fits.any(axis=1, keepdims=True), boxes, np.stack([x, y, x + side, y + side], axis=1))


def _colour(settings: Augmentation, u: NDArray[np.float64]) -> Colour:
    factors = 1 + settings.jitter * (2 * u[:, _FACTORS] - 1)
    order = np.argsort(u[:, _ORDER], axis=1, kind="stable")
    for_radius, for_angle = u[:, _NORMAL][:, :3], u[:, _NORMAL][:, 3:]
    radius, angle = np.sqrt(-2 * np.log(1 - for_radius)), 2 * math.pi * for_angle  # Box and Muller 1958
    normal = settings.lighting * radius * np.cos(angle)
    # One product per sample: a single product for the batch could add in another order.
    components = np.array(_COMPONENTS)
    lighting = np.stack([components @ one for one in normal * np.array(_WEIGHTS)])
    return Colour(torch.from_numpy(factors).float(), torch.from_numpy(order), torch.from_numpy(lighting).float())
