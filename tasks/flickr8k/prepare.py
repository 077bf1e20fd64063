"""Flickr8k in the layout that the loader reads, from its two official archives as they unzip: pictures and texts untouched."""

from __future__ import annotations

import shutil
from pathlib import Path

from tasks.flickr8k.layouts.official import FOLDERS, LISTS, TEXT, TOKENS
from tasks.task import Progress

PICTURES = 8_091
"""Pictures in Flickr8k_Dataset.zip."""

ARCHIVES = ("Flickr8k_Dataset.zip", "Flickr8k_text.zip")
_HIDDEN = "__MACOSX"  # what else the archives hold


def flickr8k(source: Path, target: Path, progress: Progress, pictures: int = PICTURES) -> None:
    """Write Flicker8k_Dataset/ and Flickr8k_text/ into the folder `target`, which must not be there.

    Args:
        source: holds the unzipped archives: the folder of pictures, and the texts in Flickr8k_text/ or beside it.
        target: where to write.
        progress: called with ("copying pictures", done, total).
        pictures: how many there should be.

    Raises:
        ValueError: the pictures or a list are not there, or there are too few of them; what is missing is named.
        OSError: the disk.
    """
    folder = _pictures(source)
    text = next((one for one in _places(source, TEXT) if (one / TOKENS).is_file()), None)
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
    """Return where a folder may lie: itself in `source`, one level deeper where an archive was given a folder, or loose."""
    if not source.is_dir():
        return []
    deeper = [path / inner for path in sorted(source.iterdir()) if path.is_dir() and path.name != _HIDDEN]
    return [source / inner, *deeper, source]


def _pictures(source: Path) -> Path | None:
    return next((place for name in FOLDERS for place in _places(source, name)[:-1] if place.is_dir()), None)
