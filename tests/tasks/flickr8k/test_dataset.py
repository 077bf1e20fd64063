"""The official layout and the common parts of both layouts: the contents found, and the problems of an unusable set."""

import io
import math
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.data import threads, verification
from tasks.data.cache import MARK
from tasks.flickr8k import dataset, vocabulary
from tasks.flickr8k.layouts import official
from tasks.task import DataReport

SHARED = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "flickr8k"
SPLITS = {"train": ["c", "a", "b", "d"], "dev": ["e"], "test": ["g", "f"]}
TRAIN = "Flickr8k_text/Flickr_8k.trainImages.txt"
TOKENS = "Flickr8k_text/Flickr8k.token.txt"
SMALL = "counts are not those of the published Flickr8k: train 4 (expected 6,000), val 1 (expected 1,000), "
SMALL += "test 2 (expected 1,000), captions {} (expected 40,000)"


def jpeg(value: int) -> bytes:
    pixels = np.random.Generator(np.random.PCG64(value)).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def quiet(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


def report(root: Path, subset: float = 1.0) -> DataReport:
    return dataset.verify(dataset.scan(root, subset), quiet)


def add(root: Path, name: str, text: str) -> None:
    with (root / name).open("a", encoding="utf-8") as file:
        file.write(text)


def replace(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    assert old in text
    (root / name).write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four training, one validation and two test pictures of five captions each, in the official layout."""
    root = tmp_path / "flickr"
    (root / "Flicker8k_Dataset").mkdir(parents=True)
    (root / "Flickr8k_text").mkdir()
    names = sorted(name for split in SPLITS.values() for name in split)
    for value, name in enumerate(names):
        (root / "Flicker8k_Dataset" / f"{name}.jpg").write_bytes(jpeg(value))
    for split, listed in SPLITS.items():
        path = root / "Flickr8k_text" / f"Flickr_8k.{split}Images.txt"
        path.write_text("".join(f"{name}.jpg\n" for name in listed))
    lines = [f"{name}.jpg#{k}\tPicture {name} , the {k}-th time .\n" for name in names for k in range(5)]
    (root / TOKENS).write_text("".join(lines))
    return root


def test_a_sound_set(root: Path) -> None:
    found = dataset.scan(root)
    assert [picture.name for picture in found.train] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert [picture.name for picture in found.val] == ["e.jpg"]
    assert [picture.name for picture in found.test] == ["f.jpg", "g.jpg"]
    assert found.test[1].captions[2] == ("picture", "g", "the", "2th", "time")
    assert (found.folder, found.features, found.test[1].column) == (root / "Flicker8k_Dataset", None, None)
    said = dataset.verify(found, quiet)
    assert said.counts == {"train": 20, "test": 2, "train pictures": 4, "val pictures": 1, "val captions": 5}
    assert (said.name, said.problems, said.warnings, said.synthetic) == ("flickr", (), (SMALL.format(35),), False)
    assert len(said.fingerprint) == 16
    assert int(said.fingerprint, 16) >= 0
    (root / MARK).touch()
    generated = dataset.verify(found, quiet)
    assert (generated.synthetic, generated.warnings) == (True, ())
    verification.require(said)


@pytest.mark.parametrize("name", ["Flickr8k_Dataset", "Images"])
def test_other_spellings_and_texts_beside_the_pictures(root: Path, name: str) -> None:
    first = report(root)
    (root / "Flicker8k_Dataset").rename(root / name)
    for path in list((root / "Flickr8k_text").iterdir()):
        path.rename(root / path.name)
    (root / "Flickr8k_text").rmdir()
    assert report(root) == first


def test_captions_are_in_order_of_their_numbers_and_lists_in_that_of_names(root: Path) -> None:
    found, first = dataset.scan(root), report(root)
    for path in (root / "Flickr8k_text").iterdir():
        lines = path.read_text().splitlines()
        path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(reversed(lines)).encode())  # as Windows would save it
    assert dataset.scan(root) == found
    copy = root.with_name("copy") / "flickr"
    (copy / "Flicker8k_Dataset").mkdir(parents=True)
    for name in "gfedcba":  # another order on disk
        shutil.copy(root / "Flicker8k_Dataset" / f"{name}.jpg", copy / "Flicker8k_Dataset")
    shutil.copytree(root / "Flickr8k_text", copy / "Flickr8k_text")
    assert report(copy) == first


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A black dog and a tri-colored dog .", "a black dog and a tricolored dog"),
        ('The dog \'s "T-shirt" , ( red ) !', "the dog s tshirt red"),
        ("Crème & 2 dogs;one leaps", "crème 2 dogsone leaps"),
        (" . , ", ""),
    ],
)
def test_tokens(caption: str, words: str) -> None:
    assert official.tokens(caption) == tuple(words.split())


def test_fingerprint_follows_what_training_sees(root: Path, tmp_path: Path) -> None:
    prints = [report(root).fingerprint, report(root, 0.5).fingerprint]
    moved = root.rename(tmp_path / "elsewhere")
    assert report(moved).fingerprint == prints[0]
    replace(moved, TOKENS, "Picture a , the 0-th time", "Picture a , another time")
    prints.append(report(moved).fingerprint)
    (moved / "Flicker8k_Dataset" / "a.jpg").write_bytes(jpeg(100))
    prints.append(report(moved).fingerprint)
    replace(moved, TRAIN, "d.jpg\n", "")
    add(moved, "Flickr8k_text/Flickr_8k.devImages.txt", "d.jpg\n")
    prints.append(report(moved).fingerprint)
    replace(moved, TOKENS, "g.jpg#4", "g.jpg#5")  # the number of a caption is not in the fingerprint
    assert report(moved).fingerprint == prints[-1]
    (moved / "Flicker8k_Dataset" / "h.jpg").write_bytes(b"used by no split")
    assert report(moved).fingerprint == prints[-1]
    assert len(set(prints)) == len(prints) == 5


@pytest.mark.parametrize("subset", [0.01, 0.25, 0.26, 0.5, 0.75, 1.0])
def test_a_smaller_subset_lies_within_a_larger(root: Path, subset: float) -> None:
    found = dataset.scan(root, subset)
    assert len(found.train) == math.ceil(4 * subset)
    assert (len(found.val), len(found.test)) == (1, 2)
    assert set(found.train) <= set(dataset.scan(root, min(1.0, subset + 0.25)).train)
    assert (report(root, subset).subset, report(root, subset).counts["train"]) == (subset, 5 * math.ceil(4 * subset))
    assert found.warnings == ()  # pictures outside the subset still belong to a split


@pytest.mark.parametrize("subset", [0.0, -1.0, 1.01, float("nan")])
def test_subset_out_of_range(root: Path, subset: float) -> None:
    with pytest.raises(ValueError, match="subset="):
        dataset.scan(root, subset)


def test_every_problem_is_named(root: Path) -> None:
    pictures = root / "Flicker8k_Dataset"
    add(root, TRAIN, "nowhere.jpg\n../../secret.jpg\na.jpg\ne.jpg\nuncaptioned.jpg\n")
    (pictures / "uncaptioned.jpg").write_bytes(jpeg(50))
    (pictures / "b.jpg").write_bytes(jpeg(1)[:500])
    (pictures / "c.jpg").write_bytes(b"")
    (pictures / "d.jpg").unlink()
    (pictures / "d.jpg").mkdir()
    (root / "Flickr8k_text" / "Flickr_8k.testImages.txt").write_text("\n")
    add(root, TOKENS, "nowhere.jpg#0\tNowhere .\na.jpg#0\tOnce more .\na.jpg 5 Lost\n..#1\tUp .\na.jpg#x\tWhich ?\n")
    (root / verification.QUARANTINE).write_text("gone.jpg\n")
    assert set(report(root).problems) == {
        "Flickr8k_text/Flickr_8k.trainImages.txt, line 6: '../../secret.jpg' is not a plain file name: "
        "it begins with a dot or holds a path separator",
        "Flickr8k_text/Flickr_8k.testImages.txt is empty: it should list the pictures of the test split",
        "Flickr8k_text/Flickr8k.token.txt, line 37: there is a caption a.jpg#0 already",
        "Flickr8k_text/Flickr8k.token.txt, line 38: expected PICTURE#NUMBER, a tab and a caption, got 'a.jpg 5 Lost'",
        "Flickr8k_text/Flickr8k.token.txt, line 39: '..' is not a plain file name: "
        "it begins with a dot or holds a path separator",
        "Flickr8k_text/Flickr8k.token.txt, line 40: expected PICTURE#NUMBER, a tab and a caption, got "
        "'a.jpg#x\\tWhich ?'",
        "quarantine.txt, line 1: there is no gone.jpg",
        "Flickr8k_text/Flickr_8k.trainImages.txt lists a.jpg more than once",
        "Flickr8k_text/Flickr_8k.trainImages.txt lists nowhere.jpg, but there is no such picture in Flicker8k_Dataset/",
        "Flickr8k_text/Flickr_8k.trainImages.txt lists d.jpg, but there is no such picture in Flicker8k_Dataset/",
        "uncaptioned.jpg, of the train split, has no captions",
        "e.jpg is in two splits, train and val",
        "b.jpg is not a readable image (truncated at byte 500); "
        "list it in quarantine.txt to leave it out, which changes the data fingerprint",
        "c.jpg is not a readable image (the file is empty); "
        "list it in quarantine.txt to leave it out, which changes the data fingerprint",
    }


def test_a_missing_list_is_a_problem(root: Path) -> None:
    (root / TRAIN).unlink()
    assert report(root).problems == (f"{TRAIN} is missing: it lists the pictures of the train split",)


def test_names_that_no_file_system_takes(root: Path) -> None:
    (root / TRAIN).write_text(f"a.jpg\nb\0.jpg\n{'x' * 300}.jpg\n.hidden.jpg\nd\\e.jpg\n")
    said = dataset.scan(root).problems
    assert [problem.partition(": ")[0] for problem in said] == [f"{TRAIN}, line {line}" for line in (2, 3, 4, 5)]
    assert max(map(len, said)) < 250


@pytest.mark.promise(7)
def test_quarantine_leaves_a_picture_out_of_everything(root: Path) -> None:
    before = report(root)
    (root / "Flicker8k_Dataset" / "b.jpg").write_bytes(b"broken")
    (root / "Flicker8k_Dataset" / "g.jpg").unlink()
    (root / verification.QUARANTINE).write_text("# damaged\nb.jpg  # since 2024\nFlicker8k_Dataset/g.jpg\n")
    after = report(root)
    assert after.problems == ()
    assert after.warnings == ("left out by quarantine.txt: 2 (b.jpg, g.jpg)", SMALL.format(35))  # they are not missing
    assert after.counts == {"train": 15, "test": 1, "train pictures": 3, "val pictures": 1, "val captions": 5}
    assert after.fingerprint != before.fingerprint
    add(root, verification.QUARANTINE, "f.jpg\n")
    assert report(root).problems == (
        "Flickr8k_text/Flickr_8k.testImages.txt lists nothing that quarantine.txt does not leave out",
    )


def test_every_warning_is_named(root: Path) -> None:
    pictures = root / "Flicker8k_Dataset"
    (pictures / "loose.JPG").write_bytes(jpeg(60))
    (pictures / ".hidden.jpg").write_bytes(b"")
    (pictures / "notes.txt").write_bytes(b"")
    (pictures / "g.jpg").write_bytes((pictures / "c.jpg").read_bytes())
    add(root, TOKENS, "orphan.jpg.1#0\tAn orphan .\na.jpg#5\tA sixth one\n")
    replace(root, TOKENS, "Picture e , the 3-th time .", " . ")
    said = report(root)
    assert said.problems == ()
    assert set(said.warnings) == {
        "names with captions but no picture: 1 (orphan.jpg.1)",
        "pictures in no split: 1 (loose.JPG)",
        "captions without a word, dropped: 1 (e.jpg#3)",
        "pictures with other than 5 captions: 2 (a.jpg: 6, e.jpg: 4)",
        "pictures of val or test that are also trained on, byte for byte: 1 (g.jpg = c.jpg)",
        SMALL.format(36),
    }
    assert dataset.scan(root).val[0].captions[3] == ("picture", "e", "the", "4th", "time")
    verification.require(said)


def test_a_test_picture_that_is_there_twice_is_warned_of(root: Path) -> None:
    pictures = root / "Flicker8k_Dataset"
    (pictures / "g.jpg").write_bytes((pictures / "f.jpg").read_bytes())
    (pictures / "b.jpg").write_bytes((pictures / "a.jpg").read_bytes())
    said = report(root)
    assert said.problems == ()
    assert said.warnings == (
        "pictures of val or test that are there more than once, byte for byte: 1 (g.jpg = f.jpg)",
        "training pictures that are there more than once, byte for byte: 1 (b.jpg = a.jpg)",
        SMALL.format(35),
    )


def test_counts_are_compared_part_by_part_before_a_subset_is_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dataset.PUBLISHED == {"train": 6_000, "val": 1_000, "test": 1_000, "captions": 40_000}
    monkeypatch.setattr(dataset, "PUBLISHED", {"train": 4, "val": 1, "test": 1_000, "captions": 35})
    for subset in (1.0, 0.5):
        said = report(root, subset)
        assert said.warnings == ("counts are not those of the published Flickr8k: test 2 (expected 1,000)",)
        assert said.published == "counts are those of the published Flickr8k: train 4, val 1, captions 35"


def test_pictures_are_decoded_in_parallel(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":  # 4 are left, an even number
        add(root, verification.QUARANTINE, f"{name}.jpg\n")
    both = threading.Barrier(2, timeout=20)  # raises BrokenBarrierError unless two threads decode at the same time
    monkeypatch.setattr(dataset, "pixels", lambda data: both.wait())
    monkeypatch.setattr(threads, "processors", lambda: 2)
    assert report(root).problems == ()


def test_a_wrong_root_says_which_would_fit(root: Path, tmp_path: Path) -> None:
    for wrong in (tmp_path, root / "Flicker8k_Dataset"):
        with pytest.raises(ValueError, match=r"has no captions; expected .*token\.txt or dataset_flickr8k") as caught:
            dataset.scan(wrong)
        assert str(root.resolve()) in str(caught.value)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        dataset.scan(tmp_path / "nowhere")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "Flickr8k_text.zip").write_bytes(b"")
    with pytest.raises(ValueError, match=r"Flickr8k_text\.zip.*unpack"):
        dataset.scan(tmp_path / "packed")
    shutil.rmtree(root / "Flicker8k_Dataset")
    with pytest.raises(ValueError, match="no folder of pictures; expected Flicker8k_Dataset"):
        dataset.scan(root)


def test_lists_that_are_not_text(root: Path) -> None:
    (root / TRAIN).write_bytes(b"\xff\xfe\x00")
    (root / "Flicker8k_Dataset" / "b.jpg").write_bytes(b"broken")
    (root / "Flicker8k_Dataset" / "e.jpg").write_bytes(b"broken")
    list_, picture = report(root).problems  # both are reported; b.jpg is in no readable list
    assert list_.startswith(f"{TRAIN} is not UTF-8 text: 'utf-8' codec can't decode byte 0xff")
    assert picture.startswith("e.jpg is not a readable image")


def test_progress_counts_up_to_the_total(root: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    dataset.verify(dataset.scan(root), lambda *now: seen.append(now))
    assert seen == [("verifying pictures", done, 7) for done in range(1, 8)]


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs flickr8k under ../shared/data or $DSD_SHARED_DATA, which is not distributed"
)
def test_the_official_set() -> None:
    found = dataset.scan(SHARED)
    said = dataset.verify(found, quiet)
    assert said.counts == {
        "train": 30000,
        "test": 1000,
        "train pictures": 6000,
        "val pictures": 1000,
        "val captions": 5000,
    }
    assert said.problems == ()
    assert said.warnings[0] == "names with captions but no picture: 1 (2258277193_586949ec62.jpg.1)"
    assert said.warnings[1].startswith("pictures in no split: 91 (")
    assert said.warnings[2:] == (  # no duplicate test pictures, and all counts as published
        "training pictures that are there more than once, byte for byte: "
        "1 (3050606344_af711c726c.jpg = 2851198725_37b6027625.jpg)",
    )
    assert said.published == (
        "counts are those of the published Flickr8k: train 6,000, val 1,000, test 1,000, captions 40,000"
    )
    assert said.fingerprint == "041b1d0225f18fdc"  # the fingerprint in the records
    every = [words for picture in found.train for words in picture.captions]
    words = vocabulary.build(every)
    assert len(words.words) == 2538  # NeuralTalk's count, including the end sign
    assert words.words[:4] == (".", "a", "in", "the")
    assert words.frequencies[0] == 30000
    assert sum(map(len, every)) == 323639
    assert all(words.encode(caption) for caption in every)
    assert len(dataset.scan(SHARED, 0.1).train) == 600
