"""The progress file of a trial: one JSON object per line, appended while it runs (`OUT/progress/TRIAL.jsonl`).

`benchmarks/README.md` documents the lines. A checkpoint stores the length of the file. A resumed trial first cuts the file to that
length, so each step, evaluation and phase is in the file once. If the file becomes shorter, it was cut, and readers must read it
again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT = 1
"""The `format` in the first line. It is increased when a field changes its meaning; new fields may be added at any time."""


_TAIL = 65_536


class Writer:
    """Appends lines to the file at `path`, cut to its first `length` bytes.

    If the file cannot be written, the writer stops writing and raises no error, which would end a trial that may run for days.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self._path = path
        self.length = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                file.seek(0)
                kept = file.read(length)
                self.length = kept.rfind(b"\n") + 1  # the end of the file may be lost after a power cut
                file.truncate(self.length)
            self._broken = False
        except OSError:
            self._broken = True

    def write(self, event: str, **fields: Any) -> None:
        """Append a line."""
        if self._broken:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = (json.dumps({"event": event, "time": now, **fields}) + "\n").encode()
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
            self.length += len(line)
        except OSError:
            self._broken = True


def read(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of the file at `path`. An incomplete last line, which is still being written, is left out.

    Raises:
        ValueError: a line is not a JSON object with an `event`.
        OSError: the file cannot be read.
    """
    return list(parse(path.read_bytes(), path))


def latest(path: Path) -> list[dict[str, Any]]:
    """Return the first line and the lines in the last 64 KiB, without reading the whole file.

    Raises:
        ValueError: a line is not a JSON object with an `event`.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        first = file.readline()
        start = max(len(first), file.seek(0, 2) - _TAIL)
        file.seek(start)
        rest = file.read()
    if start > len(first):
        rest = rest[rest.find(b"\n") + 1 :]
    return list(parse(first + rest, path))


def parse(content: bytes, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the complete lines of `content`, a part of the file at `path` that starts at the beginning of a line.

    Raises:
        ValueError: a line is not a JSON object with an `event`.
    """
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}: {line[:80]!r} is not JSON") from error
        if not isinstance(fields, dict) or "event" not in fields:
            raise ValueError(f"{path}: {line[:80]!r} is not an object with an `event`")
        yield fields
