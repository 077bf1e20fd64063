"""Checkpoints: whole or absent, tensors and plain values only.

One file a trial. What was there stays in place until its successor is complete, on the disk and read back; a process that is
killed at any byte leaves one of the two, and perhaps a temporary file, which the next save writes over. No second copy is
kept beside it: it would double the space (4 GB for four arms of VGG-16) against a rotting disk alone, which `load` finds
and names.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from tasks.pretrained import reason, refuse_compressed

FORMAT = 2  # raised where what a checkpoint holds changes


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state` to `path`; what was there stays until the new file is complete and has been read back.

    One process at a time: the caller holds the trial's lock.

    Raises:
        OSError: the file could not be written, or not be read back; what was there is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
    except (OSError, RuntimeError, ValueError) as error:
        raise _refused(path, error) from error


def load(path: Path) -> dict[str, Any]:
    """Return the state in `path`, tensors on the CPU. Nothing in the file is executed.

    Raises:
        ValueError: it is not a readable checkpoint of this format, or a part of it is not what was written.
    """
    try:
        refuse_compressed(path)
        with zipfile.ZipFile(path) as archive:  # torch itself does not look at the checksums
            damaged = archive.testzip()
        state = torch.load(path, map_location="cpu", weights_only=True) if damaged is None else None
    except Exception as error:
        raise ValueError(f"{path} is not a readable checkpoint: {reason(error)}; {_ADVICE}") from error
    if damaged is not None:
        raise ValueError(f"{path} is not a readable checkpoint: the checksum of its {damaged} is wrong; {_ADVICE}")
    if not isinstance(state, dict) or repr(state.get("format")) != repr(FORMAT):  # it may be anything
        raise ValueError(f"{path} is not a checkpoint of format {FORMAT}; {_ADVICE}")
    return state


_ADVICE = "delete it, or run with --fresh, to train this trial again from the beginning"


def _refused(path: Path, error: BaseException) -> OSError:
    """Return the error that names the checkpoint, and what the system said even where torch says something of its own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    reason = (cause.strerror or str(cause)) if isinstance(cause, OSError) else str(error)
    kept = "the one before it is untouched" if path.exists() else "there is none of this trial"
    return OSError(f"the checkpoint {path} could not be written: {reason}; {kept}")
