"""The user's environment, made fit for the libraries that read it while they are imported or start processes."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

_LONGEST = 64
"""Bytes of a folder for temporary files. Sockets lie in it, some 35 bytes deeper, and an address has 104 (macOS) or 108."""

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - tempfile chooses the names in it


def settle() -> None:
    """Give the process a user's name and folders for what is temporary that serve, where it has none.

    Of a user id without a name (a container's) torch cannot make the name of a cache. A TMPDIR that is not there stops what
    does not look for another, and in one with a long name no process can be told where to connect. Without a home that can be
    written matplotlib warns, and makes its list of fonts anew each time.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
    try:
        found = tempfile.gettempdir()
    except OSError:  # no folder can be written: whoever needs one says so
        return
    if len(os.fsencode(found)) > _LONGEST:
        usable = (short for short in _SHORT if Path(short).is_dir() and os.access(short, os.W_OK | os.X_OK))
        found = next(usable, found)
    if found != tempfile.gettempdir() or os.environ.get("TMPDIR", found) != found:
        os.environ["TMPDIR"] = tempfile.tempdir = found
    if home_cache() is None:
        os.environ.setdefault("MPLCONFIGDIR", str(temporary_cache() / "matplotlib"))


def home_cache() -> Path | None:
    """Return the folder for what programs can make again, $XDG_CACHE_HOME or ~/.cache, None where it cannot be written."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        usual = Path(given) if os.path.isabs(given) else Path.home() / ".cache"  # noqa: PTH117 - "" is not
    except RuntimeError:  # no HOME, and a user id without a name
        return None
    return usual if can_be_written(usual) else None


def temporary_cache() -> Path:
    """Return this user's folder for such things among temporary files."""
    return Path(tempfile.gettempdir()) / f"dsd-{os.getuid()}"


def can_be_written(folder: Path) -> bool:
    """Whether `folder` is one that can be written, or can be made."""
    for path in (folder, *folder.parents):
        if os.access(path, os.F_OK):
            return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)  # noqa: PTH112 - Path raises where it may not look
    return False
