"""Small files that claim a huge size, or inflate to one: they are refused by name before they are read."""

from __future__ import annotations

import io
import json
import re
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import soundfile
import torch
from safetensors.torch import save_file

from benchmarks.training import checkpoint
from tasks import pretrained
from tasks.data import images
from tasks.flickr8k import backbone
from tasks.flickr8k.layouts import feature_matrix
from tasks.librispeech import audio

pytestmark = pytest.mark.promise(5)

CPU = torch.device("cpu")
MIB = 1 << 20


def recompressed(data: bytes) -> bytes:
    """Return the zip archive with its members deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "read", [lambda path: pretrained.read(str(path)), checkpoint.load], ids=["weights", "checkpoint"]
)
def test_weights_and_checkpoints_that_inflate_are_refused_unread(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    buffer = io.BytesIO()
    torch.save({"format": 1, "weight": torch.zeros(64 * MIB // 4)}, buffer)
    path = tmp_path / "a.pt"
    path.write_bytes(recompressed(buffer.getvalue()))
    assert path.stat().st_size < MIB // 8
    with pytest.raises(ValueError, match=r"a\.pt is not a readable .*: its [\d,]+ bytes would become 67,109,[\d,]+"):
        read(path)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors", "ignore:Sparse invariant checks")
@pytest.mark.parametrize(
    "state",
    [
        lambda: {"weight": torch.zeros(1).expand(1 << 40)},
        lambda: {"weight": torch.zeros(1 << 40, device="meta")},
        lambda: {"weight": torch.sparse_coo_tensor(torch.zeros(1, 1).long(), torch.ones(1), (1 << 40,))},
        lambda: {"weight": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])},
        lambda: {1: torch.zeros(1)},
        lambda: {"weight": torch.zeros(1), "step": 1},
    ],
    ids=["expanded", "meta", "sparse", "nested", "number for a name", "number for a tensor"],
)
def test_weights_that_only_claim_a_shape_are_refused(tmp_path: Path, state: Callable[[], Any]) -> None:
    torch.save(state(), tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt does not hold a state_dict: names and plain tensors"):
        pretrained.read(str(tmp_path / "a.pt"))


class Claim:
    """Pickles as a tensor of 4 GiB over a storage of 16 bytes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_tensor_v2, (torch.zeros(4).storage(), 0, (1 << 30,), (1,), False, {})


@pytest.mark.filterwarnings("ignore:.*TypedStorage is deprecated")
def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": Claim()}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a\.pt is not a readable file of weights: .*storage"):
        pretrained.read(str(tmp_path / "a.pt"))


@pytest.mark.parametrize("length", [1 << 62, 1 << 24])
def test_a_safetensors_header_that_claims_more_than_the_file_is_refused(tmp_path: Path, length: int) -> None:
    save_file({"weight": torch.zeros(4)}, tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    header = json.dumps({"weight": {"dtype": "F32", "shape": [length // 4], "data_offsets": [0, length]}}).encode()
    for data in (struct.pack("<Q", length) + whole[8:], struct.pack("<Q", len(header)) + header + bytes(16)):
        (tmp_path / "a.safetensors").write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.safetensors is not a readable file of weights"):
            pretrained.read(str(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("shape", [(), (1 << 16,), (1 << 16, 1, 1, 1)])
def test_a_last_layer_that_does_not_fit_decides_no_size(shape: tuple[int, ...]) -> None:
    """SqueezeNet's last layer has 512 inputs. With the 65,536 outputs of a file of 262 kB, it would take 134 MB."""
    hostile = pretrained.Weights("a.pt", "0", {"classifier.1.weight": torch.zeros(shape)})
    with pytest.raises(ValueError, match=r"network='squeezenet1_0': a\.pt does not fit") as caught:
        backbone.load("squeezenet1_0", hostile, CPU)
    assert "the shape in current model is torch.Size([1000, 512, 1, 1])" in str(caught.value)


# The numbers of the types are from "MAT-File Level 5 File Format" (MathWorks).
HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
DOUBLE, MATRIX, DEFLATED = 9, 14, 15


def element(kind: int, data: bytes, claimed: int | None = None) -> bytes:
    return struct.pack("<II", kind, len(data) if claimed is None else claimed) + data + bytes(-len(data) % 8)


def variable(columns: int, data: bytes, name: bytes = b"feats", kind: int = 6, claimed: int | None = None) -> bytes:
    """Return a matrix (4096, columns) of class `kind`: mxDOUBLE is 6."""
    flags = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", 4096, columns))
    return element(MATRIX, flags + element(1, name) + element(DOUBLE, data, claimed))


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "numbers": lambda zeros: variable(len(zeros) // (8 * 4096), zeros),
    "name": lambda zeros: variable(1, bytes(8 * 4096), name=zeros),
    "after the matrix": lambda zeros: variable(1, bytes(8 * 4096)) + zeros,
}


@pytest.mark.parametrize(
    ("bomb", "mark"),
    [("numbers", b"IM"), ("numbers", b"MI"), ("numbers", b"??"), ("name", b"IM"), ("after the matrix", b"IM")],
)
def test_a_matlab_file_that_inflates_is_refused_unread(tmp_path: Path, bomb: str, mark: bytes) -> None:
    packed = zlib.compress(BOMBS[bomb](bytes(96 * MIB)))
    order = "<" if mark == b"IM" else ">"  # scipy reads any other mark as big-endian
    path = tmp_path / "vgg_feats.mat"
    head = HEAD[:124] + struct.pack(f"{order}H", 0x0100) + mark
    path.write_bytes(head + struct.pack(f"{order}II", DEFLATED, len(packed)) + packed)
    assert path.stat().st_size < MIB // 2
    tracemalloc.start()
    found = feature_matrix.problem(path, {"a.jpg": 0})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == "vgg_feats.mat would inflate to more than 67,108,864 bytes: no matrix of features shrinks so far"
    assert peak < 8 * MIB
    with pytest.raises(ValueError, match=re.escape(found)):
        feature_matrix.load(path, {"a.jpg": 0})


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "hostile",
    [
        [variable(500_000, b"", claimed=0xFFFF_FFF0)],
        [variable(500_000, bytes(64))],
        [variable(-1, bytes(64))],
        [variable(1, bytes(8 * 4096), kind=3)],
        [variable(1, bytes(8 * 4096), kind=16)],
        [variable(1, bytes(8 * 4096), kind=17)],
        [variable(1, bytes(8 * 4096))] * 2,
        [element(MATRIX, b"")],
    ],
    ids=["16 GB of data", "16 GB of shape", "negative", "object", "function", "opaque", "two of them", "nothing"],
)
def test_a_matlab_file_that_lies_or_holds_objects_is_refused(
    tmp_path: Path, hostile: list[bytes], packed: bool
) -> None:
    if packed:
        shrunk = [zlib.compress(data) for data in hostile]
        hostile = [struct.pack("<II", DEFLATED, len(data)) + data for data in shrunk]
    path = tmp_path / "vgg_feats.mat"
    path.write_bytes(HEAD + b"".join(hostile))
    with pytest.raises(ValueError, match=r"vgg_feats\.mat"):
        feature_matrix.load(path, {"a.jpg": 0})


def test_what_else_a_matlab_file_holds_is_not_read(tmp_path: Path) -> None:
    """The file also has an object, a function and a function's workspace (which has no name)."""
    values = np.arange(4096.0)
    others = b"".join(variable(1, bytes(64), name, kind) for name, kind in ((b"a", 3), (b"b", 16), (b"", 9)))
    path = tmp_path / "vgg_feats.mat"
    path.write_bytes(HEAD + others + variable(1, values.tobytes()))
    assert feature_matrix.load(path, {"a.jpg": 0}).tolist() == [values.tolist()]


def test_compressed_features_of_an_honest_size_are_read(tmp_path: Path) -> None:
    """Two thirds of VGG-16's fc7 features are zeros, because they follow a ReLU."""
    values = np.random.default_rng(0).standard_normal((4096, 100)).clip(0.4).astype(np.float32) - np.float32(0.4)
    scipy.io.savemat(tmp_path / "vgg_feats.mat", {"feats": values}, do_compression=True)
    assert (tmp_path / "vgg_feats.mat").stat().st_size > values.nbytes / 4
    assert np.array_equal(feature_matrix.load(tmp_path / "vgg_feats.mat", {"a.jpg": 7})[0].numpy(), values[:, 7])


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file whose header claims width x height RGB pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    every = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in every
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 13_000, 20_000, (1 << 31) - 1])
def test_a_picture_above_the_limit_is_refused_undecoded(tmp_path: Path, side: int) -> None:
    """Pillow warns above 89,478,485 pixels and refuses twice as many. The suite refuses both before it decodes."""
    (tmp_path / "a.png").write_bytes(png(side, side, (b"IDAT", zlib.compress(bytes(100)))))
    with pytest.raises(
        ValueError, match=r"a\.png is not a readable image \(.*pixels.* limit of (89,478,485|178956970)"
    ):
        images.decode(tmp_path / "a.png")


@pytest.mark.parametrize("chunk", [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")])
def test_a_picture_whose_texts_inflate_is_refused(tmp_path: Path, chunk: tuple[bytes, bytes]) -> None:
    name, start = chunk
    pixels = (b"IDAT", zlib.compress(bytes(4 * 13)))
    assert images.pixels(png(4, 4, (name, start + zlib.compress(b"x")), pixels)).shape == (4, 4, 3)
    (tmp_path / "a.png").write_bytes(png(4, 4, (name, start + zlib.compress(bytes(32 * MIB))), pixels))
    with pytest.raises(ValueError, match=r"a\.png is not a readable image \(.*too large"):
        images.decode(tmp_path / "a.png")


def flac(samples: int = 20_000, rate: int = 16_000, channels: int = 1, bits: int = 16) -> bytes:
    """Return a FLAC file of 20,000 samples with another STREAMINFO (RFC 9639, section 8.2)."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(-3000, 3000, 20_000, dtype=np.int16)
    soundfile.write(buffer, noise, 16_000, format="FLAC")
    data = bytearray(buffer.getvalue())
    data[18:26] = (rate << 44 | (channels - 1) << 41 | (bits - 1) << 36 | samples).to_bytes(8, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"samples": 100}, "its 100 samples do not have the MD5 in its header"),
        ({"samples": 19_999}, "its 19,999 samples do not have the MD5 in its header"),
        ({"samples": 20_001}, "cut short"),
        ({"samples": 0}, "its header does not state its length"),
        ({"samples": 60 * 16_000 + 1}, "its header says 960,001 samples, more than 60 s"),
        ({"samples": (1 << 36) - 1}, "its header says 68,719,476,735 samples, more than 60 s"),
        ({"samples": (1 << 36) - 1, "channels": 8}, "its header says 68,719,476,735 samples, more than 60 s"),
        ({"channels": 2}, "it has 2 channels"),
        ({"rate": 0}, "Internal error"),
        ({"bits": 4}, "unimplemented format"),
    ],
)
def test_a_recording_whose_header_lies_is_refused(tmp_path: Path, lie: dict[str, int], reason: str) -> None:
    (tmp_path / "a.flac").write_bytes(flac())
    assert len(audio.load(tmp_path / "a.flac")) == 20_000
    (tmp_path / "a.flac").write_bytes(flac(**lie))
    with pytest.raises(ValueError, match=rf"a\.flac is not a readable FLAC file \(.*{reason}"):
        audio.load(tmp_path / "a.flac")


def test_silence_that_inflates_is_refused_from_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.zeros(3_600 * 16_000, np.int16), 16_000)
    assert path.stat().st_size < MIB // 4
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("it is decoded"))
    with pytest.raises(ValueError, match="57,600,000 samples, more than 60 s"):
        audio.load(path)


def test_a_wave_file_in_the_place_of_flac_is_refused_whatever_its_header_says(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(1000, np.int16), 16_000)
    honest = (tmp_path / "a.wav").read_bytes()
    lying = honest[:4] + b"\xff\xff\xff\xff" + honest[8:40] + b"\xff\xff\xff\x7f" + honest[44:]
    assert honest[36:40] == b"data"
    for data in (honest, lying):
        (tmp_path / "a.flac").write_bytes(data)
        with pytest.raises(ValueError, match="it is a WAV file"):
            audio.header(tmp_path / "a.flac")
        with pytest.raises(ValueError, match=r"a\.flac is not a readable FLAC file \(it is a WAV file\)"):
            audio.load(tmp_path / "a.flac")
