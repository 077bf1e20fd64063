"""The outputs of every arm for every test example: a compressed table beside the records, for error analysis."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

from tasks.data.cache import sha256, write_whole

Said = dict[str, list[dict[str, str]]]
"""Outputs by arm ("dense" for the shared start), in data-set order.

Each dictionary has the example's name, the reference and the output, in this order. For captions, the reference is the first of the
picture's five captions; the score uses all five.
"""


def write(said: Said, path: Path) -> str:
    """Write `said` to `path` atomically, one line per test example and one column per arm; return the file's SHA-256.

    If no arm has outputs (classification), write nothing and return an empty string.

    Raises:
        OSError: the file cannot be written.
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
    # The file has no timestamp, so that equal outputs give equal bytes.
    content = gzip.compress(text.getvalue().encode("utf-8", "surrogateescape"), mtime=0)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()


def altered(folder: Path, recorded: Mapping[str, str]) -> list[Path]:
    """Return the files in `folder` whose SHA-256 differs from the recorded one.

    Args:
        folder: the folder of outputs files. Missing files are not an error, because publishing them is optional.
        recorded: record id to the SHA-256 in the record, which is empty if the record has no outputs file.
    """
    paths = {folder / f"{name}.csv.gz": digest for name, digest in recorded.items() if digest}
    return [path for path, digest in paths.items() if path.is_file() and sha256(path) != digest]
