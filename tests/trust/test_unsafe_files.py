"""Files made to run code: the functions with which the suite reads files refuse each of them by name.

Each format that can contain a pickle contains one that creates a file when it is executed.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from benchmarks.records import store
from benchmarks.training import checkpoint
from tasks import pretrained
from tasks.data import cache, images
from tasks.flickr8k import dataset as captions
from tasks.flickr8k import features
from tasks.flickr8k.layouts import feature_matrix, karpathy
from tasks.imagenet import dataset as pictures
from tasks.librispeech import audio, layout
from tasks.librispeech import dataset as speech
from tests.benchmarks.test_checkpoint import Bomb

pytestmark = pytest.mark.promise(5)

CPU = torch.device("cpu")


def pickled(bomb: Bomb, protocol: int) -> bytes:
    return pickle.dumps({"format": 1, "version": 1, "images": bomb, "weight": bomb}, protocol)


def by_torch(bomb: Bomb, new: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save({"format": 1, "weight": bomb}, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def by_numpy(bomb: Bomb, save: Callable[..., None]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, np.array([bomb, bomb], dtype=object))
    return buffer.getvalue()


def torchscript(bomb: Bomb) -> bytes:
    """Return a TorchScript archive whose constants are the pickle of `bomb`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"a/{name}", pickled(bomb, 2))
        archive.writestr("a/version", "3\n")
        archive.writestr("a/code/__torch__.py", "open('x', 'w')\n")
    return buffer.getvalue()


def tar(bomb: Bomb) -> bytes:
    """Return a tar archive of pickles, torch's format before 2017. One path leads out of the folder it is unpacked to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors", f"../..{bomb.path}"):
            content = pickled(bomb, 2)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def in_safetensors(bomb: Bomb) -> bytes:
    """Return a safetensors file with one tensor, whose bytes are a pickle and whose type does not exist."""
    body = pickled(bomb, 4)
    header = json.dumps({"weight": {"dtype": "PICKLE", "shape": [len(body)], "data_offsets": [0, len(body)]}}).encode()
    return struct.pack("<Q", len(header)) + header + body


def unsafely(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=False)


def first_pickle(data: bytes) -> Any:
    return pickle.loads(data[data.index(b"\x80\x04") :])


def member(data: bytes, name: str) -> Any:
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return pickle.loads(archive.read(name))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        content = archive.extractfile(name)
        assert content is not None
        return pickle.loads(content.read())


CARRIERS: dict[str, tuple[Callable[[Bomb], bytes], Callable[[bytes], Any]]] = {
    "pickle 0": (lambda bomb: pickled(bomb, 0), pickle.loads),
    "pickle 5": (lambda bomb: pickled(bomb, 5), pickle.loads),
    "torch": (lambda bomb: by_torch(bomb, new=True), unsafely),
    "torch, old": (lambda bomb: by_torch(bomb, new=False), unsafely),
    "TorchScript": (torchscript, lambda data: member(data, "a/constants.pkl")),
    "tar": (tar, lambda data: member(data, "pickle")),
    "npy": (lambda bomb: by_numpy(bomb, np.save), lambda data: np.load(io.BytesIO(data), allow_pickle=True)),
    "npz": (lambda bomb: by_numpy(bomb, np.savez), lambda data: np.load(io.BytesIO(data), allow_pickle=True)["arr_0"]),
    "safetensors": (in_safetensors, first_pickle),
    "HDF5": (lambda bomb: b"\x89HDF\r\n\x1a\n" + pickled(bomb, 4), first_pickle),
}
"""Every format that can contain a pickle: a function that makes it, and one that reads it without care."""

READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "weights.pt": ("is not a readable file of weights", lambda path: pretrained.read(str(path))),
    "weights.pth": ("is not a readable file of weights", lambda path: pretrained.read(str(path))),
    "weights.safetensors": ("is not a readable file of weights", lambda path: pretrained.read(str(path))),
    "trial.pt": ("is not a readable checkpoint", checkpoint.load),
    "record.json": ("is not a readable record", store.read),
    "vgg_feats.mat": ("is not a readable MATLAB file", lambda path: feature_matrix.load(path, {"a.jpg": 0})),
    "dataset.json": ("is not JSON", lambda path: karpathy.read(path.parent)),
    "a.jpg": ("is not a readable image", images.decode),
    "a.flac": ("is not a readable FLAC file", audio.load),
}


@pytest.mark.filterwarnings("ignore:.*TypedStorage is deprecated")
@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_careless_reader_executes_the_pickle(tmp_path: Path, carrier: str) -> None:
    """Otherwise the next test would prove nothing."""
    make, careless = CARRIERS[carrier]
    careless(make(Bomb(tmp_path / "executed")))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("name", READERS)
def test_a_file_with_a_pickle_is_refused_and_nothing_is_executed(tmp_path: Path, name: str, carrier: str) -> None:
    path = tmp_path / name
    path.write_bytes(CARRIERS[carrier][0](Bomb(tmp_path / "executed")))
    expected, read = READERS[name]
    with pytest.raises(ValueError, match=rf"{re.escape(name)} {expected}"):
        read(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_the_cache_holds_is_made_again_and_nothing_is_executed(
    tmp_path: Path, carrier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "set"
    (root / "train/1/2").mkdir(parents=True)
    soundfile.write(root / "train/1/2/1-2-0000.flac", np.zeros(1600, np.int16), 16_000)
    Image.new("RGB", (20, 20), "red").save(root / "a.png")

    def extracted() -> tuple[torch.Tensor, layout.Contents]:
        pixels = features.Extractor("pixels", None, None, 12, CPU)
        return features.extract(pixels, root, ["a.png"], "fingerprint", lambda *_: None), layout.read(root, ["train"])

    vectors, contents = extracted()
    held = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sorted(path.parent.name for path in held) == ["features", "manifests"]
    hostile = CARRIERS[carrier][0](Bomb(tmp_path / "executed"))
    for path in held:
        path.write_bytes(hostile)
        assert cache.recall(path) == {}
    again, contents_again = extracted()
    assert torch.equal(again, vectors)
    assert contents_again == contents
    assert all(path.read_bytes() != hostile for path in held)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("entry", ['[Infinity, 1, "0"]', '[1, 1e400, "0"]', "[" * 100_000, "{}", "[1, 2]", "7"])
def test_a_damaged_list_of_good_files_is_none(tmp_path: Path, entry: str) -> None:
    cache.remember(tmp_path / "good.json", {"a.jpg": (1, 2, "0")})
    text = (tmp_path / "good.json").read_text()
    assert cache.recall(tmp_path / "good.json") == {"a.jpg": (1, 2, "0")}
    (tmp_path / "bad.json").write_text(text.replace('[1, 2, "0"]', entry))
    assert cache.recall(tmp_path / "bad.json") == {}


@pytest.mark.parametrize("scan", [pictures.scan, captions.scan, speech.scan], ids=["pictures", "captions", "speech"])
def test_an_archive_in_the_place_of_a_data_set_is_refused_and_not_unpacked(
    tmp_path: Path, scan: Callable[[Path], Any]
) -> None:
    (tmp_path / "set").mkdir()
    path = tmp_path / "set/data.tar"
    path.write_bytes(tar(Bomb(tmp_path / "executed")))
    for given in (path, path.parent):
        with pytest.raises(ValueError, match=re.escape(str(given))):
            scan(given)
    assert [*tmp_path.iterdir(), *path.parent.iterdir()] == [path.parent, path]
