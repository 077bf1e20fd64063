"""Copies the two unzipped archives of Flickr8k into the official layout. Files are unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path

from tasks.flickr8k.layouts.official import FOLDERS, LISTS, TEXT, TOKENS
from tasks.task import Progress

PICTURES = 8_091
"""Pictures in Flickr8k_Dataset.zip."""

ARCHIVES = ("Flickr8k_Dataset.zip", "Flickr8k_text.zip")
_HIDDEN = "__MACOSX"  # another folder in the archives


def flickr8k(source: Path, target: Path, progress: Progress, pictures: int = PICTURES) -> None:
    """Write Flicker8k_Dataset/ and Flickr8k_text/ into a new folder `target`.

    Args:
        source: holds the unzipped archives: the folder of pictures, and the texts in Flickr8k_text/ or beside it.
        target: the folder to write.
        progress: called with ("copying pictures", done, total).
        pictures: expected number of pictures.

    Raises:
        ValueError: the pictures or a list are missing, or the number of pictures is wrong; the message names what is missing.
        OSError: a file cannot be read or written.
    """
    folder = _pictures(source)
    text = next((place for place in _places(source, TEXT) if (place / TOKENS).is_file()), None)
    if folder is None or text is None:
        missing = " and ".join([f"{FOLDERS[0]}/"] * (folder is None) + [TOKENS] * (text is None))
        zips = [name for name in ARCHIVES if (source / name).is_file()]
        hint = "; unpack first: " + " && ".join(f"unzip -q {name}" for name in zips) if zips else ""
        raise ValueError(
            f"{source} has no {missing}; --from takes the folder in which {' and '.join(ARCHIVES)} are unzipped{hint}"
        )
    wanted = (TOKENS, *LISTS.values())
    if absent := [name for name in wanted if not (text / name).is_file()]:
        raise ValueError(f"{text / absent[0]} is not there")
    names = sorted(path.name for path in folder.glob("*.jpg") if path.is_file() and not path.name.startswith("."))
    if len(names) != pictures:
        raise ValueError(f"{folder} has {len(names):,} pictures (*.jpg); expected {pictures:,}")
    (target / FOLDERS[0]).mkdir(parents=True)
    (target / TEXT).mkdir()
    for name in wanted:
        shutil.copyfile(text / name, target / TEXT / name)
    for done, name in enumerate(names, 1):
        shutil.copyfile(folder / name, target / FOLDERS[0] / name)
        progress("copying pictures", done, len(names))


def _places(source: Path, inner: str) -> list[Path]:
    """Return the possible locations of the folder `inner`: in `source`, one level deeper, or `source` itself."""
    if not source.is_dir():
        return []
    deeper = [path / inner for path in sorted(source.iterdir()) if path.is_dir() and path.name != _HIDDEN]
    return [source / inner, *deeper, source]


def _pictures(source: Path) -> Path | None:
    return next((place for name in FOLDERS for place in _places(source, name)[:-1] if place.is_dir()), None)
