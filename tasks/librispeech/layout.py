"""Folders in LibriSpeech's layout: file names, headers and transcripts, read once and cached."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from stat import S_ISFIFO
from typing import Any, Literal

from tasks.data.cache import cache_dir, write_whole
from tasks.data.entries import listed, where_instead
from tasks.data.verification import read_lines, threaded
from tasks.librispeech import audio
from tasks.librispeech.audio import Header
from tasks.task import Progress

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, Split, Split] = ("train", "dev", "test")

INNER = "LibriSpeech"
"""The folder in the published archives."""

AUDIO, TRANSCRIPT = ".flac", ".trans.txt"

_VERSION = f"1, {audio.LIBRARY}"


@dataclass
class Contents:
    """Content of folders. Names are relative to the data set, with forward slashes.

    Attributes:
        recordings: FLAC files in FOLDER/SPEAKER/CHAPTER/. The value is the header, or the reason why it cannot be read.
        transcripts: SPEAKER-CHAPTER.trans.txt of every chapter that has recordings or this file. The value is the list of its
            lines, the reason why it cannot be read, or None if it is missing.
        loose: FLAC files in other folders.
        others: all other files and folders.
        closed: a sentence for every folder that cannot be opened.
    """

    recordings: dict[str, Header | str] = field(default_factory=dict)
    transcripts: dict[str, list[str] | str | None] = field(default_factory=dict)
    loose: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def find(root: Path) -> Path:
    """Return the folder that holds folders such as train-clean-100: `root`, or the folder LibriSpeech in it.

    Raises:
        ValueError: neither holds such folders; the message suggests another folder.
    """

    def complete(folder: Path) -> bool:
        return bool(folders(folder, "train") or folders(folder, "test"))

    for candidate in (root, root / INNER):
        if complete(candidate):
            return candidate
    expected = "folders whose names begin with train or test"
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; expected one with {expected}")
    raise ValueError(f"{root} has no {expected}{where_instead(root, complete, '*.tar*')}")


def folders(root: Path, split: Split) -> list[str]:
    """Return the sorted names of the folders of a split in `root`. They begin with the name of the split."""
    if not root.is_dir():
        return []
    return sorted(path.name for path in root.iterdir() if path.name.startswith(split) and path.is_dir())


def read(root: Path, names: Sequence[str], progress: Progress | None = None) -> Contents:
    """Return the content of the folders `names` of `root` without decoding sound.

    Headers and transcripts are cached under `cache_dir()` until the name, size or modification time of a file changes.

    Args:
        root: the data set.
        names: folders in it, such as "train-clean-100".
        progress: called with ("reading headers", done, total).
    """
    contents = Contents()
    listing = hashlib.sha256(_VERSION.encode())
    for name in names:
        for file, size, changed in _chapters(root, name, contents):
            listing.update(f"\n{file}\0{size}\0{changed}".encode("utf-8", "surrogateescape"))
    where = hashlib.sha256(os.fsencode(root.resolve()) + json.dumps(list(names)).encode()).hexdigest()
    memory = cache_dir() / "manifests" / f"{where[:16]}.json"
    if not _recall(memory, listing.hexdigest(), contents):
        opened = _read_all(root, contents, progress)
        if opened:  # a file that could not be opened may become readable without a change of name, size or time
            with contextlib.suppress(OSError):  # without a writable cache, the next start only takes longer
                _remember(memory, listing.hexdigest(), contents)
    return contents


def transcript_file(recording: str) -> str:
    """Return the name of the file with the transcript of a recording."""
    folder, speaker, chapter, _ = recording.split("/")
    return f"{folder}/{speaker}/{chapter}/{speaker}-{chapter}{TRANSCRIPT}"


def _chapters(root: Path, folder: str, contents: Contents) -> Iterator[tuple[str, int, int]]:
    """Yield (name, size, modification time in ns) of every recording and transcript of a folder; add all names to `contents`."""
    for speaker in _entries(root, folder, contents):
        for chapter in _entries(root, speaker, contents):
            transcript = transcript_file(f"{chapter}/")
            for entry, is_folder in listed(root, chapter, contents.closed):
                name = f"{chapter}/{entry}"
                if is_folder:
                    contents.others.append(f"{name}/")
                    continue
                try:
                    stat = (root / name).stat()
                except OSError:  # a broken or circular link: reading it reports the error
                    stat = None
                if stat and S_ISFIFO(stat.st_mode):  # reading a pipe would wait
                    contents.others.append(name)
                    continue
                if entry.endswith(AUDIO):
                    contents.recordings[name] = ""
                    contents.transcripts.setdefault(transcript, None)
                elif name == transcript:
                    contents.transcripts[name] = ""
                else:
                    contents.others.append(name)
                    continue
                yield (name, stat.st_size, stat.st_mtime_ns) if stat else (name, -1, -1)


def _entries(root: Path, parent: str, contents: Contents) -> list[str]:
    """Return the sorted names of the folders in `parent`; add its files to `contents`."""
    inner = []
    for entry, is_folder in listed(root, parent, contents.closed):
        name = f"{parent}/{entry}"
        if is_folder:
            inner.append(name)
        else:
            (contents.loose if entry.endswith(AUDIO) else contents.others).append(name)
    return inner


def _read_all(root: Path, contents: Contents, progress: Progress | None) -> bool:
    """Read headers and transcripts of the files in `contents`; return whether all could be opened."""
    closed: list[str] = []

    def header(name: str) -> Header | str:
        try:
            return audio.header(root / name)
        except OSError as error:
            closed.append(name)
            return f"it cannot be opened: {error.strerror}"
        except ValueError as error:
            return str(error)

    def lines(name: str) -> list[str] | str:
        try:
            return read_lines(root / name)
        except OSError as error:
            closed.append(name)
            return f"cannot be opened ({error.strerror})"
        except ValueError:
            return "is not UTF-8 text"

    report = progress and partial(progress, "reading headers")
    names = list(contents.recordings)
    contents.recordings.update(zip(names, threaded(header, names, progress=report), strict=True))
    present = [name for name, found in contents.transcripts.items() if found is not None]
    contents.transcripts.update(zip(present, threaded(lines, present), strict=True))
    return not closed


def _recall(path: Path, key: str, contents: Contents) -> bool:
    """Copy headers and transcripts from the cache at `path` into `contents`.

    Return False if the cache is absent, damaged or for another `key`.
    """
    try:
        stored: Any = json.loads(path.read_text(encoding="utf-8"))
        if stored["key"] != key:
            return False
        headers = {n: h if isinstance(h, str) else Header(*h) for n, h in stored["recordings"].items()}
        if headers.keys() != contents.recordings.keys() or stored["transcripts"].keys() != contents.transcripts.keys():
            return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    contents.recordings.update(headers)
    contents.transcripts.update(stored["transcripts"])
    return True


def _remember(path: Path, key: str, contents: Contents) -> None:
    """Write the cache to `path` atomically.

    Raises:
        OSError: it cannot be written.
    """
    headers = {
        name: found if isinstance(found, str) else (found.samples, found.rate, found.channels)
        for name, found in contents.recordings.items()
    }
    manifest = {"key": key, "recordings": headers, "transcripts": contents.transcripts}
    write_whole(path, json.dumps(manifest).encode())
