"""Caption files with any bytes: every entry of official lists and Karpathy's JSON is used or reported, or the file is refused."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.flickr8k import dataset
from tasks.flickr8k.layouts import karpathy, official
from tasks.flickr8k.layouts.listing import SPLITS, unsafe
from tests.trust.fuzzing import FUZZ, TEXT, answer, assert_sentences, damaged, encoded, lines_of

pytestmark = pytest.mark.promise(7)

PICTURES = ("1.jpg", "2.jpg", "3 #4.jpg", "\u00e9.png")
NAMES = st.one_of(st.sampled_from(PICTURES), TEXT, st.sampled_from(("", ".", "../1.jpg", "a" * 300, "\udcff.jpg")))

CAPTION_LINES = st.one_of(
    st.builds("{}#{}\t{}".format, st.sampled_from(PICTURES), st.integers(0, 5), TEXT),
    st.builds("{}#{}{}{}".format, TEXT, TEXT, st.sampled_from(("\t", " ", "")), TEXT),
)
LISTS = damaged(encoded(st.lists(st.one_of(st.sampled_from(PICTURES), TEXT), max_size=6).map("\n".join)))


def flickr8k(folder: str) -> Path:
    """Return a folder with empty files named like pictures, and no lists."""
    root = Path(folder)
    for name in (*PICTURES, "5.jpg"):
        (root / "Images" / name).parent.mkdir(exist_ok=True)
        (root / "Images" / name).touch()
    return root


@FUZZ
@given(damaged(encoded(st.lists(CAPTION_LINES, max_size=8).map("\n".join))), LISTS)
@example(b"1.jpg#0\ta\n1.jpg#00\tb\n", b"1.jpg")
@example(b"1.jpg#" + b"9" * 5000 + b"\ta", b"1.jpg\r1.jpg")
def test_every_line_of_the_official_lists_counts_or_is_complained_of(text: bytes, listed: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = flickr8k(folder)
        (root / official.TOKENS).write_bytes(text)
        for name in official.LISTS.values():
            (root / name).write_bytes(listed)
        listing = answer(lambda: official.read(root), root)
        said, names = lines_of(text), lines_of(listed)
        assert listing is not None
        unread = [] if said is not None else [official.TOKENS]
        unread += list(official.LISTS.values()) if names is None else []
        for source in unread:  # not UTF-8: one problem for each file
            assert sum(problem.startswith(f"{source} is not UTF-8 text") for problem in listing.problems) == 1
        if said is None or names is None:
            return
        about = [problem for problem in listing.problems if problem.startswith(f"{official.TOKENS}, line ")]
        assert sum(map(len, listing.captions.values())) + len(about) == len(said)
        for split, source in official.LISTS.items():
            about = [problem for problem in listing.problems if problem.startswith(f"{source}, line ")]
            assert len(listing.names[split]) + len(about) == len(names)
        assert_nothing_is_lost(root)


def assert_nothing_is_lost(root: Path) -> None:
    """Fail unless every picture of a list or of the folder is used, or is in a problem or a warning."""
    found = dataset.scan(root)
    used = [picture for split in SPLITS for picture in found.pictures(split)]
    for picture in used:
        assert not unsafe(picture.name)
        assert all(word and word.split() == [word] for words in picture.captions for word in words)
        if not picture.captions:  # if no caption could be read at all, one problem names the file of captions
            of = (f"{picture.name}, of the ", official.TOKENS)
            assert any(problem.startswith(of) for problem in found.problems)
    loose = {*PICTURES, "5.jpg"} - {picture.name for picture in used}
    counted = [int(m[1]) for w in found.warnings if (m := re.match(r"pictures in no split: (\d+) ", w))]
    assert sum(counted) == len(loose)
    report = dataset.verify(found, lambda what, done, total: None)
    assert_sentences(report.problems + report.warnings)
    there = {picture.name for picture in used} & {*PICTURES, "5.jpg"}
    assert sum("is not a readable image" in problem for problem in report.problems) == len(there)


SENTENCES = st.fixed_dictionaries({"tokens": st.lists(st.one_of(st.sampled_from(("a", "dog")), TEXT), max_size=3)})
ENTRIES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "filename": NAMES,
        "split": st.one_of(st.sampled_from(SPLITS), TEXT),
        "sentences": st.lists(SENTENCES, max_size=2),
    },
    optional={"imgid": st.one_of(st.integers(-1, 5), st.floats(), st.booleans(), st.just(10**400))},
)
VALID: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "filename": st.sampled_from(PICTURES),
        "split": st.sampled_from(SPLITS),
        "sentences": st.lists(st.fixed_dictionaries({"tokens": st.lists(st.sampled_from(("a", "dog")))})),
    }
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("images", "filename", "split", "sentences", "tokens", "imgid")), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def document(entry: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return st.lists(entry, max_size=5).map(lambda images: json.dumps({"images": images}).encode())


DOCUMENTS = st.one_of(
    document(VALID),
    document(ENTRIES),
    document(ENTRIES | ANYTHING),
    damaged(document(VALID)),
    ANYTHING.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
)

PICTURE = b'{"images": [{"filename": "1.jpg", "split": "train", "sentences": [{"tokens": ["%s"]}]}]}'


@FUZZ
@given(DOCUMENTS)
@example(b"[" * 100_000)
@example(b"1" * 5_000)
@example(b'{"images": [3, {"filename": "1.jpg", "split": "val", "sentences": []}]}')  # this once ended the report
@example(PICTURE % b"\\ud800")  # once accepted as a word, which a UTF-8 record cannot store
@example(PICTURE % b"a\\u0000\\u001b[2J")
@example(
    b'{"images": [{"filename": "1.jpg", "filename": "2.jpg", "split": "val", "sentences": []}]}'
)  # 1.jpg was once lost
def test_every_entry_of_karpathys_json_counts_or_is_complained_of(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = flickr8k(folder)
        path = root / karpathy.NAMES[0]
        path.write_bytes(data)
        listing = answer(lambda: karpathy.read(root), path, f"not one that {path.name} names")
        if listing is None:
            return
        bad = [int(m[1]) for p in listing.problems if (m := re.match(rf"{path.name}, images\[(\d+)\]", p))]
        assert len(set(bad)) == len(bad)  # at most one problem per entry
        images = [entry for index, entry in enumerate(json.loads(data)["images"]) if index not in bad]
        assert [name for split in SPLITS for name in listing.names[split]] == [
            entry["filename"] for split in SPLITS for entry in images if entry["split"] == split
        ]
        for entry in images:
            words = [sentence["tokens"] for sentence in entry["sentences"]]
            again = sum(other["filename"] == entry["filename"] for other in images) > 1
            assert again or [list(tokens) for tokens in listing.captions[entry["filename"]]] == words
            for word in (word for sentence in words for word in sentence):
                word.encode()
        assert_nothing_is_lost(root)
