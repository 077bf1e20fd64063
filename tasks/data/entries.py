"""Listing folders: an unreadable entry becomes a sentence in the report and does not stop the listing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tasks.data.verification import some


def listed(root: Path, name: str, closed: list[str]) -> list[tuple[str, bool]]:
    """Return (name, whether it is a folder) for each entry of the folder `name` in `root`, sorted, without hidden entries.

    If the folder cannot be opened, return [] and append a sentence to `closed`. A circular link counts as a file: reading it
    reports the error.
    """
    try:
        with os.scandir(root / name) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        closed.append(f"{name}/ cannot be opened ({error.strerror})")
        return []
    return [(entry.name, is_folder(entry)) for entry in ordered if not entry.name.startswith(".")]


def is_folder(entry: os.DirEntry[str] | Path) -> bool:
    """Return whether an entry is a folder or a link to one; False if the system reports an error."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry may be a file. If the system reports an error, return True: reading the file will report it."""
    try:
        return entry.is_file()
    except OSError:
        return True


def where_instead(root: Path, complete: Callable[[Path], bool], archives: str) -> str:
    """Return a hint where the data set may be, for the end of the message that the folder `root` holds none: "; ..." or "".

    Args:
        root: the folder that the user named.
        complete: returns whether a folder holds such a data set.
        archives: the pattern of the data set's archives, such as "*.zip".
    """

    def usable(folder: Path) -> bool:
        try:
            return complete(folder)
        except OSError:  # no permission to look into it
            return False

    here = root.resolve()
    if below := sorted(filter(usable, here.iterdir())):
        return f"; {' and '.join(map(str, below[:3]))} would fit"
    if packed := sorted(path.name for path in here.glob(archives)):
        return f"; it holds {some(packed)}: unpack first"
    above = list(filter(usable, list(here.parents)[:2]))
    return f"; you may have meant {above[0]}, of which this is a part" if above else ""
