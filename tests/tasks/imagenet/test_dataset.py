"""The contents found in a folder of pictures, and the problems of an unusable folder."""

import io
import math
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.data import verification
from tasks.data.cache import cache_dir
from tasks.imagenet import dataset


def jpeg(value: int, side: int = 8) -> bytes:
    """A small picture whose bytes depend on `value`."""
    pixels = np.random.Generator(np.random.PCG64(value)).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def put(root: Path, name: str, content: bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, 10 training and 2 test pictures each."""
    root = tmp_path / "set"
    value = 0
    for split, count in (("train", 10), ("val", 2)):
        for name in ("n02", "n01"):
            for index in range(count):
                put(root, f"{split}/{name}/{name}_{index}.JPEG", jpeg(value := value + 1))
    return root


def test_scan_is_sorted_and_numbers_classes_by_name(root: Path) -> None:
    found = dataset.scan(root)
    assert found.classes == ("n01", "n02")
    assert found.train[:2] == ("train/n01/n01_0.JPEG", "train/n01/n01_1.JPEG")
    assert list(found.train) == sorted(found.train)
    assert found.labels("val").tolist() == [0, 0, 1, 1]
    assert found.labels("val").dtype == np.int64
    assert (found.problems, found.warnings) == ((), ())


def test_order_is_that_of_the_classes_where_a_slash_would_sort_otherwise(root: Path) -> None:
    for split in dataset.SPLITS:
        put(root, f"{split}/n01-b/x.jpg", jpeg(90))
    found = dataset.scan(root)
    assert found.classes == ("n01", "n01-b", "n02")
    assert np.all(np.diff(found.labels("train")) >= 0)


def test_suffixes_in_any_case_hidden_files_passed_over_others_warned_of(root: Path) -> None:
    for name in ("a.jpg", "b.JPG", "c.jpeg", "d.png", "e.PNG", ".DS_Store", "._n01_0.JPEG", "notes.txt"):
        put(root, f"train/n01/{name}", jpeg(1))
    put(root, "train/.cache/x.JPEG", b"")
    put(root, "val/annotations.txt", b"")
    found = dataset.scan(root)
    assert len(found.train) == 25
    assert found.classes == ("n01", "n02")
    assert found.problems == ()
    assert [warning.partition(": ")[2] for warning in found.warnings] == [
        "1 (train/n01/notes.txt)",
        "1 (val/annotations.txt)",
    ]


@pytest.mark.parametrize("subset", [0.05, 0.1, 0.3, 0.7, 0.99, 1.0])
def test_subset_takes_the_first_of_each_class_in_hash_order(root: Path, subset: float) -> None:
    found = dataset.scan(root, subset)
    assert np.bincount(found.labels("train")).tolist() == [math.ceil(round(10 * subset, 9))] * 2
    assert len(found.val) == 4
    assert set(found.train) <= set(dataset.scan(root, min(1.0, subset + 0.2)).train)
    assert list(found.train) == sorted(found.train)


def test_subset_counts_are_exact_where_floating_point_is_not(tmp_path: Path) -> None:
    for split, count in (("train", 100), ("val", 1)):
        for index in range(count):
            put(tmp_path, f"{split}/a/{index}.png", b"")
    assert 0.07 * 100 > 7
    assert len(dataset.scan(tmp_path, 0.07).train) == 7


@pytest.mark.parametrize("subset", [0.0, -0.1, 1.01, float("nan")])
def test_subset_out_of_range(root: Path, subset: float) -> None:
    with pytest.raises(ValueError, match="subset="):
        dataset.scan(root, subset)


def test_wrong_root_says_which_would_fit(root: Path, tmp_path: Path) -> None:
    for wrong in (root / "train", root / "train" / "n01", tmp_path):
        with pytest.raises(ValueError, match=r"has no train/ and val/; expected .*set\b") as caught:
            dataset.scan(wrong)
        assert str(root.resolve()) in str(caught.value)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        dataset.scan(tmp_path / "nowhere")
    put(tmp_path, "packed/ILSVRC2012_img_train.tar", b"")
    with pytest.raises(ValueError, match=r"ILSVRC2012_img_train\.tar.*unpack"):
        dataset.scan(tmp_path / "packed")


def test_a_sound_set_passes_with_counts(root: Path) -> None:
    report = dataset.verify(dataset.scan(root), workers=2)
    assert report.counts == {"train": 20, "test": 4, "classes": 2}
    assert (report.name, report.problems, report.warnings) == ("set", (), ())
    assert len(report.fingerprint) == 16
    assert int(report.fingerprint, 16) >= 0
    verification.require(report)


def test_every_problem_is_in_one_error(root: Path) -> None:
    cut = jpeg(1, 32)[:700]
    put(root, "train/n01/n01_1.JPEG", cut)
    put(root, "train/n01/n01_2.JPEG", b"")
    put(root, "train/n01/n01_3.JPEG", b"<!DOCTYPE html><html>")
    put(root, "train/n03/x.JPEG", jpeg(77))
    put(root, "val/n04/x.JPEG", jpeg(78))
    (root / "train" / "n05").mkdir()
    put(root, "val/n05/x.JPEG", jpeg(79))
    put(root, "val/ILSVRC2012_val_00000001.JPEG", jpeg(80))
    put(root, "train/n06/images/x.JPEG", jpeg(81))
    put(root, "val/n06/x.JPEG", jpeg(82))
    put(root, verification.QUARANTINE, b"train/n01/gone.JPEG\n")
    report = dataset.verify(dataset.scan(root), workers=2)
    with pytest.raises(ValueError, match=r"set: 9 problem\(s\)") as caught:
        verification.require(report)
    text = str(caught.value)
    assert (
        "train/n01/n01_1.JPEG is not a readable image (truncated at byte 700); "
        "list it in quarantine.txt to leave it out, which changes the data fingerprint" in text
    )
    assert "train/n01/n01_2.JPEG is not a readable image (the file is empty)" in text
    assert (
        "train/n01/n01_3.JPEG is not a readable image (neither JPEG nor PNG: it begins with b'<!DOCTYPE html><')"
        in text
    )
    assert "val/n03 is missing" in text
    assert "train/n04 is missing" in text
    assert "train/n05 is empty" in text
    assert "val/ holds 1 (val/ILSVRC2012_val_00000001.JPEG) outside the class folders" in text
    assert "train/n06 is empty: it holds no .jpeg, .jpg or .png file; pictures must lie directly in it" in text
    assert "quarantine.txt, line 1: there is no train/n01/gone.JPEG" in text


def test_the_first_20_are_shown_then_counted(root: Path) -> None:
    for index in range(25):
        put(root, f"train/n01/bad_{index:02d}.JPEG", b"x")
    with pytest.raises(ValueError, match="25 problem") as caught:
        verification.require(dataset.verify(dataset.scan(root), workers=2))
    assert str(caught.value).count("is not a readable image") == 20
    assert str(caught.value).endswith("and 5 more")


@pytest.mark.promise(7)
def test_quarantine_leaves_files_out_and_changes_the_fingerprint(root: Path) -> None:
    before = dataset.verify(dataset.scan(root))
    put(root, "train/n01/n01_3.JPEG", b"broken")
    lines = "\ufeff# damaged in the download\r\n\r\ntrain/n01/n01_3.JPEG  # since 2024\r\n./train/n02/n02_0.JPEG\r\n"
    put(root, verification.QUARANTINE, lines.encode())
    after = dataset.verify(dataset.scan(root))
    assert after.problems == ()
    assert after.warnings == ("left out by quarantine.txt: 2 (train/n01/n01_3.JPEG, train/n02/n02_0.JPEG)",)
    assert after.counts["train"] == before.counts["train"] - 2
    assert after.fingerprint != before.fingerprint
    assert "train/n02/n02_0.JPEG" not in dataset.scan(root).train


def test_a_class_emptied_by_quarantine_is_a_problem(root: Path) -> None:
    put(root, verification.QUARANTINE, b"val/n01/n01_0.JPEG\nval/n01/n01_1.JPEG\n")
    assert [p.split(":")[0] for p in dataset.scan(root).problems] == ["val/n01 is empty"]


def test_fingerprint_follows_names_contents_and_subset_only(root: Path, tmp_path: Path) -> None:
    first = dataset.verify(dataset.scan(root)).fingerprint
    moved = root.rename(tmp_path / "elsewhere")
    assert dataset.verify(dataset.scan(moved)).fingerprint == first
    put(moved, "train/n01/.hidden", b"")
    assert dataset.verify(dataset.scan(moved)).fingerprint == first
    assert dataset.verify(dataset.scan(moved, subset=0.5)).fingerprint != first
    name = moved / "val/n01/n01_1.JPEG"  # after renaming, its position is the same: only the name differs
    renamed = name.rename(name.with_name("n01_9.JPEG"))
    assert dataset.verify(dataset.scan(moved)).fingerprint != first
    renamed.rename(name)
    assert dataset.verify(dataset.scan(moved)).fingerprint == first
    put(moved, "val/n01/n01_0.JPEG", jpeg(500))
    assert dataset.verify(dataset.scan(moved)).fingerprint != first


def test_the_same_bytes_in_train_and_val_are_warned_of(root: Path) -> None:
    put(root, "val/n01/n01_1.JPEG", (root / "train/n02/n02_4.JPEG").read_bytes())
    report = dataset.verify(dataset.scan(root))
    assert report.problems == ()
    assert report.warnings == (
        "test pictures that are also trained on, byte for byte: 1 (val/n01/n01_1.JPEG = train/n02/n02_4.JPEG)",
        "pictures that are in more than one class, so that a label is wrong, byte for byte: "
        "1 (val/n01/n01_1.JPEG = train/n02/n02_4.JPEG)",
    )


def test_a_picture_that_is_there_twice_is_warned_of(root: Path) -> None:
    for name in ("val/n01/n01_1.JPEG", "val/n02/n02_0.JPEG", "val/n02/n02_1.JPEG", "val/n02/n02_2.JPEG"):
        put(root, name, (root / "val/n01/n01_0.JPEG").read_bytes())
    put(root, "train/n01/n01_1.JPEG", (root / "train/n01/n01_0.JPEG").read_bytes())
    report = dataset.verify(dataset.scan(root))
    assert report.problems == ()
    assert report.warnings == (
        "test pictures that are there more than once, byte for byte: 4 (val/n01/n01_1.JPEG = val/n01/n01_0.JPEG, "
        "val/n02/n02_0.JPEG = val/n01/n01_0.JPEG, val/n02/n02_1.JPEG = val/n01/n01_0.JPEG, ...)",
        "training pictures that are there more than once, byte for byte: 1 (train/n01/n01_1.JPEG = train/n01/n01_0.JPEG)",
        "pictures that are in more than one class, so that a label is wrong, byte for byte: "
        "3 (val/n02/n02_0.JPEG = val/n01/n01_0.JPEG, val/n02/n02_1.JPEG = val/n01/n01_0.JPEG, "
        "val/n02/n02_2.JPEG = val/n01/n01_0.JPEG)",
    )


def test_files_that_cannot_be_read_are_no_duplicates(root: Path) -> None:
    for name in ("train/n01/n01_0.JPEG", "val/n01/n01_0.JPEG", "val/n01/n01_1.JPEG"):
        put(root, name, b"broken")
    report = dataset.verify(dataset.scan(root))
    assert (len(report.problems), report.warnings) == (3, ())


def thousand(root: Path, classes: int = 1000, name: str = "n{:08d}") -> Path:
    """One training picture per class, and one test picture in all but 2 classes; all files are empty and not decoded."""
    for index in range(classes):
        for split in dataset.SPLITS:
            (root / split / name.format(index)).mkdir(parents=True)
            if split == "train" or index > 1:
                put(root, f"{split}/{name.format(index)}/x.JPEG", b"")
    return root


def test_counts_are_compared_with_those_of_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "pixels", lambda data: None)
    root = thousand(tmp_path / "set")
    expected = "train 1,000 (expected 1,281,167), val 998 (expected 50,000)"
    report = dataset.verify(dataset.scan(root))
    assert f"counts are not those of the published ILSVRC2012: {expected}" in report.warnings
    # Pictures outside the subset or in quarantine do not count as missing.
    put(root, verification.QUARANTINE, b"val/n00000007/x.JPEG\n")
    less = dataset.verify(dataset.scan(root, 0.5))
    assert f"counts are not those of the published ILSVRC2012: {expected}" in less.warnings
    assert less.published == ""
    assert dataset.PUBLISHED == {"train": 1_281_167, "val": 50_000}
    monkeypatch.setattr(dataset, "PUBLISHED", {"train": 1000, "val": 50_000})
    half = dataset.verify(dataset.scan(root))
    assert half.published == "counts are those of the published ILSVRC2012: train 1,000"
    assert "counts are not those of the published ILSVRC2012: val 998 (expected 50,000)" in half.warnings
    alone = dataset.verify(dataset.scan(root, splits=("val",)))
    assert "counts are not those of the published ILSVRC2012: val 998 (expected 50,000)" in alone.warnings
    assert alone.published == ""


@pytest.mark.parametrize(("classes", "name"), [(999, "n{:08d}"), (1000, "class {}")])
def test_what_does_not_look_like_imagenet_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, classes: int, name: str
) -> None:
    monkeypatch.setattr(dataset, "pixels", lambda data: None)
    report = dataset.verify(dataset.scan(thousand(tmp_path / "set", classes, name)))
    assert not [warning for warning in report.warnings if "published" in warning]
    assert report.published == ""


def test_pictures_are_decoded_in_parallel(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=20)  # raises BrokenBarrierError unless two threads decode at the same time
    monkeypatch.setattr(dataset, "pixels", lambda data: both.wait())
    assert dataset.verify(dataset.scan(root), workers=2).problems == ()


def test_progress_counts_up_to_the_total(root: Path) -> None:
    seen: list[tuple[int, int]] = []
    dataset.verify(dataset.scan(root), workers=2, progress=lambda what, done, total: seen.append((done, total)))
    assert seen == [(done, 24) for done in range(1, 25)]


def test_good_files_are_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    pixels = dataset.pixels

    def counting(data: bytes) -> object:
        read.append(len(data))
        return pixels(data)

    monkeypatch.setattr(dataset, "pixels", counting)
    put(root, "train/n01/n01_0.JPEG", b"broken")
    first = dataset.verify(dataset.scan(root))
    assert len(read) == 24
    assert dataset.verify(dataset.scan(root)) == first
    assert len(read) == 25  # only the broken file is read again
    put(root, "train/n01/n01_0.JPEG", jpeg(1))
    put(root, "val/n02/n02_0.JPEG", jpeg(2, 16))
    assert dataset.verify(dataset.scan(root)).problems == ()
    assert len(read) == 27


def test_an_interrupted_verification_goes_on_where_it_stopped(root: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset.verify(dataset.scan(root), workers=1, progress=interrupt)
    (memory,) = (cache_dir() / "verified").iterdir()
    assert memory.read_text().count(".JPEG") == 10
    assert dataset.verify(dataset.scan(root)).counts["train"] == 20


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "0", "files": {}}', '{"files": 3}'])
def test_a_damaged_memory_is_made_again(root: Path, content: str) -> None:
    first = dataset.verify(dataset.scan(root))
    (memory,) = (cache_dir() / "verified").iterdir()
    memory.write_text(content)
    assert dataset.verify(dataset.scan(root)) == first
    assert memory.read_text().count(".JPEG") == 24


def test_to_score_a_network_val_alone_is_enough(root: Path) -> None:
    whole = dataset.scan(root)
    shutil.rmtree(root / "train")
    (root / "quarantine.txt").write_text("train/a/gone.png\n")
    alone = dataset.scan(root, splits=("val",))
    assert (alone.classes, alone.val, alone.train, alone.problems) == (whole.classes, whole.val, (), ())


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = dataset.verify(dataset.scan(root))
    put(tmp_path, "file", b"")
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "file"))
    assert dataset.verify(dataset.scan(root)) == expected  # the report contains no path of this machine
