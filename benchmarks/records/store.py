"""Records on disk: one JSON file per trial, written atomically and never changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.records.schema import Record, content_hash_of


def _laid_out(value: Any, indent: str = "") -> str:
    """Return `value` as JSON. A part without lists (except lists of integers), such as a point of a curve, is on one line."""
    if not _holds_list(value):
        return json.dumps(value)
    inner = indent + " "
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    lines = [("" if key is None else json.dumps(key) + ": ") + _laid_out(item, inner) for key, item in items]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{inner}" + f",\n{inner}".join(lines) + f"\n{indent}{end}" if lines else start + end


def _holds_list(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_list, value.values()))
    return isinstance(value, list) and not (value and all(type(item) is int for item in value))


def write(record: Record, folder: Path) -> Path:
    """Write `record` to `folder`/ID.json atomically and return the path.

    Raises:
        ValueError: the record breaks the schema.
        FileExistsError: a record with that id exists; records are append-only.
    """
    sealed = Record.model_validate(record.sealed().model_dump())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sealed.id}.json"
    temporary = folder / f".{sealed.id}.{os.getpid()}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(_laid_out(sealed.model_dump()) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # unlike a rename, this fails if the file exists
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with path.open("xb") as file:
            file.write(temporary.read_bytes())
            os.fsync(file.fileno())
    finally:
        temporary.unlink()
    return path


def read(path: Path) -> Record:
    """Return the record in `path`.

    Raises:
        ValueError: the file is not a record of this schema, or was changed after writing; the message names the file.
    """
    try:
        if not path.is_file():  # reading a pipe would block
            raise ValueError("it is not a file")
        content = json.loads(path.read_bytes())
        record = Record.model_validate(content)
        content_hash = content_hash_of(content)
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(f"{path} is not a readable record: {error}") from error
    if record.content_hash != content_hash:
        raise ValueError(f"{path} was changed after it was written: its content does not match its content_hash")
    if path.stem != record.id:
        raise ValueError(f"{path} holds the record {record.id!r}; rename the file to {record.id}.json")
    return record


def read_all(folder: Path) -> list[Record]:
    """Return every record in `folder`, in the order of file names. Hidden files (macOS creates some) are ignored.

    Raises:
        ValueError: a record cannot be read.
    """
    return [read(path) for path in sorted(folder.glob("[!.]*.json"))]
