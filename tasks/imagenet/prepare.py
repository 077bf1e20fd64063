"""tiny-imagenet-50, made from Stanford's tiny-imagenet-200: a quarter of the classes and a larger test set.

For each class, the test set has the 50 pictures of Stanford's validation set and the last 100 of the 500 training pictures. Files
are copied unchanged.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.data.verification import read_lines
from tasks.task import Progress

NAME = "tiny-imagenet-200"
ANNOTATIONS, WORDS, CLASSES = "val/val_annotations.txt", "words.txt", "classes.txt"

_WNID, _VAL = re.compile(r"n\d{8}"), re.compile(r"val_\d+\.JPEG")


@dataclass(frozen=True)
class Layout:
    """Content of the source, and the part that is used.

    Attributes:
        classes: number of class folders in train/.
        every: in sorted order, the first class and every `every`th class after it are used.
        train: training pictures per class, WNID_0.JPEG to WNID_499.JPEG.
        held_out: training pictures from this number on go to `val`.
        val: pictures per class in the validation set of the source.
    """

    classes: int = 200
    every: int = 4
    train: int = 500
    held_out: int = 400
    val: int = 50


STANFORD = Layout()


def tiny_imagenet(source: Path, target: Path, progress: Progress, layout: Layout = STANFORD) -> None:
    """Write the data set into a new folder `target`.

    Args:
        source: the unzipped tiny-imagenet-200, or the folder that holds it.
        target: gets train/WNID/*.JPEG, val/WNID/*.JPEG and classes.txt.
        progress: called with ("copying pictures", done, total).
        layout: expected content of `source`.

    Raises:
        ValueError: `source` is not this data set, or a file in it is missing or wrong; the message names it.
        OSError: a file cannot be read or written.
    """
    root = next((folder for folder in (source, source / NAME) if (folder / ANNOTATIONS).is_file()), None)
    if root is None:
        archive = source / f"{NAME}.zip"
        hint = f"; unpack {archive} first (unzip -q {archive.name})" if archive.is_file() else ""
        raise ValueError(f"{source} has no {ANNOTATIONS}; --from takes the unzipped {NAME}, or its folder{hint}")
    taken = _classes(root, layout)
    copies = [*_training(root, taken, layout), *_validation(root, taken, layout)]
    if absent := [origin for origin, _ in copies if not (root / origin).is_file()]:
        more = f", nor {len(absent) - 1:,} more" if absent[1:] else ""
        raise ValueError(f"{root / absent[0]} is not there{more}; {len(copies):,} pictures are needed")
    words = _words(root, taken)
    for folder in sorted({Path(name).parent for _, name in copies}):
        (target / folder).mkdir(parents=True)
    for done, (origin, name) in enumerate(copies, 1):
        shutil.copyfile(root / origin, target / name)
        progress("copying pictures", done, len(copies))
    (target / CLASSES).write_text("".join(f"{wnid}\t{words[wnid]}\n" for wnid in taken), encoding="utf-8")


def _classes(root: Path, layout: Layout) -> list[str]:
    found = sorted(path.name for path in (root / "train").glob("*") if _WNID.fullmatch(path.name) and path.is_dir())
    if len(found) != layout.classes:
        raise ValueError(f"{root / 'train'} has {len(found)} folders of classes; expected {layout.classes}")
    return found[:: layout.every]


def _training(root: Path, taken: list[str], layout: Layout) -> Iterator[tuple[str, str]]:
    """Yield the relative source and target of each training picture. The number in its name decides the split, not sorted order."""
    for wnid in taken:
        for number in range(layout.train):
            split = "train" if number < layout.held_out else "val"
            name = f"{wnid}_{number}.JPEG"
            yield f"train/{wnid}/images/{name}", f"{split}/{wnid}/{name}"


def _validation(root: Path, taken: list[str], layout: Layout) -> Iterator[tuple[str, str]]:
    found: dict[str, list[str]] = {wnid: [] for wnid in taken}
    for number, line in enumerate(read_lines(root / ANNOTATIONS), 1):
        name, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if line and not (_VAL.fullmatch(name) and _WNID.fullmatch(wnid)):
            raise ValueError(
                f"{root / ANNOTATIONS}, line {number}: expected val_NUMBER.JPEG, a tab and a class, got {line[:80]!r}"
            )
        if wnid in found:
            found[wnid].append(name)
    for wnid, names in found.items():
        if len(set(names)) != layout.val or len(names) != layout.val:
            raise ValueError(f"{root / ANNOTATIONS} lists {len(set(names))} pictures of {wnid}; expected {layout.val}")
        yield from ((f"val/images/{name}", f"val/{wnid}/{name}") for name in sorted(names))


def _words(root: Path, taken: list[str]) -> dict[str, str]:
    if not (root / WORDS).is_file():
        raise ValueError(f"{root / WORDS} is not there; it names the classes")
    words = dict(line.split("\t", 1) for line in read_lines(root / WORDS) if "\t" in line)
    if absent := [wnid for wnid in taken if wnid not in words]:
        raise ValueError(f"{root / WORDS} does not name {absent[0]}")
    return words
