"""Checkpoints hold tensors and plain values only. A checkpoint file is always complete.

There is one file per trial. The old checkpoint stays until the new one is complete, on disk and read back. If the process is killed
during a save, one of the two complete files remains, perhaps with a temporary file that the next save overwrites. No second copy is
kept: it would double the space (4 GB for four arms of VGG-16) and protect only against disk corruption, which `load` detects.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from tasks.pretrained import reason, refuse_compressed

FORMAT = 2  # raise when the contents of checkpoints change


def save(state: dict[str, Any], path: Path) -> None:
    """Write `state` to `path`. The old file stays until the new one is complete and has been read back.

    The caller must hold the trial's lock.

    Raises:
        OSError: the file could not be written or read back; the old file is untouched.
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
        ValueError: the file is not a readable checkpoint of this format, or it is damaged.
    """
    try:
        refuse_compressed(path)
        with zipfile.ZipFile(path) as archive:  # torch itself does not check the checksums
            damaged = archive.testzip()
        state = torch.load(path, map_location="cpu", weights_only=True) if damaged is None else None
    except Exception as error:
        raise ValueError(f"{path} is not a readable checkpoint: {reason(error)}; {_ADVICE}") from error
    if damaged is not None:
        raise ValueError(f"{path} is not a readable checkpoint: the checksum of its {damaged} is wrong; {_ADVICE}")
    if not isinstance(state, dict) or repr(state.get("format")) != repr(FORMAT):  # `format` may be of any type
        raise ValueError(f"{path} is not a checkpoint of format {FORMAT}; {_ADVICE}")
    return state


_ADVICE = "delete it, or run with --fresh, to train this trial again from the beginning"


def _refused(path: Path, error: BaseException) -> OSError:
    """Return an error that names the checkpoint and the system's error, even if torch raised its own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    reason = (cause.strerror or str(cause)) if isinstance(cause, OSError) else str(error)
    kept = "the one before it is untouched" if path.exists() else "there is none of this trial"
    return OSError(f"the checkpoint {path} could not be written: {reason}; {kept}")
