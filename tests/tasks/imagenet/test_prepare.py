"""tiny-imagenet-50 has a quarter of Stanford's classes. Training pictures from number 400 on are in its test set."""

from __future__ import annotations

import filecmp
import os
from pathlib import Path

import pytest

from tasks.imagenet import dataset, prepare
from tasks.imagenet.prepare import Layout

REAL = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "tiny-imagenet-50"

SMALL = Layout(classes=8, every=4, train=12, held_out=9, val=2)
WNIDS = [f"n0000000{number}" for number in range(8)]


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Eight classes in Stanford's layout; a picture's bytes are its name."""
    root = tmp_path / "tiny-imagenet-200"
    (root / "val" / "images").mkdir(parents=True)
    lines = []
    for number, wnid in enumerate(WNIDS):
        images = root / "train" / wnid / "images"
        images.mkdir(parents=True)
        (images.parent / f"{wnid}_boxes.txt").touch()
        for index in range(12):
            (images / f"{wnid}_{index}.JPEG").write_text(f"{wnid} {index}")
        for index in (number, number + 10):
            (root / "val" / "images" / f"val_{index}.JPEG").write_text(f"val {index}")
            lines.append(f"val_{index}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(sorted(lines)))
    (root / "words.txt").write_text("".join(f"{wnid}\tthing {wnid[-1]}, that is\n" for wnid in reversed(WNIDS)))
    return root


def test_every_fourth_class_is_taken_and_split_by_number(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    out = tmp_path / "out"
    prepare.tiny_imagenet(source, out, lambda *now: seen.append(now), SMALL)
    files = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*") if path.is_file()}
    # By name 10 and 11 would come before 2; by number they are the last.
    assert files.pop("classes.txt") == "n00000000\tthing 0, that is\nn00000004\tthing 4, that is\n"
    expected = {f"train/{w}/{w}_{index}.JPEG": f"{w} {index}" for w in (WNIDS[0], WNIDS[4]) for index in range(9)}
    expected |= {f"val/{w}/{w}_{index}.JPEG": f"{w} {index}" for w in (WNIDS[0], WNIDS[4]) for index in (9, 10, 11)}
    expected |= {f"val/{WNIDS[n]}/val_{index}.JPEG": f"val {index}" for n in (0, 4) for index in (n, n + 10)}
    assert files == expected
    assert seen == [("copying pictures", done, 28) for done in range(1, 29)]
    prepare.tiny_imagenet(source.parent, tmp_path / "again", quiet, SMALL)  # the parent folder is accepted too
    assert (tmp_path / "again" / "classes.txt").is_file()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "val/val_annotations.txt",
            None,
            "has no val/val_annotations.txt; --from takes the unzipped tiny-imagenet-200",
        ),
        (
            "val/val_annotations.txt",
            "val_0.JPEG n00000000\n",
            "val_annotations.txt, line 1: expected val_NUMBER.JPEG, a tab",
        ),
        (
            "val/val_annotations.txt",
            "../x.JPEG\tn00000000\n",
            "val_annotations.txt, line 1: expected val_NUMBER.JPEG, a tab",
        ),
        ("val/val_annotations.txt", "val_0.JPEG\tn00000000\n", "lists 1 pictures of n00000000; expected 2"),
        (
            "train/n00000004/images/n00000004_11.JPEG",
            None,
            "images/n00000004_11.JPEG is not there; 28 pictures are needed",
        ),
        ("val/images/val_14.JPEG", None, "val/images/val_14.JPEG is not there; 28 pictures are needed"),
        ("words.txt", None, "words.txt is not there"),
        ("words.txt", "n00000000\tthing\n", "words.txt does not name n00000004"),
    ],
)
def test_what_is_missing_is_named_and_nothing_written(
    source: Path, tmp_path: Path, file: str, text: str | None, message: str
) -> None:
    (source / file).unlink()
    if text is not None:
        (source / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        prepare.tiny_imagenet(source, tmp_path / "out", quiet, SMALL)
    assert not (tmp_path / "out").exists()


def test_a_wrong_number_of_classes_and_a_zipped_source_are_told(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train has 8 folders of classes; expected 200"):
        prepare.tiny_imagenet(source, tmp_path / "out", quiet)
    (tmp_path / "zipped").mkdir()
    (tmp_path / "zipped" / "tiny-imagenet-200.zip").touch()
    with pytest.raises(ValueError, match=r"tiny-imagenet-200.zip first \(unzip -q tiny-imagenet-200.zip\)"):
        prepare.tiny_imagenet(tmp_path / "zipped", tmp_path / "out", quiet)


def stanford(root: Path) -> Path:
    """Return a folder in Stanford's layout, with links to the pictures of tiny-imagenet-50 and with unused classes."""
    taken = sorted(path.name for path in (REAL / "train").iterdir())
    others = [f"n{int(wnid[1:]) + more:08d}" for wnid in taken for more in (1, 2, 3)]
    (root / "val" / "images").mkdir(parents=True)
    lines = []
    for wnid in (*taken, *others):
        (root / "train" / wnid / "images").mkdir(parents=True)
    for wnid in taken:
        for path in (*(REAL / "train" / wnid).iterdir(), *(REAL / "val" / wnid).iterdir()):
            official = path.name.startswith("val_")
            images = root / "val" / "images" if official else root / "train" / wnid / "images"
            (images / path.name).symlink_to(path)
            if official:
                lines.append(f"{path.name}\t{wnid}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(sorted(lines)))
    other_words = "".join(f"{wnid}\tnot taken\n" for wnid in others)
    (root / "words.txt").write_text((REAL / "classes.txt").read_text() + other_words)
    return root


@pytest.mark.skipif(
    not REAL.is_dir(),
    reason="needs tiny-imagenet-50 under ../shared/data or $DSD_SHARED_DATA, which is not distributed",
)
def test_the_set_of_the_results_is_made_again_to_the_byte(tmp_path: Path) -> None:
    out = tmp_path / "tiny-imagenet-50"
    prepare.tiny_imagenet(stanford(tmp_path / "tiny-imagenet-200"), out, quiet)
    names = {
        one: sorted(str(path.relative_to(one)) for path in one.rglob("*") if path.is_file()) for one in (out, REAL)
    }
    assert names[out] == names[REAL]
    assert len(names[out]) == 27_501
    assert filecmp.cmpfiles(out, REAL, names[out], shallow=False) == (names[out], [], [])
    assert dataset.verify(dataset.scan(out, 0.25)).fingerprint == "ca16dc0971286cb0"  # the fingerprint in the records
