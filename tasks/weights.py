"""A network's weights as users have them: a file, or a torchvision name. Nothing in a file is executed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models


@dataclass(frozen=True)
class Weights:
    """Weights by name, where they come from, and the SHA-256 of what was read."""

    source: str
    sha256: str
    state: dict[str, Tensor]

    def load_into(self, model: nn.Module) -> None:
        """Copy the weights into `model`.

        Raises:
            ValueError: a name or a shape does not fit.
        """
        try:
            model.load_state_dict(self.state)
        except RuntimeError as error:
            raise ValueError(f"{self.source} does not fit this network: {error}") from error
        if self.source.startswith("GoogLeNet_Weights") and isinstance(model, models.GoogLeNet):
            model.transform_input = True  # torchvision's are Inception's, trained on inputs in [-1, 1]


def read(source: str) -> Weights:
    """Return the weights in the file `source`, or those that torchvision knows by that name.

    Args:
        source: a .safetensors file, a state_dict saved by torch.save, or a name such as "ResNet18_Weights.IMAGENET1K_V1",
            whose weights are taken from torchvision's cache or downloaded.

    Raises:
        ValueError: there is no such file or name, or the file holds something else.
    """
    path = Path(source)
    if path.is_file():
        return Weights(path.name, _sha256(path), _read_file(path))
    if "_Weights." not in source:
        raise ValueError(
            f"{source!r} is neither a file nor a torchvision weights name such as ResNet18_Weights.IMAGENET1K_V1"
        )
    try:
        entry = models.get_weight(source)
        state = dict(entry.get_state_dict(progress=True, check_hash=True))
    except (ValueError, AttributeError) as error:
        raise ValueError(f"torchvision knows no weights called {source!r}: {error}") from error
    except OSError as error:
        raise ValueError(f"{source} is not in torchvision's cache and cannot be downloaded: {error}") from error
    # torchvision's file names end in the first 8 digits of their SHA-256, which check_hash has just checked.
    return Weights(source, Path(entry.url).stem.rpartition("-")[2], state)


def _read_file(path: Path) -> dict[str, Tensor]:
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # whatever a damaged or hostile file makes a parser raise
        raise ValueError(f"{path} is not a readable file of weights: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} does not hold a state_dict: names and tensors")
    return state


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
