"""Weights of a network, from a file or from torchvision. Nothing in a file is executed."""

from __future__ import annotations

import re
import struct
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models

from tasks.data.cache import sha256

_REASONS = 3  # listed in a message, which must stay readable
_WRAPPERS = {"module.": "DataParallel", "_orig_mod.": "torch.compile"}  # prefix of all names: the wrapper that adds it


@dataclass(frozen=True)
class Weights:
    """Weights and their origin.

    Attributes:
        source: name of the file, or torchvision's name.
        sha256: SHA-256 of the file.
        state: weights by name.
        transform_input: whether the network expects inputs in [-1, 1], as torchvision's GoogLeNet does, and therefore converts its
            normalised input. (The auxiliary heads of torchvision's GoogLeNet are untrained.)
        data: fingerprint of the data that the network was trained on, if the file holds it (files of captioners do); else "".
    """

    source: str
    sha256: str
    state: dict[str, Tensor]
    transform_input: bool = False
    data: str = ""

    def load_into(self, model: nn.Module) -> None:
        """Copy the weights into `model`.

        Raises:
            ValueError: a name or a shape does not fit.
        """
        try:
            model.load_state_dict(self.state)
        except RuntimeError as error:
            reasons = [
                _brief(line.strip()) for line in str(error).splitlines()[1:]
            ]  # the first line only names the class
            for prefix, wrapper in _WRAPPERS.items():
                if self.state and all(name.startswith(prefix) for name in self.state):
                    advice = "save the state_dict of the network inside"
                    reasons.insert(0, f"every name begins with {prefix!r}, as {wrapper} has it: {advice}.")
            more = f"; and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
            raise ValueError(
                f"{self.source} does not fit this network: {' '.join(reasons[:_REASONS])}{more}"
            ) from error
        if isinstance(model, models.GoogLeNet):
            model.transform_input = self.transform_input


def _brief(line: str) -> str:
    """Return torch's line about missing or unexpected names, with only the first few names."""
    before, keys, names = line.partition(" key(s) in state_dict: ")
    listed = names.split(", ")
    if not keys or len(listed) <= _REASONS:
        return line
    return f"{before}{keys}{', '.join(listed[:_REASONS])} and {len(listed) - _REASONS} more."


def read(source: str) -> Weights:
    """Return the weights in the file `source`, or torchvision's weights of this name.

    Args:
        source: a .safetensors file, a state_dict saved by torch.save, or a name such as "ResNet18_Weights.IMAGENET1K_V1".
            torchvision's weights come from its cache or are downloaded.

    Raises:
        ValueError: there is no such file or name, or the file holds no weights.
    """
    path = Path(source)
    if not path.is_file():
        path = _from_torchvision(source)
    digest = sha256(path)
    name = path.name if Path(source).is_file() else source
    state, metadata = _read_file(path)
    transform_input = "transform_input" in metadata or digest.startswith(_GOOGLENET)
    return Weights(name, digest, state, transform_input, metadata.get("data", ""))


_GOOGLENET = "1378be20"
"""First digits of the SHA-256 of torchvision's GoogLeNet weights, as in their file name (googlenet-1378be20.pth)."""


def _from_torchvision(name: str) -> Path:
    """Return the file of torchvision's weights `name` in torch's cache; download it if it is absent."""
    if "_Weights." not in name:
        raise ValueError(
            f"{name!r} is neither a file nor a torchvision weights name such as ResNet18_Weights.IMAGENET1K_V1"
        )
    try:
        entry = models.get_weight(name)
    except (ValueError, AttributeError, KeyError) as error:
        raise ValueError(f"torchvision knows no weights called {name!r}") from error
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # The file name holds the first digits of the SHA-256; torch checks the download against them.
            torch.hub.download_url_to_file(entry.url, str(path), Path(entry.url).stem.rpartition("-")[2])
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{name} is not in torchvision's cache and cannot be downloaded: {error}") from error
    return path


def _read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return weights by name, and the metadata of a .safetensors file."""
    metadata: dict[str, str] = {}
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
            state = load_file(path)
        else:
            refuse_compressed(path)
            with warnings.catch_warnings():  # they are about content that is rejected or not used
                warnings.simplefilter("ignore")
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # parsers may raise any error on damaged or hostile files
        raise ValueError(f"{path} is not a readable file of weights: {reason(error)}") from error
    if not isinstance(state, dict) or not all(isinstance(name, str) and _is_plain(v) for name, v in state.items()):
        raise ValueError(f"{path} does not hold a state_dict: names and plain tensors")
    return state, metadata


def reason(error: Exception) -> str:
    """Return in one line why a file could not be read, without torch's advice to execute its content."""
    text = " ".join(str(error).split())
    if "weights_only" in text and (found := _FORBIDDEN.search(text)):
        return (
            f"it holds {found[1]}, which is neither a tensor nor a plain value, and nothing in a file is executed; "
            "save the network's state_dict(), best as .safetensors"
        )
    if "weights_only" in text or isinstance(error, _NO_FORMAT):
        return "it is neither a .safetensors file nor a state_dict of torch.save, or it is damaged"
    if "PytorchStreamReader" in text:
        return f"it is damaged or cut short ({text.split('. ')[0]})"
    return text or type(error).__name__


_NO_FORMAT = (IndexError, KeyError, EOFError, AttributeError, struct.error, UnicodeDecodeError)
_FORBIDDEN = re.compile(r"GLOBAL ([A-Za-z_][\w.]*)")


def refuse_compressed(path: Path) -> None:
    """Check that a file of torch.save is not compressed. torch.save never compresses, but a zip bomb is compressed.

    Raises:
        ValueError: the content would be larger than the file.
    """
    if not zipfile.is_zipfile(path):
        return  # torch's older format has no compression
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > (size := path.stat().st_size):
        raise ValueError(f"its {size:,} bytes would become {claimed:,}; torch.save does not compress")


def _is_plain(value: object) -> bool:
    """Return whether `value` is a tensor and the file holds a number for each of its elements."""
    return (
        isinstance(value, Tensor)
        and value.device.type == "cpu"  # not meta
        and value.layout is torch.strided
        and not (value.is_nested or value.is_quantized)
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()  # not expanded
    )
