"""Features of pictures for the captioner: extracted once by a frozen network, then cached on disk.

The batch size changes the features of a picture only by rounding (about 1e-6): different sizes use different kernels.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from tasks.data.cache import cache_dir, write_whole
from tasks.data.images import decode
from tasks.data.threads import read_ahead
from tasks.flickr8k import backbone
from tasks.pretrained import Weights
from tasks.task import Progress

VERSION = 1
"""Increase it with every change to the computation; it is part of the data fingerprint and of the cache key."""

GRID = 12
"""The features "pixels" are the mean colours of a picture in a grid of GRID x GRID cells."""

_BATCH, _BATCH_ON_CPU = (
    64,
    8,
)  # SqueezeNet on a core: 87 pictures per second in batches of 8, 47 in batches of 64


@dataclass(frozen=True)
class Extractor:
    """Turns pictures into features.

    Attributes:
        network: a torchvision classifier, such as "vgg16" or "squeezenet1_0"; or "pixels", which needs no weights: the
            picture averaged to a 12 x 12 grid, RGB in [-1, 1].
        weights: weights of the network; None for "pixels".
        resize: short side of the resized picture in pixels, with antialiasing. None warps the whole picture to crop x crop.
        crop: side of the centre crop, the network's input.
        device: device of the network.

    Raises:
        ValueError: there is no such network, it has no weights, or it does not accept pictures of `crop` x `crop`.
    """

    network: str
    weights: Weights | None
    resize: int | None
    crop: int
    device: torch.device

    def __post_init__(self) -> None:
        if self.network == "pixels":
            if self.weights is not None:
                raise ValueError(f"network='pixels' takes no weights, but got {self.weights.source}")
            return
        backbone.require_known(self.network)
        if self.weights is None:
            raise ValueError(f"network={self.network!r} needs weights: a file, or a name that torchvision knows")
        if self.crop < 1 or (self.resize is not None and self.crop > self.resize):
            raise ValueError(f"crop={self.crop} and resize={self.resize}: expected 0 < crop <= resize")
        backbone.width(self.network, self.crop)

    @property
    def width(self) -> int:
        """The number of features per picture."""
        return 3 * GRID**2 if self.network == "pixels" else backbone.width(self.network, self.crop)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the definition of the features, independent of device and library versions."""
        facts: list[Any] = [VERSION, self.network]
        facts += [GRID] if self.weights is None else [self.weights.sha256, self.resize, self.crop, backbone.LAYER]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def key(self) -> str:
        """Return the SHA-256 of `fingerprint` and everything that can change the last digits of features: decoder and kernels."""
        facts: list[Any] = [self.fingerprint(), PIL.__version__]
        if self.weights is not None:
            facts += [backbone.MEAN, backbone.STD, torch.__version__, torchvision.__version__, self.device.type]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def describe(self) -> str:
        """Return a line for the record."""
        if self.weights is None:
            return f"pixels: mean colours on a {GRID} x {GRID} grid, {self.width} features"
        cut = f"short side {self.resize}, crop {self.crop}"
        if self.resize is None:
            cut = f"pictures warped to {self.crop} x {self.crop}"
        return (
            f"{self.network} (weights {self.weights.source}, SHA-256 {self.weights.sha256[:12]}), "
            f"{self.width} features before the classifier, {cut}"
        )


def extract(extractor: Extractor, folder: Path, names: Sequence[str], fingerprint: str, progress: Progress) -> Tensor:
    """Return the features of the pictures `names` in `folder`, from the cache if possible.

    Args:
        extractor: network, weights and preprocessing.
        folder: folder of the pictures.
        names: file names of the pictures.
        fingerprint: changes if the content of any picture changes.
        progress: called as pictures are done, but not if the features are cached.

    Returns:
        (len(names), extractor.width) float32 on the CPU, in the order of `names`.

    Raises:
        ValueError: a picture cannot be decoded, the weights do not fit the network, or a feature is not finite.
        OSError: a picture cannot be opened.
    """
    key = hashlib.sha256(json.dumps([extractor.key(), fingerprint, list(names)]).encode()).hexdigest()
    path = cache_dir() / "features" / f"{key[:32]}.safetensors"
    held = _recall(path, key, (len(names), extractor.width))
    if held is not None:
        return held
    features = _extract(extractor, folder, names, progress)
    with contextlib.suppress(OSError):  # on a full or read-only disk, features are extracted again next time
        _remember(path, key, features)
    return features


def _extract(extractor: Extractor, folder: Path, names: Sequence[str], progress: Progress) -> Tensor:
    features = torch.empty(len(names), extractor.width)
    weights, device = extractor.weights, extractor.device
    network = None if weights is None else backbone.load(extractor.network, weights, device)
    done = 0
    # Without TF32 and benchmarking of kernels, so that all runs give the same features.
    exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.no_grad(), exact, contextlib.closing(_views(extractor, folder, names)) as batches:
        for batch in batches:
            views = torch.from_numpy(np.stack(batch))
            if network is None:
                output = views.flatten(1).float().div_(127.5).sub_(1)
            else:
                output = network(backbone.normalise(views.permute(0, 3, 1, 2).to(device)))
            features[done : done + len(batch)] = output.cpu()
            done += len(batch)
            progress("extracting features", done, len(names))
    finite = features.isfinite().all(dim=1)
    if not finite.all():
        name = names[int(finite.int().argmin())]
        raise ValueError(f"{extractor.describe()}: the features of {name} are no numbers; are these weights damaged?")
    return features


def _views(extractor: Extractor, folder: Path, names: Sequence[str]) -> Generator[list[NDArray[np.uint8]], None, None]:
    """Yield batches of views (side, side, 3), the input of the network, in order."""

    def read(name: str) -> NDArray[np.uint8]:
        picture = decode(folder / name)
        if extractor.weights is None:
            return np.asarray(Image.fromarray(picture).resize((GRID, GRID), Image.Resampling.BOX))
        return backbone.view(picture, extractor.resize, extractor.crop)

    size = _BATCH_ON_CPU if extractor.device.type == "cpu" else _BATCH
    return read_ahead(read, [names[start : start + size] for start in range(0, len(names), size)], folder.joinpath)


def _recall(path: Path, key: str, shape: tuple[int, int]) -> Tensor | None:
    """Return the features at `path`; None if they are absent, damaged or for another key."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            features: Tensor = file.get_tensor("features")
    except Exception:  # absent, or any error of the reader on a damaged file
        return None
    if metadata.get("key") != key or features.dtype != torch.float32 or tuple(features.shape) != shape:
        return None
    return features if metadata.get("sha256") == _sha256(features) else None


def _remember(path: Path, key: str, features: Tensor) -> None:
    """Write the features to `path` atomically.

    Raises:
        OSError: they cannot be written.
    """
    write_whole(path, save({"features": features}, {"key": key, "sha256": _sha256(features)}))


def _sha256(features: Tensor) -> str:
    return hashlib.sha256(features.numpy().tobytes()).hexdigest()
