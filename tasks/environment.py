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
    """Give the process a user's name and a folder for temporary files that serves, where it has none.

    Of a user id without a name (a container's) torch cannot make the name of a cache. A TMPDIR that is not there stops what
    does not look for another, and in one with a long name no process can be told where to connect.
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
