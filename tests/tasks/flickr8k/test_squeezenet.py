"""Decoding Deep Compression's SqueezeNet: each weight of a small file by hand, and the weights of the results bit for bit."""

from __future__ import annotations

import hashlib
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torchvision import models

from tasks.flickr8k import squeezenet

REAL = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "weights"

with torch.device("meta"):
    SHAPES = {
        name: tuple(module.weight.shape)
        for name, module in models.squeezenet1_0().named_modules()
        if isinstance(module, torch.nn.Conv2d)
    }
CODEBOOK = [index / 256 for index in range(256)]


def packed(stored: Mapping[str, list[tuple[int, int]]]) -> bytes:
    """Return a file whose layers store these entries (number of zeros before the weight, code). All biases are 0.5."""
    parts = [struct.pack("<26I", *(len(stored.get(name, [])) for name in SHAPES))]
    for name, shape in SHAPES.items():
        entries = stored.get(name, [])
        offsets = [zeros for zeros, _ in entries]
        offsets += [0] * (len(offsets) % 2)
        parts.append(struct.pack("<256f", *CODEBOOK) + struct.pack(f"<{shape[0]}f", *[0.5] * shape[0]))
        parts.append(bytes(code for _, code in entries))
        parts.append(bytes(low | high << 4 for low, high in zip(offsets[::2], offsets[1::2], strict=True)))
    return b"".join(parts)


def test_stored_weights_go_where_their_offsets_say() -> None:
    found = squeezenet.decode(packed({"features.3.squeeze": [(0, 128), (15, 64), (2, 32)]}))
    assert {name: one.shape for name, one in found.items() if name.endswith("weight")} == {
        f"{name}.weight": shape for name, shape in SHAPES.items()
    }
    weight = found["features.3.squeeze.weight"].ravel()
    assert {int(place): float(weight[place]) for place in np.flatnonzero(weight)} == {0: 0.5, 16: 0.25, 19: 0.125}
    assert set(found["classifier.1.bias"]) == {np.float32(0.5)}
    models.squeezenet1_0().load_state_dict({name: torch.from_numpy(one) for name, one in found.items()}, strict=True)


def test_the_first_convolution_takes_what_torchvision_gives() -> None:
    """Its first weight is for blue, the first channel in Caffe and the third in torchvision."""
    found = squeezenet.decode(packed({"features.0": [(0, 128)]}))
    weight, bias = found["features.0.weight"], found["features.0.bias"]
    assert np.argwhere(weight).tolist() == [[0, 2, 0, 0]]
    assert weight[0, 2, 0, 0] == np.float32(0.5 * 255 * 0.225)
    assert bias[0] == np.float32(0.5 + 0.5 * (255 * 0.406 - 104))
    assert bias[1] == 0.5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it ends after 0 bytes, in the middle of the numbers of stored weights"),
        (packed({})[:-1], "bytes, in the middle of the biases of classifier.1"),
        (packed({}) + b"\0", "bytes, 1 too many"),
        (struct.pack("<26I", *[2**32 - 1] * 26), "4,294,967,295 weights are stored of features.0, which has 14,112"),
        (packed({"features.0": [(15, 1)] * 900}), "a weight of features.0 lies at 14,399, beyond its 14,112"),
    ],
)
def test_a_damaged_file_is_told(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        squeezenet.decode(data)
    path = tmp_path / squeezenet.NAME
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"{path} is not a compressed SqueezeNet: "):
        squeezenet.prepare(tmp_path, tmp_path / "out.safetensors")
    with pytest.raises(
        ValueError, match=f"{path} has {len(data):,} bytes and the SHA-256 {hashlib.sha256(data).hexdigest()}"
    ):
        squeezenet.prepare(path, tmp_path / "out.safetensors", "0" * 64)
    path.unlink()
    with pytest.raises(ValueError, match=f"{path} is not there; --from takes the folder that holds"):
        squeezenet.prepare(tmp_path, tmp_path / "out.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    not REAL.is_dir(), reason="needs the weights under ../shared/data or $DSD_SHARED_DATA, which are not distributed"
)
def test_the_weights_of_the_results_are_made_again_to_the_bit(tmp_path: Path) -> None:
    out = tmp_path / "made.safetensors"
    squeezenet.prepare(REAL, out)
    found, expected = load_file(out), load_file(REAL / "squeezenet1_0-imagenet-pruned.safetensors")
    assert found.keys() == expected.keys()
    assert len(found) == 52
    for name, one in found.items():
        assert one.dtype == expected[name].dtype == np.float32
        assert one.shape == expected[name].shape
        assert one.tobytes() == expected[name].tobytes(), name
    assert out.read_bytes() == (REAL / "squeezenet1_0-imagenet-pruned.safetensors").read_bytes()
    kept = sum(int(np.count_nonzero(one)) for name, one in found.items() if name.endswith("weight"))
    assert round(100 * kept / sum(math.prod(shape) for shape in SHAPES.values()), 1) == 33.4
