"""What lies in a folder, where one odd entry is a sentence in a report, and never the end of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tasks.data.verification import some


def listed(root: Path, name: str, closed: list[str]) -> list[tuple[str, bool]]:
    """Return (name, whether it is a folder) of what lies in the folder `name` of `root`, by name, but for hidden entries.

    A folder that cannot be opened holds nothing, and a sentence about it is added to `closed`. A link in a circle is no folder:
    whoever reads it as a file says what is wrong with it.
    """
    try:
        with os.scandir(root / name) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        closed.append(f"{name}/ cannot be opened ({error.strerror})")
        return []
    return [(entry.name, is_folder(entry)) for entry in found if not entry.name.startswith(".")]


def is_folder(entry: os.DirEntry[str] | Path) -> bool:
    """Whether an entry is a folder, or a link to one. What cannot be told is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry may be a file: what cannot be told is found out when it is read."""
    try:
        return entry.is_file()
    except OSError:
        return True


def where_instead(root: Path, complete: Callable[[Path], bool], archives: str) -> str:
    """Return a hint for the message that the folder `root` holds no data set: "; ..." or "".

    Args:
        root: the folder that the user named.
        complete: whether a folder holds such a data set.
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
    if above := list(filter(usable, list(here.parents)[:2])):
        return f"; you may have meant {above[0]}, of which this is a part"
    packed = sorted(path.name for path in here.glob(archives))
    return f"; it holds {some(packed)}: unpack first" if packed else ""
