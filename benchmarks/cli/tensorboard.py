"""The command `tensorboard`: a reader of progress files that writes TensorBoard logs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.cli.console import say
from benchmarks.cli.options import Tensorboard
from benchmarks.records import progress

_LOOK_EVERY_SECONDS = 5.0
_SCALARS = ("lr", "loss", "samples_per_second", "memory", "device_memory")


def tensorboard(options: Tensorboard) -> int:
    """Write the logs of all trials in the output folder. Without `once`, follow their progress files until interrupted.

    Raises:
        ValueError: TensorBoard is not installed, or a progress file is damaged.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError("tensorboard: TensorBoard is not installed here (pip install --group tensorboard)") from error
    logs = options.logs or options.out / "tensorboard"
    say(f"writing {logs} (view with: tensorboard --logdir {logs})")
    trials: dict[Path, _Trial] = {}
    while True:
        for path in sorted(options.out.glob("progress/*.jsonl")):
            if path not in trials:
                trials[path] = _Trial(path, logs / path.stem, SummaryWriter)
            trials[path].follow()
        if options.once:
            return 0
        time.sleep(_LOOK_EVERY_SECONDS)


class _Trial:
    """The logs of one trial: a folder with one run for each arm."""

    def __init__(self, path: Path, folder: Path, writer: Any) -> None:
        self._path, self._folder, self._make = path, folder, writer
        self._writers: dict[str, Any] = {}
        self._begin()

    def _begin(self) -> None:
        """Delete the logs and start again. When a trial resumes, its progress file is cut, and logs cannot be cut."""
        for writer in self._writers.values():
            writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._writers, self._read, self._last = {}, 0, b""

    def follow(self) -> None:
        """Write the new lines of the progress file to the logs."""
        for line in self._new():
            if "arm" not in line:
                continue
            arm = line["arm"]
            if arm not in self._writers:
                self._writers[arm] = self._make(self._folder / arm)
            for name, value in _scalars(line):
                self._writers[arm].add_scalar(name, value, line["step"])
        for writer in self._writers.values():
            writer.flush()

    def _new(self) -> Iterator[dict[str, Any]]:
        content = self._path.read_bytes()
        # The file was cut, and may have become longer again.
        if content[: self._read][-len(self._last) :] != self._last or len(content) < self._read:
            self._begin()
        new = content[self._read : content.rfind(b"\n") + 1]
        if new:
            self._read += len(new)
            self._last = new.splitlines(keepends=True)[-1]
        return progress.parse(new, self._path)


def _scalars(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the names and values of a line's numbers."""
    if line["event"] == "train":
        yield from ((f"train/{name}", line[name]) for name in _SCALARS if name in line)
    elif line["event"] == "evaluation":
        for part in ("test", "train"):
            yield from ((f"{part} at evaluations/{name}", value) for name, value in line[part].items())
    elif line["event"] == "phase_end":
        yield from ((f"phase ends/{name} on training examples", value) for name, value in line["train"].items())
