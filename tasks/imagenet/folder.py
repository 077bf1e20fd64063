"""A folder of pictures, train/CLASS/* and val/CLASS/*: what is there, whether it can be used, and its fingerprint."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.imagenet.augment import pixels
from tasks.imagenet.cache import Good, cache_dir, recall, remember
from tasks.task import DataReport

Split = Literal["train", "val"]
Progress = Callable[[int, int], None]
"""Called with (done, total) as files are read."""

SPLITS: tuple[Split, Split] = ("train", "val")
SUFFIXES = (".jpeg", ".jpg", ".png")
QUARANTINE = "quarantine.txt"
SHOWN = 20
_REMEMBER_EVERY_SECONDS = 60.0
_ADVICE = f"list it in {QUARANTINE} to leave it out, which changes the data fingerprint"

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Folder:
    """The pictures that training (`train`) and testing (`val`) use, as names relative to `root` with forward slashes.

    Classes are numbered in sorted order of their folder names; pictures are in order of class, then file name.
    `problems` and `warnings` are complete sentences; what is wrong inside the files only `verify` knows.
    """

    root: Path
    classes: tuple[str, ...]
    train: tuple[str, ...]
    val: tuple[str, ...]
    subset: float = 1.0
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def names(self, split: Split) -> tuple[str, ...]:
        """Return the relative file names of one split."""
        return self.train if split == "train" else self.val

    def labels(self, split: Split) -> NDArray[np.int64]:
        """Return the class number of every picture of one split, (n,)."""
        number = {name: index for index, name in enumerate(self.classes)}
        return np.array([number[name.split("/")[1]] for name in self.names(split)], dtype=np.int64)


@dataclass
class _Found:
    """What one split's folder holds: picture names per class, and everything else."""

    pictures: dict[str, list[str]] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def scan(root: Path, subset: float = 1.0, splits: Sequence[Split] = SPLITS) -> Folder:
    """List the pictures (.jpeg, .jpg, .png in any case) of `root`, without opening one.

    Args:
        root: a folder with `train` and `val`, each holding one folder per class. Hidden files are passed over; names in
            `quarantine.txt` (relative, one a line, # starts a comment) are left out.
        subset: the part F of the training pictures to use, in (0, 1]: the first ceil(F n) of each class in order of the
            SHA-256 of their relative names, so a smaller subset lies within a larger one. `val` is always used whole.
        splits: what is needed; ("val",) is enough to score a network.

    Raises:
        ValueError: `subset` is out of range, or `root` is not such a folder (the message suggests one that is).
    """
    if not 0 < subset <= 1:
        raise ValueError(f"subset={subset}: expected the part of the training pictures to use, above 0 and at most 1")
    _check_layout(root, splits)
    found = {split: _list(root, split) for split in splits}
    excluded, problems = _quarantine(root, found)
    warnings: list[str] = []
    classes = tuple(sorted({name for one in found.values() for name in one.pictures}))
    kept: dict[Split, dict[str, list[str]]] = {split: {} for split in SPLITS}
    for split in splits:
        kept[split] = {c: [n for n in names if n not in excluded] for c, names in found[split].pictures.items()}
        others = [name for name in found[split].others if name not in excluded]
        for name in classes:
            if name not in kept[split]:
                problems.append(f"{split}/{name} is missing: class {name} has no pictures in {split}/")
            elif not kept[split][name]:
                inner = [other for other in others if other.startswith(f"{split}/{name}/") and other.endswith("/")]
                hint = f"; pictures must lie directly in it, not in {inner[0]}" if inner else ""
                problems.append(f"{split}/{name} is empty: it holds no .jpeg, .jpg or .png file{hint}")
        if found[split].loose:
            problems.append(
                f"{split}/ holds {_some(found[split].loose)} outside the class folders; "
                f"move every picture into {split}/CLASS/"
            )
        if others:
            warnings.append(f"passed over in {split}/, being no pictures: {_some(others)}")
    train = tuple(name for c in classes for name in _choose(kept["train"].get(c, []), subset))
    val = tuple(name for c in classes for name in kept["val"].get(c, []))
    return Folder(root, classes, train, val, subset, tuple(problems), tuple(warnings))


def verify(folder: Folder, workers: int = 0, progress: Progress | None = None, synthetic: bool = False) -> DataReport:
    """Read and decode every picture of a scanned folder, in parallel, and report all that is wrong with it.

    Args:
        folder: what `scan` found.
        workers: threads; 0 takes one per processor.
        progress: called with (done, total) pictures.
        synthetic: whether the pictures are generated; goes into the report.

    Returns:
        The report, its fingerprint 16 hexadecimal digits over names, sizes and contents of all pictures used. Files
        found good are remembered under `cache_dir()` by name, size and time of change, and not read again. Damaged
        files raise nothing: `require` does that.
    """
    root = folder.root
    names = folder.train + folder.val
    memory = cache_dir() / "verified" / (hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16] + ".json")
    known = recall(memory)
    checked: list[Good | str] = []
    problems, warnings = list(folder.problems), list(folder.warnings)
    remembered = time.monotonic()

    def keep() -> None:
        good = {name: result for name, result in zip(names, checked, strict=False) if isinstance(result, tuple)}
        if any(known.get(name) != result for name, result in good.items()):
            with contextlib.suppress(OSError):  # a cache that cannot be written costs time at the next start, no more
                remember(memory, known | good)

    try:
        for result in threaded(lambda name: _check(root, name, known.get(name)), names, workers, progress):
            checked.append(result)
            if time.monotonic() - remembered > _REMEMBER_EVERY_SECONDS:
                keep()
                remembered = time.monotonic()
    finally:  # an interrupted verification goes on where it stopped; a killed one, from the last minute
        keep()
    content = hashlib.sha256()
    first: dict[str, str] = {}
    leaked = []
    for name, result in zip(names, checked, strict=True):
        if isinstance(result, str):
            problems.append(result)
            result = (0, 0, "unreadable")
        size, _, digest = result
        content.update(f"{name}\0{size}\0{digest}\n".encode("utf-8", "surrogateescape"))
        if name.startswith("train/"):
            first.setdefault(digest, name)
        elif digest in first and digest != "unreadable":
            leaked.append(f"{name} = {first[digest]}")
    if leaked:
        warnings.append(f"test pictures that are also trained on, byte for byte: {_some(leaked)}")
    return DataReport(
        name=root.resolve().name,
        fingerprint=content.hexdigest()[:16],
        counts={"train": len(folder.train), "test": len(folder.val), "classes": len(folder.classes)},
        synthetic=synthetic,
        subset=folder.subset,
        problems=tuple(problems),
        warnings=tuple(warnings),
    )


def require(report: DataReport) -> None:
    """Let usable data pass.

    Raises:
        ValueError: names every problem of the report: the first 20, then how many more there are.
    """
    if report.problems:
        shown = "".join(f"\n  {problem}" for problem in report.problems[:SHOWN])
        rest = len(report.problems) - SHOWN
        more = f"\n  and {rest:,} more" if rest > 0 else ""
        raise ValueError(f"{report.name}: {len(report.problems):,} problem(s) in the data:{shown}{more}")


def threaded(
    function: Callable[[_Item], _Result], items: Sequence[_Item], workers: int = 0, progress: Progress | None = None
) -> Iterator[_Result]:
    """Yield `function(item)` for every item in order, computed by threads (0: one per processor).

    Pillow and hashlib let go of the interpreter lock, so threads do read pictures in parallel. Abandoning the iterator
    (Ctrl-C) drops the work not yet begun.
    """
    size = max(1, min(64, len(items) // 256))  # chunks, so that a million small tasks are not a million futures
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    done = 0
    try:
        for results in pool.map(lambda chunk: [function(item) for item in chunk], chunks):
            done += len(results)
            if progress:
                progress(done, len(items))
            yield from results
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _check(root: Path, name: str, known: Good | None) -> Good | str:
    """Return what is to be remembered of a good file, or the sentence that says what is wrong with it."""
    try:
        stat = (root / name).stat()
        if known is not None and known[:2] == (stat.st_size, stat.st_mtime_ns):
            return known
        data = (root / name).read_bytes()
    except OSError as error:
        return f"{name} cannot be opened ({error.strerror})"
    try:
        pixels(data)
    except ValueError as error:
        return f"{name} is not a readable image ({error}); {_ADVICE}"
    return stat.st_size, stat.st_mtime_ns, hashlib.sha256(data).hexdigest()


def _check_layout(root: Path, splits: Sequence[Split]) -> None:
    def complete(folder: Path) -> bool:
        try:
            return all((folder / split).is_dir() for split in splits)
        except OSError:  # not ours to look into
            return False

    if complete(root):
        return
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; expected one with train/CLASS/ and val/CLASS/")
    here = root.resolve()
    below = sorted(path for path in here.iterdir() if complete(path))
    hint = ""
    if below:
        hint = f"; {' and '.join(str(path) for path in below[:3])} would fit"
    elif above := [path for path in list(here.parents)[:2] if complete(path)]:
        hint = f"; you may have meant {above[0]}, of which this is a part"
    elif archives := sorted(path.name for path in here.glob("*.tar*")):
        hint = f"; it holds {_some(archives)}: unpack first"
    missing = " and ".join(f"{split}/" for split in splits if not (root / split).is_dir())
    raise ValueError(f"{root} has no {missing}; expected a folder with train/CLASS/ and val/CLASS/{hint}")


def _list(root: Path, split: Split) -> _Found:
    found = _Found()
    for entry in sorted(os.scandir(root / split), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        name = f"{split}/{entry.name}"
        if not entry.is_dir():
            (found.loose if entry.name.lower().endswith(SUFFIXES) else found.others).append(name)
            continue
        pictures = found.pictures[entry.name] = []
        for inner in os.scandir(entry.path):
            if inner.name.startswith("."):
                continue
            if inner.is_dir():
                found.others.append(f"{name}/{inner.name}/")
            else:
                picture = inner.name.lower().endswith(SUFFIXES)
                (pictures if picture else found.others).append(f"{name}/{inner.name}")
        pictures.sort()
    return found


def _quarantine(root: Path, found: Mapping[Split, _Found]) -> tuple[set[str], list[str]]:
    """Return the names to leave out, and a sentence for every line that names no file."""
    path = root / QUARANTINE
    if not path.exists():
        return set(), []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    present = {name for one in found.values() for names in (*one.pictures.values(), one.others) for name in names}
    excluded, problems = set(), []
    for number, line in enumerate(lines, 1):
        name = "" if line.startswith("#") else line.split(" #")[0].strip().removeprefix("./")
        if name.partition("/")[0] in set(SPLITS) - set(found):
            continue  # of a split that nobody asked for
        if name and name not in present:
            problems.append(f"{QUARANTINE}, line {number}: there is no {name}")
        elif name:
            excluded.add(name)
    return excluded, problems


def _choose(names: list[str], subset: float) -> list[str]:
    count = math.ceil(Fraction(str(subset)) * len(names))  # exact: 0.07 * 100 is above 7 in floating point
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
    return sorted(order[:count])


def _some(names: list[str]) -> str:
    return f"{len(names):,} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
