"""The smoke set: generated pictures in ImageNet's layout, for a test of a row in seconds on any machine.

The twelve classes are six shapes, each plain or striped. Only form distinguishes them: colours, positions, sizes and angles have
the same distribution in all classes. Backgrounds are noisy. The set tests that a row runs, not DSD.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.data.cache import MARK, cache_dir, made_once
from tasks.imagenet.transforms import uniforms

VERSION = 2
"""Increase it with every change to the pictures; it is part of the cache key."""

SHAPES = ("cross", "disc", "ring", "square", "star", "triangle")
FILLINGS = ("plain", "striped")
CLASSES = {
    f"tiny{number:02d}_{shape}_{filling}": (shape, filling == "striped")
    for number, (shape, filling) in enumerate(itertools.product(SHAPES, FILLINGS), 1)
}
"""Shape, and whether it is striped, by folder name of the class."""
_SAMPLING = 4  # points per pixel and axis: smooth edges
_NOISE = 0.12
_Plane = NDArray[np.float64]


def ensure(cache: Path | None = None, train: int = 60, val: int = 25, size: int = 40) -> Path:
    """Return the root of the generated set; generate it if the cache does not hold it (see `tasks.data.cache.made_once`).

    Args:
        cache: folder of the set; by default `cache_dir()`.
        train: training pictures per class.
        val: test pictures per class.
        size: side in pixels.
    """
    target = (cache or cache_dir()) / f"tiny-imagenet-shapes-v{VERSION}-{train}-{val}-{size}"
    return made_once(target, lambda root: generate(root, train, val, size))


def generate(root: Path, train: int = 60, val: int = 25, size: int = 40) -> None:
    """Write train/CLASS/*.JPEG and val/CLASS/*.JPEG under `root`: `train` and `val` pictures per class, size x size."""
    root.mkdir(parents=True)
    (root / MARK).write_text(
        f"Generated pictures, version {VERSION} (tasks/imagenet/synthetic.py). Results on them say nothing of DSD.\n"
    )
    for split, count in (("train", train), ("val", val)):
        for name, (shape, striped) in CLASSES.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = picture(shape, striped, size, split, index)
                Image.fromarray(pixels).save(folder / f"{name}_{index}.JPEG", quality=92)


def picture(shape: str, striped: bool, size: int, *purpose: str | int) -> NDArray[np.uint8]:
    """Draw a (size, size, 3) picture. `purpose` (split and number) is the seed."""
    key = ("tiny", VERSION, shape, int(striped), *purpose)
    u = uniforms(24, *key)
    image = _background(size, u, key)
    inside, stripe = _inside(shape, size, u)
    # The two colours of the shape differ from the background and from each other. A plain shape has their mean. All shapes
    # cover the same area on average, so all classes have the same mean colour.
    light, dark = 1 - 0.3 * u[0:3], 0.35 + 0.2 * u[3:6]
    plain = np.broadcast_to((light + dark) / 2, (*inside.shape, 3))
    colour = np.where(stripe[..., None], light, dark) if striped else plain
    cover = _shrink(inside[..., None].astype(np.float64), size)
    image = image * (1 - cover) + _shrink(colour * inside[..., None], size)
    if u[19] < 0.5:
        image = 1 - image
    noise = uniforms(2 * size * size * 3, *key, "noise").reshape(2, size, size, 3).sum(0) - 1  # triangular
    noisy: NDArray[np.uint8] = np.clip(np.rint(255 * (image + 2 * _NOISE * noise)), 0, 255).astype(np.uint8)
    return noisy


def _background(size: int, u: _Plane, key: tuple[str | int, ...]) -> _Plane:
    """Return (size, size, 3): a coarse texture between two random dark colours."""
    coarse = uniforms(49, *key, "texture").reshape(7, 7)
    texture = Image.fromarray((255 * coarse).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    mix = np.asarray(texture)[..., None] / 255
    return np.asarray(0.35 * (u[6:9] * mix + u[9:12] * (1 - mix)))


def _inside(shape: str, size: int, u: _Plane) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two (4 size, 4 size) masks: the points within the shape, and those on every other stripe."""
    axis = (np.arange(size * _SAMPLING) + 0.5) / (size * _SAMPLING)
    radius = 0.27 + 0.09 * u[12]  # in units of the picture's side
    x, y = axis[None, :] - (0.42 + 0.16 * u[13]), axis[:, None] - (0.42 + 0.16 * u[14])
    turn = 2 * math.pi * u[15]
    x, y = (math.cos(turn) * x + math.sin(turn) * y) / radius, (math.cos(turn) * y - math.sin(turn) * x) / radius
    distance, angle = np.hypot(x, y), np.arctan2(y, x)
    if shape == "disc":  # every shape has an area of about 2 radius^2
        inside = distance < 0.8
    elif shape == "ring":
        inside = (distance < 1) & (distance > 0.6)
    elif shape == "square":
        inside = np.maximum(abs(x), abs(y)) < 0.71
    elif shape == "cross":
        inside = (np.minimum(abs(x), abs(y)) < 0.29) & (np.maximum(abs(x), abs(y)) < 1)
    elif shape == "triangle":
        inside = _polar(distance / 1.24, angle, corners=3, inner=0.5)
    elif shape == "star":
        inside = _polar(distance / 1.2, angle, corners=5, inner=0.47)
    else:
        raise ValueError(f"shape={shape!r}: expected one of {SHAPES}")
    direction = 2 * math.pi * u[16]
    wave = np.sin(2 * math.pi * ((math.cos(direction) * x + math.sin(direction) * y) * (1.2 + 0.6 * u[17]) + u[18]))
    return inside, wave > 0


def _polar(distance: _Plane, angle: _Plane, corners: int, inner: float) -> NDArray[np.bool_]:
    """Return the points within a star with outer corners at distance 1 and inner corners at distance `inner`."""
    half = math.pi / corners
    offset = abs((angle % (2 * half)) - half)  # 0 at an inner corner, `half` at an outer one
    from_outer = half - offset
    # Distance at which a ray meets the edge from (1, 0) to inner * (cos half, sin half).
    edge = (inner * math.sin(half)) / (
        np.sin(from_outer) * (1 - inner * math.cos(half)) + np.cos(from_outer) * inner * math.sin(half)
    )
    return np.asarray(distance < edge)


def _shrink(points: _Plane, size: int) -> _Plane:
    """Average (4 size, 4 size, c) down to (size, size, c)."""
    return np.asarray(points.reshape(size, _SAMPLING, size, _SAMPLING, -1).mean(axis=(1, 3)))
