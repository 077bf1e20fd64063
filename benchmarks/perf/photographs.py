"""Generated pictures that cost what photographs of ImageNet's size cost to decode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT, QUALITY = 500, 400, 90
"""Pixels, pixels, and Pillow's quality: some 85 kB a file (ImageNet's training pictures: 110 kB on average)."""


def photograph(seed: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Return (height, width, 3) RGB: surfaces whose spectrum falls as a photograph's does, edges between them, and noise."""
    random = np.random.Generator(np.random.PCG64(seed))
    frequency = np.hypot(np.fft.rfftfreq(width), np.fft.fftfreq(height)[:, None])
    frequency[0, 0] = 1
    y, x = np.mgrid[:height, :width]

    def plane() -> NDArray[np.float64]:
        noise = np.fft.rfft2(random.standard_normal((height, width))) * frequency**-1.2
        values: NDArray[np.float64] = np.fft.irfft2(noise, (height, width))
        values /= values.std()
        return values

    def surface() -> NDArray[np.float64]:
        shade = plane()
        colours = np.stack([0.85 * shade + 0.35 * plane() for _ in range(3)], axis=2)
        return colours * random.uniform(15, 50) + random.uniform(40, 210, 3)

    picture = surface()
    for _ in range(6):
        left, top, radius = random.uniform(0, width), random.uniform(0, height), random.uniform(0.05, 0.3) * height
        inside = np.hypot(x - left, (y - top) * random.uniform(0.5, 2)) < radius
        picture = np.where(inside[:, :, None], surface(), picture)
    picture += random.normal(0, 3, (height, width, 1))
    return picture.clip(0, 255).astype(np.uint8)


def generate(root: Path, count: int, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Write `count` photographs of one class to train/n01/ and one to val/n01/ under `root`."""
    for split, seeds in (("train", range(count)), ("val", range(count, count + 1))):
        folder = root / split / "n01"
        folder.mkdir(parents=True)
        for seed in seeds:
            picture = Image.fromarray(photograph(seed, width, height))
            picture.save(folder / f"{seed:04d}.JPEG", quality=QUALITY)
