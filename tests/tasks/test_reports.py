"""Reports about unusable data: the cause comes first, one odd entry is one problem, and duplicates are found."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from tasks.data import entries, images
from tasks.data.verification import require, telling
from tasks.flickr8k import backbone
from tasks.flickr8k import dataset as captions
from tasks.imagenet import dataset as pictures
from tasks.imagenet import transforms
from tasks.imagenet.settings import Augmentation
from tasks.librispeech import audio
from tasks.librispeech import dataset as speech
from tasks.task import DataReport

pytestmark = pytest.mark.promise(7)


def quiet(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


def picture(value: int) -> bytes:
    pixels = np.random.Generator(np.random.PCG64(value)).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def classes(root: Path, count: int = 3) -> Path:
    for number in range(count):
        for place, split in enumerate(pictures.SPLITS):
            put(root / split / f"n{number:08d}" / "1.png", picture(2 * number + place))
    return root


def listed(root: Path, count: int = 3) -> Path:
    names = {split: [f"{split}{number}.png" for number in range(count)] for split in ("train", "dev", "test")}
    every = [name for of in names.values() for name in of]
    for value, name in enumerate(every):
        put(root / "Flicker8k_Dataset" / name, picture(value))
    for split, of in names.items():
        put(root / "Flickr8k_text" / f"Flickr_8k.{split}Images.txt", "\n".join(of))
    lines = [f"{name}#{k}\tA picture of {name.partition('.')[0]} ." for name in every for k in range(5)]
    put(root / "Flickr8k_text" / "Flickr8k.token.txt", "\n".join(lines))
    return root


def spoken(root: Path, count: int = 1) -> Path:
    value = 0
    for split in ("train-a", "dev-a", "test-a"):
        for _ in range(count):
            value += 1
            chapter = root / split / f"{value}" / "1"
            chapter.mkdir(parents=True)
            sound = np.random.Generator(np.random.PCG64(value)).integers(-99, 99, 16_000, dtype=np.int16)
            soundfile.write(chapter / f"{value}-1-0000.flac", sound, 16_000)
            put(chapter / f"{value}-1.trans.txt", f"{value}-1-0000 HE HOPED\n")
    return root


def report(root: Path) -> DataReport:
    if (root / "val").exists():
        return pictures.verify(pictures.scan(root))
    if (root / "Flickr8k_text").exists():
        return captions.verify(captions.scan(root), quiet)
    return speech.verify(speech.scan(root), quiet)


MAKERS: dict[str, Callable[[Path], Path]] = {"imagenet": classes, "flickr8k": listed, "librispeech": spoken}
FILES = {
    "imagenet": "train/n00000000/1.png",
    "flickr8k": "Flicker8k_Dataset/train0.png",
    "librispeech": "train-a/1/1/1-1-0000.flac",
}
OTHERS = {
    "imagenet": "val/n00000001/1.png",
    "flickr8k": "Flicker8k_Dataset/test1.png",
    "librispeech": "test-a/3/1/3-1-0000.flac",
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=MAKERS)
def domain(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(domain: str, tmp_path: Path) -> Path:
    """A valid data set of each domain."""
    made = MAKERS[domain](tmp_path / "set")
    assert report(made).problems == ()
    return made


ODD: dict[str, Callable[[Path], Any]] = {
    "a link in a circle": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "nothing": lambda path: None,
    "an empty file": lambda path: path.touch(),
    "a page": lambda path: path.write_text("<!DOCTYPE html>"),
}


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_entry_is_one_problem_among_others(root: Path, domain: str, odd: str) -> None:
    put(root / OTHERS[domain], b"broken")
    (root / FILES[domain]).unlink()
    ODD[odd](root / FILES[domain])
    problems = report(root).problems
    other = OTHERS[domain].removeprefix("Flicker8k_Dataset/")
    assert any(problem.startswith(f"{other} is not a readable") for problem in problems)
    mine = FILES[domain].removeprefix("Flicker8k_Dataset/")
    named = mine if domain != "imagenet" or odd not in ("a folder", "nothing") else "train/n00000000 is empty"
    assert any(named in problem for problem in problems)
    # Its splits have one recording each, and two are now empty.
    assert len(problems) == (2 if domain != "librispeech" else 4)


def test_a_folder_that_may_not_be_opened_is_one_problem(
    root: Path, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = {"imagenet": "train/n00000001", "librispeech": "dev-a/2"}.get(domain)
    if closed is None:
        pytest.skip("one folder holds all pictures: without it there is no set")
    put(root / OTHERS[domain], b"broken")
    scandir = os.scandir

    def refused(path: Any) -> Any:
        if not isinstance(path, int) and os.fspath(path) == str(root / closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    problems = report(root).problems
    assert problems[0] == f"{closed}/ cannot be opened (Permission denied)"
    assert any("is not a readable" in problem for problem in problems)
    assert not any("is empty: it holds no" in problem for problem in problems)  # unknown, as it cannot be opened


def test_an_entry_that_cannot_be_looked_at_is_no_folder() -> None:
    class Entry:
        def is_dir(self) -> bool:
            raise OSError(40, "Too many levels of symbolic links")

        is_file = is_dir

    entry: Any = Entry()
    assert entries.is_folder(entry) is False
    assert entries.is_file(entry) is True


# The cause first


def told(root: Path) -> list[str]:
    with pytest.raises(ValueError, match="problem") as caught:
        require(report(root))
    return str(caught.value).splitlines()[1:]


def test_test_pictures_as_they_are_downloaded(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for number in range(25):
        put(root / "train" / f"n{number:08d}" / "1.png", picture(number))
        put(root / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", picture(100 + number))
    (only,) = told(root)
    assert "val/ holds 25 (val/ILSVRC2012_val_00000000.JPEG, " in only
    assert "outside the class folders; move every picture into val/CLASS/: val/ has no class folder" in only


def test_classes_that_lie_deeper_or_are_missing_are_told_in_one_line(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for number in range(25):
        put(root / "train" / f"n{number:08d}" / "images" / "1.png", picture(number))
        put(root / "val" / f"m{number:08d}" / "1.png", picture(100 + number))
    assert [line.strip().partition(" (")[0] for line in told(root)] == [
        "train/ lacks 25",
        "train/ has classes without a .jpeg, .jpg or .png file: 25",
        "val/ lacks 25",
    ]
    assert "must lie directly in them, not in train/n00000000/images/" in "".join(told(root))


def test_pictures_that_were_unpacked_a_folder_too_deep(tmp_path: Path) -> None:
    root = listed(tmp_path / "set", 30)
    inner = root / "Flicker8k_Dataset" / "Flicker8k_Dataset"
    inner.mkdir()
    for path in (root / "Flicker8k_Dataset").glob("*.png"):
        path.rename(inner / path.name)
    lines = told(root)
    assert lines[0].strip() == (
        "90 of 90 pictures in the lists are not in Flicker8k_Dataset/, which holds 0 pictures; "
        "pictures must lie directly in it, not in Flicker8k_Dataset/"
    )
    assert len(report(root).problems) == 91  # every file by name


def test_captions_of_another_format(tmp_path: Path) -> None:
    root = listed(tmp_path / "set", 10)
    path = root / "Flickr8k_text" / "Flickr8k.token.txt"
    put(path, path.read_text().replace("#0\t", ",").replace("\t", ","))
    (only,) = told(root)
    assert "line 1: expected PICTURE#NUMBER, a tab and a caption, got 'train0.png,A picture" in only
    assert "and so in 150 of 150 lines: another file, or format?" in only
    put(path, "")
    assert told(root) == ["  Flickr8k_text/Flickr8k.token.txt is empty: it should hold the captions"]
    put(path, b"\xff\xfe")
    (only,) = told(root)
    assert "Flickr8k_text/Flickr8k.token.txt is not UTF-8 text" in only


def test_recordings_of_another_format_or_place(tmp_path: Path) -> None:
    root = spoken(tmp_path / "set", 25)
    for path in root.rglob("*.flac"):
        path.rename(path.with_suffix(".wav"))
    lines = told(root)
    assert (
        lines[0].strip().startswith("recordings that are not .flac files, convert them: 75 (dev-a/26/1/26-1-0000.wav, ")
    )
    for path in root.rglob("*.wav"):
        path.rename(path.parent.parent / f"{path.stem}.flac")
    assert told(root)[0].strip().startswith("recordings outside FOLDER/SPEAKER/CHAPTER/, move them there: 75 (")


def test_no_kind_of_problem_hides_another() -> None:
    many = [f"train/n1/{number}.png is not a readable image (truncated at byte {number})" for number in range(500)]
    cause = "val/ has no class folder"
    shown = telling([*many, cause, *(f"val/{number} is missing" for number in range(500))])
    assert len(shown) == 20
    assert cause in shown
    assert shown[:3] == many[:3]
    assert any("is missing" in one for one in shown)
    assert telling(many[:2]) == many[:2]


# Duplicates


def test_the_same_picture_in_two_classes(tmp_path: Path) -> None:
    root = classes(tmp_path / "set")
    put(root / "train/n00000001/copy.png", (root / "train/n00000000/1.png").read_bytes())
    found = report(root)
    assert found.problems == ()
    assert found.warnings == (
        "training pictures that are there more than once, byte for byte: "
        "1 (train/n00000001/copy.png = train/n00000000/1.png)",
        "pictures that are in more than one class, so that a label is wrong, byte for byte: "
        "1 (train/n00000001/copy.png = train/n00000000/1.png)",
    )


def test_a_picture_twice_within_training_or_validation(tmp_path: Path) -> None:
    root = listed(tmp_path / "set")
    pictures_ = root / "Flicker8k_Dataset"
    put(pictures_ / "train2.png", (pictures_ / "train0.png").read_bytes())
    put(pictures_ / "dev1.png", (pictures_ / "train1.png").read_bytes())
    put(pictures_ / "test1.png", (pictures_ / "dev0.png").read_bytes())
    assert report(root).warnings[:3] == (
        "pictures of val or test that are also trained on, byte for byte: 1 (dev1.png = train1.png)",
        "pictures of val or test that are there more than once, byte for byte: 1 (test1.png = dev0.png)",
        "training pictures that are there more than once, byte for byte: 1 (train2.png = train0.png)",
    )


# In bounded memory


@pytest.mark.parametrize(("height", "width"), [(1, 60_000), (60_000, 1), (3, 20_000)])
def test_a_strip_takes_bounded_memory(height: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LIMIT", 1 << 20)
    strip = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    kept = images.middle(strip, 256)
    assert 256**2 <= kept.shape[0] * kept.shape[1] * (256 / min(height, width)) ** 2 <= 1 << 20
    settings = Augmentation(crop=224, test_resize=256, test_crop=224)
    assert transforms.central_view(strip, settings).shape == (224, 224, 3)
    assert backbone.view(strip, 256, 224).shape == (224, 224, 3)


def test_what_is_cut_from_a_strip_beforehand_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    strip = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (16, 2_000, 3), dtype=np.uint8)
    settings = Augmentation(crop=32, test_resize=32, test_crop=32)
    whole = transforms.central_view(strip, settings)
    monkeypatch.setattr(images, "LIMIT", 32 * 400)
    assert images.middle(strip, 32).shape[1] == 200
    np.testing.assert_array_equal(transforms.central_view(strip, settings), whole)
    ordinary = strip[:, :20]
    assert images.middle(ordinary, 32) is ordinary


def test_a_caption_without_end_is_a_problem(tmp_path: Path) -> None:
    root = listed(tmp_path / "set")
    path = root / "Flickr8k_text" / "Flickr8k.token.txt"
    put(path, path.read_text().replace("A picture of train1", "word " * 501, 1))
    assert report(root).problems == (
        "captions of more than 500 words, which no memory is meant for: 1 (train1.png: 501 words)",
    )


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_a_recording_without_end_is_a_problem_and_is_not_decoded(
    tmp_path: Path, rate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = spoken(tmp_path / "set")
    chapter = root / "train-a" / "1" / "1"
    for name, extra in (("0001", 0), ("0002", rate // 4)):
        soundfile.write(chapter / f"1-1-{name}.flac", np.zeros(60 * rate + extra, np.int16), rate)
    lines = "1-1-0000 HE HOPED\n1-1-0001 SIX\n"
    put(chapter / "1-1.trans.txt", lines)
    put(root / "quarantine.txt", "train-a/1/1/1-1-0002.flac")
    assert report(root).problems == ()
    assert max(audio.resampled_samples(one.samples, one.rate) for one in speech.scan(root).train) == 60 * 16_000
    (root / "quarantine.txt").unlink()
    put(chapter / "1-1.trans.txt", f"{lines}1-1-0002 SIX\n")
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("it is decoded"))
    (problem,) = report(root).problems
    assert problem.startswith(
        "train-a/1/1/1-1-0002.flac lasts 60.25 s, more than 60 s, and a batch takes the memory of its longest recording; "
        "cut it into utterances, or list it in quarantine.txt"
    )
