"""Karpathy's Flickr8k: a JSON file with pictures, splits and tokens, with or without his VGG features beside it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, TypeVar

from tasks.data.verification import some
from tasks.flickr8k.layouts import feature_matrix
from tasks.flickr8k.layouts.listing import SPLITS, Listing, Split, Tokens, unsafe
from tasks.flickr8k.layouts.official import FOLDERS

NAMES = ("dataset_flickr8k.json", "dataset.json")
FEATURES = "vgg_feats.mat"

_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a surrogate pair, valid in JSON but not in UTF-8

_Type = TypeVar("_Type")


def json_file(root: Path) -> Path | None:
    """Return Karpathy's JSON in `root`; None if there is none."""
    return next((root / name for name in NAMES if (root / name).is_file()), None)


def read(root: Path) -> Listing:
    """Read the JSON. An invalid entry is ignored and becomes a problem of the listing.

    Raises:
        ValueError: the file is not JSON or holds no list of images, or there are neither pictures nor features.
    """
    path = json_file(root)
    assert path is not None, "checked by the caller"
    folder = next((root / name for name in ("imgs", *FOLDERS) if (root / name).is_dir()), root)
    listing = Listing(folder)
    if (root / FEATURES).is_file():
        listing.features = root / FEATURES
    listing.sources = dict.fromkeys(SPLITS, path.name)
    listing.names = {split: [] for split in SPLITS}
    owners: dict[int, str] = {}
    empty = list(SPLITS)
    for index, entry in enumerate(_images(path)):
        if isinstance(entry, dict) and entry.get("split") in empty:
            empty.remove(entry["split"])
        try:
            name, split, captions, column = _entry(entry, f"{path.name}, images[{index}]")
        except ValueError as error:
            listing.problems.append(str(error))
            continue
        listing.captions[name] = captions
        if column is not None:
            listing.columns[name] = column
            if owners.setdefault(column, name) != name:
                listing.problems.append(f"{path.name}: {owners[column]} and {name} have the same imgid, {column}")
        listing.names[split].append(name)
    listing.problems += [f"{path.name} has no pictures in the {split} split" for split in empty]
    if listing.features:
        listing.problems += _features(listing.features, listing)
    elif not listing.problems and not any((folder / name).is_file() for name in listing.captions):
        expected = ", ".join(f"{name}/" for name in ("imgs", *FOLDERS))
        raise ValueError(
            f"{root} has captions but no pictures: not one that {path.name} names lies in {folder}; "
            f"expected them in {expected} or beside the JSON, or {FEATURES} beside it"
        )
    return listing


def _entry(entry: Any, where: str) -> tuple[str, Split, list[Tokens], int | None]:
    """Return name, split, captions and imgid (if any) of an element of `images`.

    Raises:
        ValueError: a field is invalid; the message names it.
    """
    name = _field(entry, "filename", str, where)
    if reason := unsafe(name):
        raise ValueError(f"{where}: filename {name[:80]!r} {reason}")
    split = _field(entry, "split", str, where)
    if split not in SPLITS:
        raise ValueError(f"{where}: split {split[:80]!r} is none of {', '.join(SPLITS)}")
    sentences = _field(entry, "sentences", list, where)
    captions = [_tokens(sentence, f"{where}.sentences[{k}]") for k, sentence in enumerate(sentences)]
    column = _field(entry, "imgid", int, where) if "imgid" in entry else None
    if column is not None and column < 0:
        raise ValueError(f"{where}: imgid {column} is below 0")
    return name, split, captions, column


class _Ambiguous(dict[str, Any]):
    """A JSON object with several values under the key `again`. `json` silently keeps only one of them."""

    again = ""


def _images(path: Path) -> list[Any]:
    try:
        whole = json.loads(path.read_bytes(), object_pairs_hook=_object, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    return _field(whole, "images", list, str(path))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        entry = _Ambiguous(entry)
        entry.again = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    return entry


def _integer(digits: str) -> int | float:
    """Return the integer. If it has more digits than Python reads, return a float, which is not a valid imgid."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def _tokens(sentence: Any, where: str) -> Tokens:
    words = _field(sentence, "tokens", list, where)
    for word in words:
        if not isinstance(word, str) or word.split() != [word] or _SURROGATE.search(word):
            raise ValueError(f"{where}: token {str(word)[:80]!r} is not a word")
    return tuple(words)


def _field(entry: Any, key: str, kind: type[_Type], where: str) -> _Type:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected an object with {key!r}, got {type(entry).__name__}")
    if isinstance(entry, _Ambiguous):
        raise ValueError(f"{where}: it has {entry.again[:80]!r} twice")
    if key not in entry:
        raise ValueError(f"{where}: there is no {key!r}")
    value = entry[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{where}: {key!r} should be of type {kind.__name__}, got {type(value).__name__}")
    return value


def _features(path: Path, listing: Listing) -> list[str]:
    """Return problems of the feature matrix: it needs a column for each imgid, and each picture needs an imgid."""
    problems = []
    if found := feature_matrix.problem(path, listing.columns):
        problems.append(found)
    if missing := [name for names in listing.names.values() for name in names if name not in listing.columns]:
        problems.append(f"{path.name} is of no use to pictures that have no imgid: {some(missing)}")
    return problems
