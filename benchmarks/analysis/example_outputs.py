"""Captions or transcripts of a few test examples from the networks of one trial, as stored in its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.analysis.groups import Group
from benchmarks.records.schema import Record

SHOWN = 8
ARMS = ("dense", "control", "dsd")


@dataclass(frozen=True)
class Form:
    """A form of samples: the plural name of outputs, the key of the example's name, and the key of the network's output.

    `marked`: whether the reference is the only correct text, so that word errors can be marked.
    """

    kind: Literal["captions", "transcripts"]
    example: str
    said: str
    marked: bool


@dataclass(frozen=True)
class Sample:
    """One test example: its name, a reference, and each arm's output in the order of `ARMS`."""

    example: str
    reference: str
    said: dict[str, str]


FORMS = (
    Form("captions", "picture", "caption", marked=False),
    Form("transcripts", "utterance", "transcript", marked=True),
)


def form(group: Group) -> Form | None:
    """Return the form of the group's samples; None if it has none of a known form."""
    return next((known for known in FORMS if any(_said(record, known) for record in group.records)), None)


def source(group: Group) -> Record | None:
    """Return the record whose samples are shown: the one with the lowest seed among those with samples; None without one."""
    known = form(group)
    return next((record for record in group.records if known and _said(record, known)), None)


def shown(group: Group) -> list[Sample]:
    """Return the first examples of `source`'s record with an output from every network; empty if there are none."""
    record, known = source(group), form(group)
    return _said(record, known)[:SHOWN] if record and known else []


def _said(record: Record, known: Form) -> list[Sample]:
    arms = {name: record.runs[name] for name in ARMS if name in record.runs}
    keys = {known.example, "reference", known.said}
    by_arm = {
        name: {sample[known.example]: sample for sample in arm.samples if set(sample) >= keys}
        for name, arm in arms.items()
        if arm.samples
    }
    if not by_arm:
        return []
    first = next(iter(by_arm.values()))
    return [
        Sample(example, sample["reference"], {name: outputs[example][known.said] for name, outputs in by_arm.items()})
        for example, sample in first.items()
        if all(example in outputs for outputs in by_arm.values())
    ]
