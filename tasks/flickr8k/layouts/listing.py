"""What a data set says of itself, whichever layout it has: the pictures of each split, and their captions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, Split, Split] = ("train", "val", "test")

Tokens = tuple[str, ...]


@dataclass
class Listing:
    """Names, captions and splits, before anything is left out.

    Attributes:
        folder: where the picture files are.
        sources: the file, relative to the data set, that lists each split.
        names: picture names of each split, as often as they are listed there.
        captions: tokens by picture name, in order of caption number; an empty caption is an empty tuple.
        columns: of Karpathy's feature matrix, by picture name.
        features: Karpathy's feature matrix, where there is one.
        problems, warnings: complete sentences, each naming a file.
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
    """Return in a few words why `name` cannot be a picture in the data set's folder; nothing where it can."""
    if not name or not name.isprintable():
        return "is empty or holds characters that cannot be printed"
    if "/" in name or "\\" in name or name.startswith("."):
        return "is not a plain file name: it begins with a dot or holds a path separator"
    if len(name.encode()) > 255:
        return "is longer than a file name can be"
    return ""
