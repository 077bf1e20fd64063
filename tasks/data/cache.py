"""Files that the suite can recreate: generated data sets, and the list of files that passed verification."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import PIL

from tasks.environment import can_be_written, home_cache, temporary_cache

Good = tuple[int, int, str]
"""A file that passed verification: size in bytes, modification time in ns, SHA-256."""

MARK = "GENERATED"
"""A file of this name in the root of a data set marks it as generated, so that its results are not mistaken for real ones."""

_VERSION = f"2, Pillow {PIL.__version__}"  # another version may reject other files


def cache_dir() -> Path:
    """Return the cache folder: $DSD_CACHE, or `dsd` in $XDG_CACHE_HOME or ~/.cache.

    If these are not writable, it is a folder among temporary files.
    """
    if chosen := os.environ.get("DSD_CACHE"):
        return Path(chosen)
    usual = home_cache()
    if usual is None or not can_be_written(usual / "dsd"):
        return temporary_cache()
    return usual / "dsd"


def recall(path: Path) -> dict[str, Good]:
    """Return the verified files that `path` lists, by relative name; {} if `path` is absent, damaged or of another version."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["version"] != _VERSION:
            return {}
        return {
            name: (int(size), int(changed), str(digest)) for name, (size, changed, digest) in stored["files"].items()
        }
    except Exception:  # `path` is absent, or the parser fails on its content: all files are verified again
        return {}


def remember(path: Path, files: dict[str, Good]) -> None:
    """Write `files` to `path` atomically.

    Raises:
        OSError: it cannot be written.
    """
    write_whole(path, json.dumps({"version": _VERSION, "files": files}).encode())


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically; create its folder if it is absent.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-", ignore_cleanup_errors=True) as writing:
        part = Path(writing) / path.name
        part.write_bytes(data)
        part.replace(path)


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """Return the folder `target`; make it if it is absent.

    `make` gets a path that does not exist yet and creates the folder there. Then the folder is renamed to `target`, so `target` is
    never incomplete. If two processes make it at the same time, the folder of the first to finish is kept.
    """
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-", ignore_cleanup_errors=True)
    except OSError as error:
        raise OSError(
            f"{target.parent} cannot be written ({error.strerror}); set DSD_CACHE to a folder that can"
        ) from error
    with beside as making:
        made = Path(making) / "set"
        make(made)
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process was faster and made the same folder
                raise
    return target


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
