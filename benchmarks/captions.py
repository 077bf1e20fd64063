"""Captions of a few test pictures by the networks of one trial, side by side, from the samples that its record keeps."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.group import Group
from benchmarks.record import Record

SHOWN = 8
ARMS = ("dense", "control", "dsd")
_KEYS = {"picture", "reference", "caption"}


@dataclass(frozen=True)
class Captioned:
    """One test picture: its file name, a reference, and arm to caption in the order of `ARMS`."""

    picture: str
    reference: str
    captions: dict[str, str]


def source(group: Group) -> Record | None:
    """Return the record that captions are shown of: the lowest seed's that has any."""
    return next((record for record in group.records if _captioned(record)), None)


def captioned(group: Group) -> list[Captioned]:
    """Return the first pictures that every network of that record captioned; none where the row is not about captions."""
    record = source(group)
    return _captioned(record)[:SHOWN] if record else []


def _captioned(record: Record) -> list[Captioned]:
    samples = {"dense": record.dense.samples} if record.dense else {}
    samples |= {name: record.arms[name].samples for name in ARMS if name in record.arms}
    by_arm = {
        name: {one["picture"]: one for one in found if set(one) >= _KEYS} for name, found in samples.items() if found
    }
    if not by_arm:
        return []
    first = next(iter(by_arm.values()))
    return [
        Captioned(picture, one["reference"], {name: found[picture]["caption"] for name, found in by_arm.items()})
        for picture, one in first.items()
        if all(picture in found for found in by_arm.values())
    ]
