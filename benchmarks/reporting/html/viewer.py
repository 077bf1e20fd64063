"""Data of the viewer: every arm's caption or transcript of every test example, with errors marked, packed by trial."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.analysis import example_outputs, word_errors
from benchmarks.analysis.example_outputs import Form
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms.registry import label
from benchmarks.reporting import group_names

Said = tuple[str, str, list[str | None]]
"""A test example's name, its reference, and each arm's output (None if the arm has none)."""


@dataclass(frozen=True)
class Trial:
    """The outputs of one trial.

    `packed` is base64 of gzipped JSON: the arms' labels under `arms`; under `examples`, lists of name, reference and each
    arm's output: a text, or a text and one letter per word (equal, substitute, insert, delete).
    """

    id: str
    row: str
    group: str
    seed: int
    example: str
    marked: bool
    whole: bool
    count: int
    packed: str

    def index(self) -> dict[str, str | int | bool]:
        """Return all fields except `packed`."""
        return {name: value for name, value in self.__dict__.items() if name != "packed"}


def trials(groups: Sequence[Group], folder: Path) -> list[Trial]:
    """Return the trials with captions or transcripts, from their outputs file or, if it is missing, from the record's samples.

    Trials come in order of priority: the lowest seed of every group, then the next seed of every group, and so on.

    Args:
        groups: the groups of records.
        folder: the folder of outputs files; files may be missing.

    Raises:
        ValueError: an outputs file does not have the columns that `outputs.write` writes.
    """
    found = []
    for group in groups:
        known = example_outputs.form(group)
        if known:
            found += [(rank, _trial(group, rank, known, folder)) for rank in range(len(group.records))]
    return [trial for _, trial in sorted(found, key=lambda one: one[0]) if trial.count]


def _trial(group: Group, rank: int, known: Form, folder: Path) -> Trial:
    record = group.records[rank]
    path = folder / f"{record.id}.csv.gz"
    whole = bool(record.outputs) and path.is_file()
    arms, lines = _table(path) if whole else _kept(group, rank, known)
    content = {
        "arms": [label(arm) for arm in arms],
        "examples": [
            [name, reference, *(_marked(reference, text) if known.marked and text else text for text in said)]
            for name, reference, said in lines
        ],
    }
    packed = gzip.compress(json.dumps(content, separators=(",", ":")).encode(), mtime=0)
    return Trial(
        id=record.id,
        row=record.row,
        group=group_names.title(group),
        seed=record.seed,
        example=known.example,
        marked=known.marked,
        whole=whole,
        count=len(lines),
        packed=base64.b64encode(packed).decode(),
    )


def _table(path: Path) -> tuple[list[str], list[Said]]:
    """Return the arms and lines of an outputs file."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8", "surrogateescape")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    widths = {len(row) for row in rows}
    if len(widths) != 1 or min(widths) < 3:
        raise ValueError(f"{path} is not an outputs table: its lines have {sorted(widths)} columns")
    return rows[0][2:], [(row[0], row[1], list(row[2:])) for row in rows[1:]]


def _kept(group: Group, rank: int, known: Form) -> tuple[list[str], list[Said]]:
    """Return the arms and lines of the few samples stored in the record."""
    runs = {name: run.samples for name, run in group.records[rank].runs.items() if run.samples}
    arms = [*(name for name in LABELS if name in runs), *sorted(set(runs) - set(LABELS))]
    said = {name: {one.get(known.example): one.get(known.said) for one in runs[name]} for name in arms}
    references = {
        one[known.example]: one["reference"]
        for name in arms
        for one in runs[name]
        if {known.example, "reference"} <= set(one)
    }
    return arms, [(name, text, [said[arm].get(name) for arm in arms]) for name, text in references.items()]


def _marked(reference: str, text: str) -> str | tuple[str, str]:
    """Return the words, including omitted ones, and one letter per word; only the text if there is no error."""
    words = word_errors.marked(reference, text)
    kinds = "".join(word.kind[0] for word in words)
    return (" ".join(word.text for word in words), kinds) if set(kinds) - {"e"} else text
