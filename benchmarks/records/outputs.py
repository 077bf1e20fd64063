"""What every arm said of every test example: a compressed table beside the records, to look at and to count errors in."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from tasks.data.cache import sha256, write_whole

Said = dict[str, list[dict[str, str]]]
"""Arm ("dense" for the shared start) to what it said of each test example, in the data set's order.

Of each there are a name, a reference and what was said, in this order. Of a picture's captions the reference is the first
of five, while its score counts all of them.
"""


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
    # Without a time in it: the same bytes for the same words.
    content = gzip.compress(text.getvalue().encode("utf-8", "surrogateescape"), mtime=0)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def altered(folder: Path, recorded: Mapping[str, str]) -> list[Path]:
    """Return the files in `folder` that are not those that were written.

    Args:
        folder: of the files. One that is not there is not wrong: they may be left out of what is published.
        recorded: id of a record to the SHA-256 that it tells, empty where it was written without a file.
    """
    paths = {folder / f"{name}.csv.gz": digest for name, digest in recorded.items() if digest}
    return [path for path, digest in paths.items() if path.is_file() and sha256(path) != digest]
