"""Verification of data sets. Files are decoded in parallel. Files without errors are not read again."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from stat import S_ISREG
from typing import Any, TypeVar

from tasks.data.cache import Good, cache_dir, recall, remember
from tasks.data.threads import Threads
from tasks.task import DataReport

Progress = Callable[[int, int], None]
"""Called with (done, total) as files are read."""

QUARANTINE = "quarantine.txt"
SHOWN = 20
_OF_A_KIND = 3
_NAME = re.compile(r"\S*[\d/._'\"]\S*")  # a file, a number or quoted text
_REMEMBER_EVERY_SECONDS = 60.0
_ADVICE = f"list it in {QUARANTINE} to leave it out, which changes the data fingerprint"

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def check(
    root: Path,
    names: Sequence[str],
    decode: Callable[[bytes], object],
    kind: str,
    workers: int = 0,
    progress: Progress | None = None,
    digest: Callable[[Any], str] | None = None,
) -> list[Good | str]:
    """Read and decode files in parallel, each once.

    Args:
        root: the folder that `names` are relative to.
        names: the files, with forward slashes.
        decode: decodes the bytes of a file; raises ValueError with the reason if it cannot.
        kind: the expected kind of file, such as "image".
        workers: threads; 0 means one per processor.
        progress: called with (done, total) files.
        digest: returns the SHA-256 of decoded content, if different bytes may have the same content. By default it is the
            SHA-256 of the bytes.

    Returns:
        For each name, in order: (size, modification time, SHA-256) of a good file, or a sentence about a bad one. Good files are
        listed under `cache_dir()` and not read again until their size or modification time changes. There is a list for each folder
        and digest function.
    """
    rule = f"-{digest.__module__}.{digest.__qualname__}" if digest else ""
    where = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    memory = cache_dir() / "verified" / f"{where}{rule}.json"
    known = recall(memory)
    checked: list[Good | str] = []
    remembered = time.monotonic()

    def keep() -> None:
        good = {name: result for name, result in zip(names, checked, strict=False) if isinstance(result, tuple)}
        if any(known.get(name) != result for name, result in good.items()):
            with contextlib.suppress(OSError):  # without a writable cache, the next start only takes longer
                remember(memory, known | good)

    def check_one(name: str) -> Good | str:
        return _check(root, name, known.get(name), decode, kind, digest)

    try:
        for result in threaded(check_one, names, workers, progress, lambda name: root / name):
            checked.append(result)
            if time.monotonic() - remembered > _REMEMBER_EVERY_SECONDS:
                keep()
                remembered = time.monotonic()
    finally:  # an interrupted verification resumes where it stopped; a killed one repeats at most the last minute
        keep()
    return checked


def require(report: DataReport) -> None:
    """Check that a report has no problems.

    Raises:
        ValueError: there are problems; the message lists those of `telling` and the number of the others.
    """
    if report.problems:
        shown = "".join(f"\n  {problem}" for problem in telling(report.problems))
        rest = len(report.problems) - SHOWN
        more = f"\n  and {rest:,} more" if rest > 0 else ""
        raise ValueError(f"{report.name}: {len(report.problems):,} problem(s) in the data:{shown}{more}")


def telling(problems: Sequence[str], count: int = SHOWN) -> list[str]:
    """Return at most `count` problems, in their original order. The first three of each kind have priority.

    Sentences of the same kind differ only in names and numbers. Thousands of similar problems must not hide their cause.
    """
    seen: Counter[str] = Counter()
    early: list[int] = []
    late: list[int] = []
    for index, problem in enumerate(problems):
        kind = _NAME.sub("", problem)
        seen[kind] += 1
        (early if seen[kind] <= _OF_A_KIND else late).append(index)
    return [problems[index] for index in sorted((early + late)[:count])]


def threaded(
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    workers: int = 0,
    progress: Progress | None = None,
    name: Callable[[_Item], object] = str,
) -> Iterator[_Result]:
    """Yield `function(item)` for every item in order, computed by `workers` threads (0 means one per processor).

    Threads work in parallel, because Pillow and hashlib release the interpreter lock. If the iterator is closed early (Ctrl-C),
    queued work is dropped.

    Raises:
        LoaderError: an item takes more than PATIENCE seconds; `name(item)` is its file.
        Exception: whatever `function` raises.
    """
    size = max(1, min(64, len(items) // 256))  # chunks, because a million futures are slow
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    pool = Threads(workers)
    reading: dict[int, _Item] = {}  # the current item of each chunk

    def compute(number: int) -> list[_Result]:
        results = []
        for item in chunks[number]:
            if pool.closed:
                break
            reading[number] = item
            results.append(function(item))
        return results

    done = 0
    try:
        futures = [pool.submit(compute, number) for number in range(len(chunks))]
        for number in range(len(chunks)):
            results = pool.result(futures[number], lambda number=number: name(reading[number]))  # type: ignore[misc]
            futures[number] = None  # type: ignore[call-overload]  # release what was yielded
            done += len(results)
            if progress:
                progress(done, len(items))
            yield from results
    finally:
        pool.close()


def quarantined(
    root: Path, present: Collection[str], ignored: Callable[[str], bool] = lambda name: False
) -> tuple[set[str], list[str]]:
    """Read the list of files to leave out, `quarantine.txt` in `root`, if it exists. It has a name per line; # starts a comment.

    Args:
        root: the data set.
        present: the names of all files.
        ignored: returns whether a name is skipped, even if there is no such file.

    Returns:
        The names to leave out, and a sentence for every line that names no file.

    Raises:
        ValueError: the list is not a file, or not UTF-8 text.
    """
    path = root / QUARANTINE
    if not path.exists():
        return set(), []
    excluded, problems = set(), []
    for number, line in enumerate(read_lines(path), 1):
        name = "" if line.startswith("#") else line.strip().removeprefix("./")
        if name not in present:  # otherwise " #" is part of the name
            name = name.split(" #")[0].strip()
        if not name or ignored(name):
            continue
        if name in present:
            excluded.add(name)
        else:
            problems.append(f"{QUARANTINE}, line {number}: there is no {name}")
    return excluded, problems


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, with or without a byte order mark, with line ends LF, CR LF or CR.

    Raises:
        ValueError: `path` is a folder or a pipe, or not UTF-8 text; the message names it.
        OSError: the file cannot be opened.
    """
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is not a file")
    try:
        # Decoded in one piece: `read_text` silently drops an incomplete byte order mark (b"\xef").
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def choose(names: Sequence[str], subset: float | Fraction) -> list[str]:
    """Return ceil(subset n) of the n names, sorted: those with the lowest SHA-256. Larger subsets include smaller ones."""
    count = math.ceil(Fraction(str(subset)) * len(names))  # exact: 0.07 * 100 is above 7 in floating point
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
    return sorted(order[:count])


def some(names: Sequence[str]) -> str:
    """Return the number of names and the first three names, in words."""
    return f"{len(names):,} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"


def printable(text: str) -> str:
    r"""Return `text` with unprintable characters written as \n, \x1b or \udcff.

    File names may be any bytes, but reports are printed and stored in records, which are UTF-8.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _check(
    root: Path,
    name: str,
    known: Good | None,
    decode: Callable[[bytes], object],
    kind: str,
    digest: Callable[[Any], str] | None,
) -> Good | str:
    """Return size, modification time and SHA-256 of a good file, or a sentence about a bad one."""
    try:
        stat = (root / name).stat()
        if not S_ISREG(stat.st_mode):  # reading a pipe would wait
            return f"{name} is not a file; {_ADVICE}"
        if known is not None and known[:2] == (stat.st_size, stat.st_mtime_ns):
            return known
        data = (root / name).read_bytes()
    except OSError as error:
        return f"{name} cannot be opened ({error.strerror})"
    try:
        content = decode(data)
    except ValueError as error:
        return f"{name} is not a readable {kind} ({error}); {_ADVICE}"
    return stat.st_size, stat.st_mtime_ns, digest(content) if digest else hashlib.sha256(data).hexdigest()
