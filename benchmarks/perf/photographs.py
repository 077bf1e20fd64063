"""Generated pictures that take as long to decode as photographs of ImageNet's size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT, QUALITY = 500, 400, 90
"""Pixels, pixels and Pillow's quality: about 85 kB per file (ImageNet's training pictures: 110 kB on average)."""


def photograph(seed: int) -> NDArray[np.uint8]:
    """Return a picture (`HEIGHT`, `WIDTH`, 3) in RGB: surfaces with the spectrum of photographs, edges between them, and noise."""
    random = np.random.Generator(np.random.PCG64(seed))
    frequency = np.hypot(np.fft.rfftfreq(WIDTH), np.fft.fftfreq(HEIGHT)[:, None])
    frequency[0, 0] = 1
    y, x = np.mgrid[:HEIGHT, :WIDTH]

    def plane() -> NDArray[np.float64]:
        noise = np.fft.rfft2(random.standard_normal((HEIGHT, WIDTH))) * frequency**-1.2
        values = np.fft.irfft2(noise, (HEIGHT, WIDTH))
        return np.asarray(values / values.std())

    def surface() -> NDArray[np.float64]:
        shade = plane()
        colours = np.stack([0.85 * shade + 0.35 * plane() for _ in range(3)], axis=2)
        return colours * random.uniform(15, 50) + random.uniform(40, 210, 3)

    picture = surface()
    for _ in range(6):
        left, top, radius = random.uniform(0, WIDTH), random.uniform(0, HEIGHT), random.uniform(0.05, 0.3) * HEIGHT
        inside = np.hypot(x - left, (y - top) * random.uniform(0.5, 2)) < radius
        picture = np.where(inside[:, :, None], surface(), picture)
    picture += random.normal(0, 3, (HEIGHT, WIDTH, 1))
    return picture.clip(0, 255).astype(np.uint8)


def generate(root: Path, count: int) -> None:
    """Write `count` photographs of one class to train/n01/ and one to val/n01/ under `root`."""
    for split, seeds in (("train", range(count)), ("val", range(count, count + 1))):
        folder = root / split / "n01"
        folder.mkdir(parents=True)
        for seed in seeds:
            Image.fromarray(photograph(seed)).save(folder / f"{seed:04d}.JPEG", quality=QUALITY)
