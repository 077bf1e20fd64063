"""Data sets of pictures in train/CLASS/* and val/CLASS/*: listing, verification and fingerprint."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.data.cache import MARK
from tasks.data.completeness import duplicates, totals
from tasks.data.entries import listed, where_instead
from tasks.data.images import pixels
from tasks.data.verification import QUARANTINE, SHOWN, check, choose, printable, quarantined, some
from tasks.task import DataReport, Progress

Split = Literal["train", "val"]
SPLITS: tuple[Split, Split] = ("train", "val")
SUFFIXES = (".jpeg", ".jpg", ".png")

PUBLISHED = {"train": 1_281_167, "val": 50_000}
"""Pictures in each split of ILSVRC2012 (Russakovsky et al., IJCV 2015, Table 2)."""

_CLASSES, _WNID = 1000, re.compile(r"n\d{8}")


@dataclass(frozen=True)
class Folder:
    """The pictures for training (`train`) and testing (`val`), as names relative to `root` with forward slashes.

    Classes are numbered in sorted order of their folder names. Pictures are in order of class, then file name. `problems` and
    `warnings` are sentences; only `verify` finds problems inside files. `there` is the number of pictures in each split of
    `root`, including those left out.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[str, ...]
    val: tuple[str, ...]
    subset: float = 1.0
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    there: dict[str, int] = field(default_factory=dict)

    def names(self, split: Split) -> tuple[str, ...]:
        """Return the relative file names of a split."""
        return self.train if split == "train" else self.val

    def labels(self, split: Split) -> NDArray[np.int64]:
        """Return the class numbers of the pictures of a split, (n,)."""
        number = {name: index for index, name in enumerate(self.classes)}
        return np.array([number[name.split("/")[1]] for name in self.names(split)], dtype=np.int64)


@dataclass(frozen=True)
class Division:
    """How the n training pictures of every class are used. They are divided in order of the SHA-256 of their names.

    The first ceil(`trained` n) are for training, the last floor(`probes` n) for probes. With `test_unused`, the pictures in between
    are added to the test set, after those of `val`. With `probing`, the pictures for probes are the test set.
    """

    trained: float = 1.0
    probes: float = 0.0
    test_unused: bool = False
    probing: bool = False

    def splits(self, splits: Sequence[Split]) -> Sequence[Split]:
        """Return the splits whose folders must be read for `splits`. The test set may have pictures of train/."""
        return SPLITS if self.test_unused or self.probing else splits

    def parts(self, names: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
        """Divide the pictures of a class; return the sorted names of those for training, those unused, and those for probes."""
        if self == WHOLE:
            return list(names), [], []
        probes = set(names) - set(choose(names, 1 - Fraction(str(self.probes))))
        rest = [name for name in names if name not in probes]
        trained = set(choose(names, Fraction(str(self.trained)))) - probes
        return [n for n in rest if n in trained], [n for n in rest if n not in trained], sorted(probes)


WHOLE = Division()
"""All pictures of train/ are for training and those of val/ are the test set."""


@dataclass
class _Found:
    """Content of a split's folder: pictures by class, pictures outside classes, other files, sentences about unreadable folders."""

    pictures: dict[str, list[str]] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def scan(root: Path, subset: float = 1.0, splits: Sequence[Split] = SPLITS, division: Division = WHOLE) -> Folder:
    """List the pictures (.jpeg, .jpg, .png in any case) of `root` without opening them.

    Args:
        root: a folder with `train` and `val`, each with a folder per class. Hidden files are ignored. Names in
            `quarantine.txt` (relative, one per line, # starts a comment) are left out.
        subset: the share F of the training pictures to use, in (0, 1]. Of the n pictures of a class, the first ceil(F n) in order
            of the SHA-256 of their relative names are used. Larger subsets include smaller ones. The test set does not depend on F.
        splits: the splits needed; ("val",) is enough to score a network.
        division: how the training pictures are used; `subset` is a share of those for training.

    Raises:
        ValueError: `subset` is out of range, or `root` is not such a folder (the message suggests another).
    """
    if not 0 < subset <= 1:
        raise ValueError(f"subset={subset}: expected the part of the training pictures to use, above 0 and at most 1")
    asked, splits = splits, division.splits(splits)
    _check_layout(root, splits)
    found = {split: _list(root, split) for split in splits}
    present = {n for content in found.values() for names in (*content.pictures.values(), content.others) for n in names}
    absent = set(SPLITS) - set(splits)  # splits that are not needed
    excluded, wrong = quarantined(root, present, lambda name: name.partition("/")[0] in absent)
    warnings = [f"left out by {QUARANTINE}: {some(sorted(excluded))}"] if excluded else []
    classes = tuple(sorted({name for content in found.values() for name in content.pictures}))
    kept: dict[Split, dict[str, list[str]]] = {split: {} for split in SPLITS}
    # Problems that explain other problems come first.
    problems = [
        sentence for split in splits for sentence in (*found[split].closed, *_loose(split, found[split]))
    ] + wrong
    for split in splits:
        kept[split] = {c: [n for n in names if n not in excluded] for c, names in found[split].pictures.items()}
        others = [name for name in found[split].others if name not in excluded]
        problems += _without_pictures(split, classes, kept[split], others, found[split])
        if others:
            warnings.append(f"passed over in {split}/, being no pictures: {some(others)}")
    parts = [division.parts(kept["train"].get(c, [])) for c in classes]
    train = tuple(name for trained, _, _ in parts for name in choose(trained, subset)) if "train" in asked else ()
    val = tuple(name for c in classes for name in kept["val"].get(c, []))
    if division.probing:
        val = tuple(name for _, _, probes in parts for name in probes)
    elif division.test_unused:
        val += tuple(name for _, unused, _ in parts for name in unused)
    there: dict[str, int] = {split: sum(map(len, found[split].pictures.values())) for split in splits}
    return Folder(root, classes, train, val, subset, tuple(problems), tuple(warnings), there)


def verify(folder: Folder, progress: Progress | None = None, workers: int = 0) -> DataReport:
    """Decode every picture of a scanned folder, in parallel, and report all problems.

    Args:
        folder: result of `scan`.
        workers: threads; 0 means one per processor.
        progress: called with ("verifying pictures", done, total).

    Returns:
        The report. Its fingerprint is a hash, 16 hexadecimal digits, of names, sizes and contents of all pictures used. Good files
        are not read again next time (`tasks.data.verification.check`). Damaged files become problems of the report.
    """
    names = folder.train + folder.val
    report = progress and partial(progress, "verifying pictures")
    checked = check(folder.root, names, pixels, "image", workers, report)
    problems, warnings = list(folder.problems), list(folder.warnings)
    content = hashlib.sha256()
    for name, result in zip(names, checked, strict=True):
        if isinstance(result, str):
            problems.append(result)
            result = (0, 0, "unreadable")
        size, _, digest = result
        content.update(f"{name}\0{size}\0{digest}\n".encode("utf-8", "surrogateescape"))
    warnings += duplicates(
        "test pictures",
        folder.train,
        folder.val,
        dict(zip(names, checked, strict=True)),
        "training pictures",
        truth=lambda name: name.split("/")[1],
        conflict="pictures that are in more than one class, so that a label is wrong",
    )
    imagenet = len(folder.classes) == _CLASSES and all(map(_WNID.fullmatch, folder.classes))
    published, odd = totals("ILSVRC2012", PUBLISHED, folder.there) if imagenet else ("", [])
    return DataReport(
        name=printable(folder.root.resolve().name),
        fingerprint=content.hexdigest()[:16],
        counts={"train": len(folder.train), "test": len(folder.val), "classes": len(folder.classes)},
        synthetic=(folder.root / MARK).exists(),
        subset=folder.subset,
        problems=tuple(map(printable, problems)),
        warnings=tuple(map(printable, (*warnings, *odd))),
        published=published,
    )


def _check_layout(root: Path, splits: Sequence[Split]) -> None:
    def complete(folder: Path) -> bool:
        return all((folder / split).is_dir() for split in splits)

    if complete(root):
        return
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; expected one with train/CLASS/ and val/CLASS/")
    missing = " and ".join(f"{split}/" for split in splits if not (root / split).is_dir())
    hint = where_instead(root, complete, "*.tar*")
    raise ValueError(f"{root} has no {missing}; expected a folder with train/CLASS/ and val/CLASS/{hint}")


def _list(root: Path, split: Split) -> _Found:
    found = _Found()
    for entry, is_folder in listed(root, split, found.closed):
        name = f"{split}/{entry}"
        if not is_folder:
            (found.loose if entry.lower().endswith(SUFFIXES) else found.others).append(name)
            continue
        pictures = found.pictures[entry] = []
        for inner, is_inner_folder in listed(root, name, found.closed):
            if is_inner_folder:
                found.others.append(f"{name}/{inner}/")
            else:
                picture = inner.lower().endswith(SUFFIXES)
                (pictures if picture else found.others).append(f"{name}/{inner}")
    return found


def _loose(split: Split, found: _Found) -> list[str]:
    """Return sentences about pictures outside the class folders, or about a split without class folders."""
    why = "" if found.pictures or found.closed else f"{split}/ has no class folder"
    if found.loose:
        loose = f"{split}/ holds {some(found.loose)} outside the class folders; move every picture into {split}/CLASS/"
        return [f"{loose}: {why}" if why else loose]
    return [f"{why}; expected {split}/CLASS/ with pictures in it"] if why else []


def _without_pictures(
    split: Split, classes: Sequence[str], kept: dict[str, list[str]], others: Sequence[str], found: _Found
) -> list[str]:
    """Return a sentence for every class without pictures in a split, or one sentence if there are many."""
    if not kept:  # `_loose` reports it
        return []
    closed = {sentence.partition("/ cannot")[0] for sentence in found.closed}
    missing = [name for name in classes if name not in kept]
    empty = [name for name in classes if kept.get(name) == [] and f"{split}/{name}" not in closed]
    deeper = {other.split("/")[1]: other for other in reversed(others) if other.endswith("/")}
    if len(missing) > SHOWN:
        problems = [f"{split}/ lacks {some(missing)} of the {len(classes):,} classes that are in other folders"]
    else:
        problems = [f"{split}/{name} is missing: class {name} has no pictures in {split}/" for name in missing]
    if len(empty) > SHOWN:
        inner = next((deeper[name] for name in empty if name in deeper), "")
        hint = f"; pictures must lie directly in them, not in {inner}" if inner else ""
        problems.append(f"{split}/ has classes without a .jpeg, .jpg or .png file: {some(empty)}{hint}")
        return problems
    for name in empty:
        hint = f"; pictures must lie directly in it, not in {deeper[name]}" if name in deeper else ""
        problems.append(f"{split}/{name} is empty: it holds no .jpeg, .jpg or .png file{hint}")
    return problems
