"""Flickr8k in the official layout or Karpathy's: listing, verification and fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tasks.data.cache import MARK, Good
from tasks.data.completeness import duplicates, totals
from tasks.data.entries import is_file, is_folder, where_instead
from tasks.data.images import pixels
from tasks.data.verification import QUARANTINE, SHOWN, check, choose, printable, quarantined, some
from tasks.flickr8k.layouts import karpathy, official
from tasks.flickr8k.layouts.listing import SPLITS, Listing, Split, Tokens
from tasks.task import DataReport, Progress

SUFFIXES = (".jpg", ".jpeg", ".png")
USUAL = 5
"""Captions per picture in the official set."""

LONGEST = 500
"""Maximum words of a caption. The official set has at most 38; memory grows with the longest caption."""

PUBLISHED = {"train": 6_000, "val": 1_000, "test": 1_000, "captions": 40_000}
"""Pictures in each split of Flickr8k, and captions of all pictures (Hodosh et al., JAIR 2013)."""


@dataclass(frozen=True)
class Picture:
    """A picture's file name, the words of its captions, and its column in Karpathy's feature matrix (his imgid)."""

    name: str
    captions: tuple[Tokens, ...]
    column: int | None = None


@dataclass(frozen=True)
class Captions:
    """The pictures of each split, in order of their names.

    `folder` holds the picture files. `features` is Karpathy's feature matrix if it lies beside his JSON; with it, pictures may be
    absent. `problems` and `warnings` are sentences; only `verify` finds problems inside picture files. `listed` has the number of
    pictures in the list of each split, and the number of their captions ("captions"). It includes pictures that are left out.
    """

    root: Path
    folder: Path
    train: tuple[Picture, ...]
    val: tuple[Picture, ...]
    test: tuple[Picture, ...]
    subset: float = 1.0
    features: Path | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    listed: dict[str, int] = field(default_factory=dict)

    def pictures(self, split: Split) -> tuple[Picture, ...]:
        """Return the pictures of a split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


def scan(root: Path, subset: float = 1.0) -> Captions:
    """Read the lists and captions of `root`, and list its pictures without opening them.

    There are two layouts. The official one has pictures in `Flicker8k_Dataset/` (also `Flickr8k_Dataset/` or `Images/`), and
    captions and lists in `Flickr8k_text/` or in `root`. Karpathy's has `dataset_flickr8k.json` or `dataset.json`, pictures in
    `imgs/`, in one of the other folders or beside the JSON, and optionally `vgg_feats.mat`. If both are present, Karpathy's is
    used.

    Args:
        root: the data set. Pictures that its `quarantine.txt` names (one per line, # starts a comment) are left out.
        subset: the share F of the n training pictures to use, in (0, 1]: the first ceil(F n) in order of the SHA-256 of their
            names. Larger subsets include smaller ones. All pictures of the other splits are used.

    Raises:
        ValueError: `subset` is out of range, `root` is not such a data set (the message suggests another), its quarantine.txt is
            not text, or its JSON has no list of images.
    """
    if not 0 < subset <= 1:
        raise ValueError(f"subset={subset}: expected the part of the training pictures to use, above 0 and at most 1")
    listing = _listing(root)
    present = _pictures(listing.folder)
    excluded = _leave_out(root, listing, present)
    warnings = listing.warnings
    if excluded:
        warnings.append(f"left out by {QUARANTINE}: {some(sorted(excluded))}")
    listed: dict[str, int] = {split: len(set(listing.names[split])) for split in SPLITS}
    listed["captions"] = sum(
        len(listing.captions.get(name, [])) for split in SPLITS for name in set(listing.names[split])
    )
    chosen = _usable(listing, present, excluded)
    chosen["train"] = choose(chosen["train"], subset)
    used = {name for names in listing.names.values() for name in names} | excluded
    if orphans := sorted(set(listing.captions) - present - used):
        warnings.append(f"names with captions but no picture: {some(orphans)}")
    if loose := sorted(present - used):
        warnings.append(f"pictures in no split: {some(loose)}")
    parts = {split: tuple(_picture(listing, name) for name in chosen[split]) for split in SPLITS}
    every = [picture for pictures in parts.values() for picture in pictures]
    if empty := [
        f"{picture.name}#{k}"
        for picture in every
        for k, words in enumerate(listing.captions.get(picture.name, []))
        if not words
    ]:
        warnings.append(f"captions without a word, dropped: {some(empty)}")
    if long := [f"{p.name}: {len(words):,} words" for p in every for words in p.captions if len(words) > LONGEST]:
        listing.problems.append(f"captions of more than {LONGEST} words, which no memory is meant for: {some(long)}")
    if odd := [f"{p.name}: {len(p.captions)}" for p in every if len(p.captions) != USUAL]:
        warnings.append(f"pictures with other than {USUAL} captions: {some(odd)}")
    return Captions(
        root=root,
        folder=listing.folder,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        subset=subset,
        features=listing.features,
        problems=tuple(listing.problems),
        warnings=tuple(warnings),
        listed=listed,
    )


def verify(found: Captions, progress: Progress) -> DataReport:
    """Decode every picture of a scanned data set, in parallel, and report all problems.

    Args:
        found: result of `scan`.
        progress: called with ("verifying pictures", done, total).

    Returns:
        The report. Its counts are training captions ("train"), test pictures ("test"), training pictures, validation pictures
        and validation captions. Its fingerprint is a hash, 16 hexadecimal digits, of splits, names, contents and captions of the
        pictures used, and of the feature matrix, if any. Good files are not read again next time (`tasks.data.verification.check`).
        Damaged files become problems of the report.
    """
    problems, warnings = list(found.problems), list(found.warnings)
    listed = {picture.name for split in SPLITS for picture in found.pictures(split)}
    names = sorted(listed & _pictures(found.folder))  # `scan` reports the others
    report = partial(progress, "verifying pictures")
    checked = dict(zip(names, check(found.folder, names, pixels, "image", progress=report), strict=True))
    problems += [result for result in checked.values() if isinstance(result, str)]
    content = hashlib.sha256()
    for split in SPLITS:
        for picture in found.pictures(split):
            digest = _digest(checked.get(picture.name))
            content.update(json.dumps([split, picture.name, digest, picture.column, picture.captions]).encode() + b"\n")
    if found.features:
        (matrix,) = check(found.root, [found.features.name], lambda data: None, "feature matrix")
        if isinstance(matrix, str):
            problems.append(matrix)
        content.update(_digest(matrix).encode())
    trained, tested = ([picture.name for picture in pictures] for pictures in (found.train, found.test))
    held_out = [picture.name for picture in found.val] + tested
    warnings += duplicates("pictures of val or test", trained, held_out, checked, "training pictures")
    synthetic = (found.root / MARK).exists()
    published, odd = ("", []) if synthetic else totals("Flickr8k", PUBLISHED, found.listed)
    return DataReport(
        name=printable(found.root.resolve().name),
        fingerprint=content.hexdigest()[:16],
        counts={
            "train": sum(len(picture.captions) for picture in found.train),
            "test": len(found.test),
            "train pictures": len(found.train),
            "val pictures": len(found.val),
            "val captions": sum(len(picture.captions) for picture in found.val),
        },
        synthetic=synthetic,
        subset=found.subset,
        problems=tuple(map(printable, problems)),
        warnings=tuple(map(printable, (*warnings, *odd))),
        published=published,
    )


def _pictures(folder: Path) -> set[str]:
    """Return the names of the picture files in `folder`, without hidden files."""
    with os.scandir(folder) as entries:
        return {e.name for e in entries if e.name.lower().endswith(SUFFIXES) and e.name[0] != "." and is_file(e)}


def _digest(result: Good | str | None) -> str:
    return result[2] if isinstance(result, tuple) else "absent" if result is None else "unreadable"


def _listing(root: Path) -> Listing:
    """Return the pictures and captions that `root` lists in one of the two layouts."""

    def complete(folder: Path) -> bool:
        return karpathy.json_file(folder) is not None or official.text_folder(folder) is not None

    if found := karpathy.json_file(root):
        listing = karpathy.read(root)
        if text := official.text_folder(root):
            ignored = (text / official.TOKENS).relative_to(root).as_posix()
            listing.warnings.append(f"{found.name} was read, and {ignored} passed over")
        return listing
    if official.text_folder(root):
        return official.read(root)
    expected = f"{official.TEXT}/{official.TOKENS} or {karpathy.NAMES[0]}"
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; expected one with {expected}")
    raise ValueError(f"{root} has no captions; expected {expected} in it{where_instead(root, complete, '*.zip')}")


def _leave_out(root: Path, listing: Listing, present: set[str]) -> set[str]:
    """Return the names that quarantine.txt leaves out, and add its problems to `listing`."""
    listed = {name for names in listing.names.values() for name in names}
    known = present | listed | set(listing.captions)
    prefix = "" if listing.folder == root else f"{listing.folder.name}/"
    excluded, problems = quarantined(root, known | {prefix + name for name in known})
    listing.problems += problems
    return {name.removeprefix(prefix) for name in excluded}


def _usable(listing: Listing, present: set[str], excluded: set[str]) -> dict[Split, list[str]]:
    """Return the sorted names of each split, and add their problems to `listing`."""
    where = f"{listing.folder.name}/"
    chosen: dict[Split, list[str]] = {}
    owner: dict[str, Split] = {}
    absent = []
    listing.problems += _causes(listing, present, excluded)
    for split in SPLITS:
        source, names = listing.sources[split], [name for name in listing.names[split] if name not in excluded]
        again = sorted(name for name, count in Counter(names).items() if count > 1)
        listing.problems += [f"{source} lists {name} more than once" for name in again]
        chosen[split] = sorted(set(names))
        if listing.names[split] and not names:
            listing.problems.append(f"{source} lists nothing that {QUARANTINE} does not leave out")
        for name in chosen[split]:
            if owner.setdefault(name, split) != split:
                listing.problems.append(f"{name} is in two splits, {owner[name]} and {split}")
            if listing.captions and not any(listing.captions.get(name, [])):
                listing.problems.append(f"{name}, of the {split} split, has no captions")
            if name not in present and listing.features:
                absent.append(name)
            elif name not in present:
                listing.problems.append(f"{source} lists {name}, but there is no such picture in {where}")
    if absent:
        assert listing.features is not None
        listing.warnings.append(f"pictures that are absent, known by {listing.features.name} alone: {some(absent)}")
    return chosen


def _causes(listing: Listing, present: set[str], excluded: set[str]) -> list[str]:
    """If more pictures are absent than problems are shown, return one sentence that explains these problems; else []."""
    names = {name for split in SPLITS for name in listing.names[split]} - excluded
    if listing.features or len(absent := sorted(names - present)) <= SHOWN:
        return []
    inner = sorted(path.name for path in listing.folder.iterdir() if is_folder(path))
    hint = f"; pictures must lie directly in it, not in {inner[0]}/" if inner else ""
    where = f"{listing.folder.name}/, which holds {len(present):,} pictures"
    return [f"{len(absent):,} of {len(names):,} pictures in the lists are not in {where}{hint}"]


def _picture(listing: Listing, name: str) -> Picture:
    words = tuple(words for words in listing.captions.get(name, []) if words)
    return Picture(name, words, listing.columns.get(name))
