"""Decodes the SqueezeNet of Deep Compression (songhan/SqueezeNet-Deep-Compression) to torchvision's weights.

The file begins with 26 little-endian uint32, the number of stored weights of each convolution in network order. Then each
convolution has, in this order: a codebook of 256 float32; the biases, float32; a uint8 per stored weight, its index into the
codebook; and four bits per stored weight, the number of weights skipped before it. A byte holds two of these numbers, the first in
its low half. Weights that are not stored are codebook[0].
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torchvision import models

from tasks.data.cache import write_whole
from tasks.flickr8k.backbone import MEAN, STD

NAME = "compressed_SqueezeNet.net"
_CODES = 256
_CAFFE_MEAN = (123, 117, 104)
"""Mean that the released network subtracts from its input, from 0 to 255, here in the order R, G, B. The network uses B, G, R."""


def prepare(source: Path, target: Path, sha256: str | None = None) -> None:
    """Write the weights that `source` holds as a safetensors file, ready for `load_state_dict(strict=True)`.

    Args:
        source: compressed_SqueezeNet.net, or the folder that holds it.
        target: the file to write.
        sha256: expected checksum of `source`; None skips the check.

    Raises:
        ValueError: there is no such file, its checksum differs, or its content is invalid.
        OSError: a file cannot be read or written.
    """
    path = source / NAME if source.is_dir() else source
    if not path.is_file():
        raise ValueError(f"{path} is not there; --from takes the folder that holds {NAME}")
    data = path.read_bytes()
    if sha256 and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise ValueError(f"{path} has {len(data):,} bytes and the SHA-256 {found}; expected {sha256}: it is damaged")
    try:
        tensors = decode(data)
    except ValueError as error:
        raise ValueError(f"{path} is no compressed SqueezeNet: {error}") from error
    write_whole(target, save(tensors))


def decode(data: bytes) -> dict[str, NDArray[np.float32]]:
    """Return torchvision's weights by name, for RGB pictures in torchvision's normalisation.

    Args:
        data: the whole file.

    Raises:
        ValueError: the data is cut short or too long, or a weight lies outside its layer.
    """
    tensors: dict[str, NDArray[np.float32]] = {}
    for name, weight, bias in _layers(data):
        if name == "features.0":
            weight, bias = _fold(weight, bias)
        tensors[f"{name}.weight"] = weight.astype(np.float32)
        tensors[f"{name}.bias"] = bias.astype(np.float32)
    return tensors


def _layers(data: bytes) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Yield name, weight (out, in, height, width) and bias (out,) of every convolution."""
    with torch.device("meta"):
        network = models.squeezenet1_0()
    shapes = {name: tuple(m.weight.shape) for name, m in network.named_modules() if isinstance(m, torch.nn.Conv2d)}
    file = io.BytesIO(data)
    stored = _take(file, "<u4", len(shapes), "the numbers of stored weights")
    for (name, shape), count in zip(shapes.items(), map(int, stored), strict=True):
        if count > math.prod(shape):
            raise ValueError(f"{count:,} weights are stored of {name}, which has {math.prod(shape):,}")
        codebook = _take(file, "<f4", _CODES, f"the codebook of {name}").astype(np.float64)
        bias = _take(file, "<f4", shape[0], f"the biases of {name}").astype(np.float64)
        codes = _take(file, "u1", count, f"the codes of {name}")
        packed = _take(file, "u1", (count + 1) // 2, f"the offsets of {name}")
        offsets = np.stack([packed & 15, packed >> 4], axis=1).ravel()[:count].astype(np.int64)
        positions = np.cumsum(offsets + 1) - 1
        if count and positions[-1] >= math.prod(shape):
            raise ValueError(f"a weight of {name} lies at {positions[-1]:,}, beyond its {math.prod(shape):,}")
        weight = np.full(math.prod(shape), codebook[0])
        weight[positions] = codebook[codes]
        yield name, weight.reshape(shape), bias
    if rest := file.read():
        raise ValueError(f"it has {len(data):,} bytes, {len(rest):,} too many")


def _take(file: BinaryIO, kind: str, count: int, what: str) -> NDArray[Any]:
    """Return the next `count` numbers of a NumPy type.

    Raises:
        ValueError: the file ends earlier.
    """
    data = file.read(count * np.dtype(kind).itemsize)
    if len(data) < count * np.dtype(kind).itemsize:
        raise ValueError(f"it ends after {file.tell():,} bytes, in the midst of {what}")
    return np.frombuffer(data, kind)


def _fold(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first convolution for torchvision's input x instead of Caffe's 255 (std x + mean) - caffe_mean in BGR."""
    weight = weight[:, ::-1]
    shift = np.array([255 * mean - caffe for mean, caffe in zip(MEAN, _CAFFE_MEAN, strict=True)])
    scale = np.array([255 * std for std in STD])
    # fsum is exact, so the result does not depend on the order of addition.
    moved = [math.fsum((kernel * shift[:, None, None]).ravel()) for kernel in weight]
    return weight * scale[:, None, None], bias + np.array(moved)
