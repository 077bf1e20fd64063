"""Writes checkpoints and is killed while writing, after a number of bytes or at a moment of `MOMENTS`.

Each kill has its own folder FOLDER/BYTES or FOLDER/MOMENT, in which the checkpoint of step 1 was saved before. The tests call
`main` in a process of their fork server, so that forking disturbs none of their threads.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch

from benchmarks.training import checkpoint

MOMENTS = {
    "before-fsync": (os, "fsync", False),
    "after-fsync": (os, "fsync", True),
    "read-back": (checkpoint, "load", True),
    "before-rename": (Path, "replace", False),
    "after-rename": (Path, "replace", True),
}


def state(step: int) -> dict[str, Any]:
    """Return the state of a step: about 40 KB. Every number in it depends on the step."""
    return {"step": step, "learners": {f"arm{n}": torch.full((1_000,), step * 10.0 + n) for n in range(10)}}


class Mortal:
    """A file that kills its writer once `left` bytes are in it."""

    def __init__(self, file: Any, left: int) -> None:
        self.file, self.left = file, left

    def write(self, data: Any) -> int:
        data = bytes(data)
        self.file.write(data[: self.left])
        self.left -= len(data)
        if self.left <= 0:
            self.file.flush()
            die()
        return len(data)

    def __enter__(self) -> Mortal:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def die() -> None:
    """Kill this process with SIGKILL, as the system's out-of-memory killer does."""
    os.kill(os.getpid(), signal.SIGKILL)


def doom(when: str) -> None:
    """Arrange for this process to be killed."""
    if when.isdigit():
        plain = Path.open
        Path.open = lambda path, mode="r": Mortal(plain(path, mode), int(when))  # type: ignore[assignment,method-assign]
        return
    owner, name, afterwards = MOMENTS[when]
    original = getattr(owner, name)

    def fatal(*arguments: Any) -> None:
        if afterwards:
            original(*arguments)
        die()

    setattr(owner, name, fatal)


def main(folder: Path, kills: list[str]) -> None:
    """Kill a writer at each of `kills`; print each kill and the number of the signal that ended the writer."""
    for when in kills:
        path = folder / when / "trial.pt"
        checkpoint.save(state(1), path)
        child = os.fork()
        if child == 0:
            doom(when)
            checkpoint.save(state(2), path)
            os._exit(0)
        print(when, os.WTERMSIG(os.waitpid(child, 0)[1]))  # noqa: T201
