"""Flickr8k as its authors distribute it: Flicker8k_Dataset/*.jpg and the lists of Flickr8k_text/."""

from __future__ import annotations

import string
from pathlib import Path

from tasks.data.verification import SHOWN, read_lines
from tasks.flickr8k.layouts.listing import Listing, Split, Tokens, unsafe

TEXT = "Flickr8k_text"
TOKENS = "Flickr8k.token.txt"
LISTS: dict[Split, str] = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
FOLDERS = ("Flicker8k_Dataset", "Flickr8k_Dataset", "Images")
"""Names of the folder of pictures: the authors' (misspelt), the correct one, and Kaggle's."""

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def tokens(caption: str) -> Tokens:
    """Return the words of a caption: lower case, ASCII punctuation deleted, split at white space.

    For example, "A tri-colored dog 's t-shirt ." has the words a, tricolored, dog, s and tshirt. The program that made
    Karpathy's JSON was not published; this is the rule of a later program (prepro.py of karpathy/neuraltalk2). With it, the 30,000
    training captions of the official Flickr8k have 323,639 words, and 2,537 different words occur at least five times. With the end
    sign, the vocabulary has 2,538 words, the number given for his JSON. Other rules give other numbers: dropping words with
    punctuation, 2,509; replacing punctuation by a space, 2,535; deleting it only at the ends of words, 2,536.
    """
    return tuple(caption.lower().translate(_NO_PUNCTUATION).split())


def text_folder(root: Path) -> Path | None:
    """Return the folder of the official lists, `root` or a folder in it; None if there is none."""
    return next((folder for folder in (root / TEXT, root) if (folder / TOKENS).is_file()), None)


def read(root: Path) -> Listing:
    """Read the lists and the captions.

    Raises:
        ValueError: there is no folder of pictures.
    """
    text = text_folder(root)
    assert text is not None, "checked by the caller"
    folder = next((root / name for name in FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        raise ValueError(f"{root} has captions but no folder of pictures; expected {' or '.join(FOLDERS)} in it")
    listing = Listing(folder)
    for split, name_of_list in LISTS.items():
        path = text / name_of_list
        source = listing.sources[split] = path.relative_to(root).as_posix()
        names = listing.names[split] = []
        if not path.is_file():
            listing.problems.append(f"{source} is missing: it lists the pictures of the {split} split")
            continue
        for number, line in enumerate(_lines(path, source, listing), 1):
            name = line.strip()
            if name and (reason := unsafe(name)):
                listing.problems.append(f"{source}, line {number}: {name[:80]!r} {reason}")
            elif name:
                names.append(name)
        if not names and not any(problem.startswith(source) for problem in listing.problems):
            listing.problems.append(f"{source} is empty: it should list the pictures of the {split} split")
    _read_captions(text / TOKENS, (text / TOKENS).relative_to(root).as_posix(), listing)
    return listing


def _lines(path: Path, source: str, listing: Listing) -> list[str]:
    """Return the lines of a list; if it cannot be read, add a problem to `listing` and return []."""
    try:
        return read_lines(path)
    except ValueError as error:
        listing.problems.append(str(error).replace(str(path), source, 1))
    except OSError as error:
        listing.problems.append(f"{source} cannot be opened ({error.strerror})")
    return []


def _read_captions(path: Path, source: str, listing: Listing) -> None:
    """Read lines such as "1000268201_693b08cb0e.jpg#0<TAB>A child in a pink dress ."."""
    numbered: dict[str, dict[int, Tokens]] = {}
    malformed: list[str] = []
    lines = _lines(path, source, listing)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        key, tab, caption = line.partition("\t")
        name, _, which = key.rpartition("#")
        if not tab or not (which.isascii() and which.isdigit() and len(which) < 10):
            malformed.append(
                f"{source}, line {number}: expected PICTURE#NUMBER, a tab and a caption, got {line[:80]!r}"
            )
        elif reason := unsafe(name):
            listing.problems.append(f"{source}, line {number}: {name[:80]!r} {reason}")
        elif int(which) in numbered.setdefault(name, {}):
            listing.problems.append(f"{source}, line {number}: there is a caption {key} already")
        else:
            numbered[name][int(which)] = tokens(caption)
    if len(malformed) > SHOWN:
        malformed = [f"{malformed[0]}, and so in {len(malformed):,} of {len(lines):,} lines: another file, or format?"]
    listing.problems += malformed
    if not numbered and not any(problem.startswith(source) for problem in listing.problems):
        listing.problems.append(f"{source} is empty: it should hold the captions")
    listing.captions = {name: [own[which] for which in sorted(own)] for name, own in numbered.items()}
