"""The pictures of each split and their captions, read from either layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, Split, Split] = ("train", "val", "test")

Tokens = tuple[str, ...]


@dataclass
class Listing:
    """Names, captions and splits, including files that are left out later.

    Attributes:
        folder: folder of the picture files.
        sources: the file that lists each split, relative to the data set.
        names: picture names of each split; a name that is listed twice is there twice.
        captions: tokens by picture name, in order of caption number; an empty caption is an empty tuple.
        columns: columns of Karpathy's feature matrix, by picture name.
        features: Karpathy's feature matrix, if any.
        problems, warnings: sentences that name files.
    """

    folder: Path
    sources: dict[Split, str] = field(default_factory=dict)
    names: dict[Split, list[str]] = field(default_factory=dict)
    captions: dict[str, list[Tokens]] = field(default_factory=dict)
    columns: dict[str, int] = field(default_factory=dict)
    features: Path | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def unsafe(name: str) -> str:
    """Return why `name` cannot be a picture in the data set's folder; "" if it can."""
    if not name or not name.isprintable():
        return "is empty or holds characters that cannot be printed"
    if "/" in name or "\\" in name or name.startswith("."):
        return "is not a plain file name: it begins with a dot or holds a path separator"
    if len(name.encode()) > 255:
        return "is longer than a file name can be"
    return ""
