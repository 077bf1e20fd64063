"""What every arm said of every test example: a compressed table beside the records, to look at and to count errors in."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
from pathlib import Path

Said = dict[str, list[dict[str, str]]]
"""Arm to what it said of each test example, in the data set's order: a name, a reference and what was said, in this order."""


def write(said: Said, path: Path) -> str:
    """Write `said` to `path`, whole or not at all, one line a test example and one column an arm; return the file's SHA-256.

    Where no arm said anything (classification), nothing is written and the answer is empty.

    Raises:
        OSError: it cannot be written.
    """
    if not any(said.values()):
        return ""
    first = next(iter(said.values()))
    name, reference, words = first[0]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([name, reference, *said])
    for row, example in enumerate(first):
        table.writerow([example[name], example[reference], *(samples[row][words] for samples in said.values())])
    content = gzip.compress(
        text.getvalue().encode("utf-8", "surrogateescape"), mtime=0
    )  # the same bytes for the same words
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
    return hashlib.sha256(content).hexdigest()
