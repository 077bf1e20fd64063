"""Repairs environment variables that libraries read when they are imported or start processes."""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

_LONGEST = 64
"""Maximum length of the path for temporary files, in bytes. Paths of sockets in this folder are about 35 bytes longer, and the
system limits them to 104 bytes (macOS) or 108."""

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - tempfile chooses the names in them


def settle() -> None:
    """Set a user name and temporary folders if those of the process are unusable.

    If the user id has no name (in a container), torch cannot name its cache. If TMPDIR does not exist, programs fail. If its path
    is long, processes cannot connect through sockets in it. If the home folder is not writable, matplotlib warns and rebuilds its
    font list at each start.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
    try:
        folder = tempfile.gettempdir()
    except OSError:  # no folder is writable: code that needs one reports it
        return
    if len(os.fsencode(folder)) > _LONGEST:
        usable = (short for short in _SHORT if Path(short).is_dir() and os.access(short, os.W_OK | os.X_OK))
        folder = next(usable, folder)
    if folder != tempfile.gettempdir() or os.environ.get("TMPDIR", folder) != folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
    if home_cache() is None:
        os.environ.setdefault("MPLCONFIGDIR", str(temporary_cache() / "matplotlib"))


def home_cache() -> Path | None:
    """Return the user's cache folder, $XDG_CACHE_HOME or ~/.cache; None if it is not writable."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        usual = Path(given) if os.path.isabs(given) else Path.home() / ".cache"  # noqa: PTH117 - "" is not absolute
    except RuntimeError:  # no HOME, and a user id without a name
        return None
    return usual if can_be_written(usual) else None


def temporary_cache() -> Path:
    """Return a cache folder for this user among temporary files."""
    return Path(tempfile.gettempdir()) / f"dsd-{os.getuid()}"


def can_be_written(folder: Path) -> bool:
    """Return whether `folder` is writable, or can be created."""
    for path in (folder, *folder.parents):
        if os.access(path, os.F_OK):
            return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)  # noqa: PTH112 - Path raises without permission
    return False
