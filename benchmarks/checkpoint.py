"""Checkpoints: whole or absent, tensors and plain values only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

FORMAT = 1


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state` to `path`; what was there stays until the new file is complete and has been read back.

    Raises:
        OSError: the file could not be written; what was there is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        load(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself must survive a power cut
    finally:
        os.close(folder)


def load(path: Path) -> dict[str, Any]:
    """Return the state in `path`, tensors on the CPU. Nothing in the file is executed.

    Raises:
        ValueError: it is not a readable checkpoint of this format.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} is not a readable checkpoint: {error}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path} is not a checkpoint of format {FORMAT}; delete it or run with --fresh")
    return state
