"""Training views made where the pictures lie, a batch at a time: Pillow's bilinear filter with antialiasing, bit for bit.

Pillow computes in whole numbers (src/libImaging/Resample.c): weights are rounded to 22 bits, and pixels are rounded after the pass
across and after the pass down. Products and sums of these numbers are exact in float64, so their order does not matter.
The order of the passes does, and Pillow 13 passes down first where a picture is much taller than wide (python-pillow/Pillow#9549):
only views of square pictures are promised to be equal.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

_BITS = 22  # Pillow's PRECISION_BITS: 32 bits, less 8 of a pixel and 2 for sums


def views(pictures: Tensor, boxes: Tensor, flips: Tensor, side: int, taps: int) -> Tensor:
    """Return what `tasks.imagenet.transforms.augment` makes of each picture with `resize` "pillow".

    Args:
        pictures: (N, height, width, 3) uint8.
        boxes: (N, 4) int64: left, top, right and bottom of each crop in pixels.
        flips: (N,) bool: which views are mirrored.
        side: of the views, in pixels.
        taps: at least `most_taps` of the boxes.

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
    """Return the largest number of pixels that one pixel of a view depends on, along a crop of `extent` pixels."""
    return 2 * math.ceil(max(1.0, extent / side)) + 1


def _weights(low: Tensor, high: Tensor, size: int, side: int, taps: int) -> Tensor:
    """Return (N, size, side) whole numbers: how much each pixel along an axis counts for each pixel of the view."""
    scale = ((high - low) / side)[:, None]
    reach = scale.clamp(min=1.0)
    at = torch.arange(side, dtype=torch.float64, device=low.device)
    centre = low[:, None] + (at + 0.5) * scale
    first = (centre - reach + 0.5).clamp(min=0).floor()[:, None]  # (N, 1, side), as all that follows
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
