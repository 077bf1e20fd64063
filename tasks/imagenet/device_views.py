"""Training views of a batch, made on the device that holds the pictures. They equal those of Pillow's bilinear filter bit for bit.

Pillow antialiases and computes with integers (src/libImaging/Resample.c). It rounds weights to 22 binary places, and rounds pixels
after the horizontal and after the vertical pass. Products and sums of these numbers are exact in float64, so the order of additions
does not matter. The order of the passes does matter. If a picture is much taller than wide, Pillow 13 does the vertical pass first
(python-pillow/Pillow#9549). So equality is guaranteed only for square pictures.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

_BITS = 22  # Pillow's PRECISION_BITS: 32 bits minus 8 for a pixel and 2 for sums


def views(pictures: Tensor, boxes: Tensor, flips: Tensor, side: int, taps: int) -> Tensor:
    """Return the views that `tasks.imagenet.transforms.augment` makes with `resize` "pillow".

    Args:
        pictures: (N, height, width, 3) uint8.
        boxes: (N, 4) int64: left, top, right and bottom of each crop in pixels.
        flips: (N,) bool: which views are mirrored.
        side: side of the views in pixels.
        taps: at least the `most_taps` of every box.

    Returns:
        (N, 3, side, side) uint8.
    """
    n, height, width, _ = pictures.shape
    left, top, right, bottom = boxes.double().unbind(1)
    x = pictures.permute(0, 3, 1, 2).to(torch.float64)
    x = _rounded(x.flatten(1, 2) @ _weights(left, right, width, side, taps)).view(n, 3, height, side)
    x = _rounded(_weights(top, bottom, height, side, taps).transpose(1, 2)[:, None] @ x)
    return torch.where(flips.view(n, 1, 1, 1), x.flip(3), x).to(torch.uint8)


def most_taps(extent: int, side: int) -> int:
    """Return the maximum number of pixels along an axis on which a pixel of a view depends, for a crop of `extent` pixels."""
    return 2 * math.ceil(max(1.0, extent / side)) + 1


def _weights(low: Tensor, high: Tensor, size: int, side: int, taps: int) -> Tensor:
    """Return (N, size, side) integers in float64: the weight of each pixel along an axis for each pixel of the view, times 2^22."""
    scale = ((high - low) / side)[:, None]
    reach = scale.clamp(min=1.0)
    at = torch.arange(side, dtype=torch.float64, device=low.device)
    centre = low[:, None] + (at + 0.5) * scale
    first = (centre - reach + 0.5).clamp(min=0).floor()[:, None]  # (N, 1, side), as are the next tensors
    last = (centre + reach + 0.5).floor().clamp(max=size)[:, None]
    centre, slope = centre[:, None], (1.0 / reach)[:, None]

    def weight(pixels: Tensor) -> Tensor:
        value = (1.0 - ((pixels - centre + 0.5) * slope).abs()).clamp(min=0)
        return value * ((pixels >= first) & (pixels < last))

    near = weight(first + torch.arange(taps, dtype=torch.float64, device=low.device)[:, None])
    total = functools.reduce(torch.add, near.unbind(1))[:, None]  # in Pillow's order
    pixels = torch.arange(size, dtype=torch.float64, device=low.device)[:, None]
    return (weight(pixels) / total * 2.0**_BITS + 0.5).floor()


def _rounded(sums: Tensor) -> Tensor:
    return ((sums + 2.0 ** (_BITS - 1)) * 2.0**-_BITS).floor().clamp(0, 255)
