"""Karpathy's JSON, with pictures, with his features, with both and with neither."""

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tasks.flickr8k import dataset
from tasks.task import DataReport

Entry = dict[str, Any]
NAMES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
SMALL = "counts are not those of the published Flickr8k: train 2 (expected 6,000), val 1 (expected 1,000), "
SMALL += "test 1 (expected 1,000), captions 20 (expected 40,000)"


def quiet(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


def report(root: Path) -> DataReport:
    return dataset.verify(dataset.scan(root), quiet)


def entries() -> list[Entry]:
    """Two training, one validation and one test picture; imgid counts from 0, in another order than the names."""
    return [
        {
            "filename": name,
            "split": split,
            "imgid": column,
            "sentids": list(range(5 * column, 5 * column + 5)),
            "sentences": [
                {"tokens": ["T-Shirt", name[0], str(k)], "raw": f"T-Shirt {name[0]} {k} .", "imgid": column}
                for k in range(5)
            ],
        }
        for column, (name, split) in enumerate(zip(reversed(NAMES), ("test", "train", "val", "train"), strict=True))
    ]


def write(root: Path, images: Any, name: str = "dataset_flickr8k.json") -> None:
    (root / name).write_text(json.dumps({"images": images, "dataset": "flickr8k"}))


def put(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for value, name in enumerate(NAMES):
        pixels = np.random.Generator(np.random.PCG64(value)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        (folder / name).write_bytes(buffer.getvalue())


def features(root: Path, columns: int, name: str = "feats") -> None:
    savemat(root / "vgg_feats.mat", {name: np.arange(4096.0 * columns).reshape(4096, columns)})


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "flickr8k"
    put(root)
    write(root, entries())
    return root


def test_pictures_beside_the_json(root: Path) -> None:
    found = dataset.scan(root)
    assert [(p.name, p.column) for p in found.train] == [("a.jpg", 3), ("c.jpg", 1)]
    assert [(p.name, p.column) for p in found.val + found.test] == [("b.jpg", 2), ("d.jpg", 0)]
    assert found.test[0].captions[4] == ("T-Shirt", "d", "4")  # Karpathy's tokens, unchanged
    assert (found.folder, found.features) == (root, None)
    said = dataset.verify(found, quiet)
    assert said.counts == {"train": 10, "test": 1, "train pictures": 2, "val pictures": 1, "val captions": 5}
    assert (said.problems, said.warnings) == ((), (SMALL,))


@pytest.mark.parametrize("folder", ["imgs", "Flicker8k_Dataset", "Flickr8k_Dataset", "Images"])
def test_pictures_in_a_folder_and_the_jsons_other_name(root: Path, folder: str) -> None:
    first = report(root)
    (root / folder).mkdir()
    for name in NAMES:
        (root / name).rename(root / folder / name)
    (root / "dataset_flickr8k.json").rename(root / "dataset.json")
    assert dataset.scan(root).folder == root / folder
    assert report(root) == first


def test_order_of_the_json_does_not_matter(root: Path) -> None:
    first = report(root)
    write(root, entries()[::-1])
    assert report(root) == first


def test_features_make_pictures_unnecessary(root: Path) -> None:
    both = report(root)
    features(root, 4)
    with_features = report(root)
    assert dataset.scan(root).features == root / "vgg_feats.mat"
    (root / "a.jpg").unlink()
    some = report(root)
    for name in NAMES[1:]:
        (root / name).unlink()
    alone = report(root)
    assert some.problems == alone.problems == ()
    assert some.warnings == ("pictures that are absent, known by vgg_feats.mat alone: 1 (a.jpg)", SMALL)
    absent = "pictures that are absent, known by vgg_feats.mat alone: 4 (a.jpg, c.jpg, b.jpg, ...)"
    assert alone.warnings == (absent, SMALL)
    assert alone.counts == both.counts
    features(root, 5)
    other = report(root)
    assert other.problems == ()
    assert (
        len({both.fingerprint, with_features.fingerprint, some.fingerprint, alone.fingerprint, other.fingerprint}) == 5
    )


def test_features_that_do_not_fit(root: Path) -> None:
    features(root, 2)
    assert report(root).problems == ("vgg_feats.mat has 2 columns, too few for the imgid of 2 (b.jpg, a.jpg)",)
    features(root, 4, "x")
    assert report(root).problems == ("vgg_feats.mat holds no variable called feats; expected one",)
    (root / "vgg_feats.mat").write_bytes(b"<!DOCTYPE html>" * 20)
    assert report(root).problems[0].startswith("vgg_feats.mat is not a readable MATLAB file")
    for value, kind in ((np.ones((6, 4)), r"double of shape (6, 4)"), (np.ones((4096, 4), np.int32), "int32 of shape")):
        savemat(root / "vgg_feats.mat", {"feats": value})
        (problem,) = report(root).problems
        assert problem.startswith(f"vgg_feats.mat: feats is {kind}")
    features(root, 4)
    images = entries()
    del images[0]["imgid"]
    write(root, images)
    assert report(root).problems == ("vgg_feats.mat is of no use to pictures that have no imgid: 1 (d.jpg)",)


def test_neither_pictures_nor_features(root: Path) -> None:
    for name in NAMES:
        (root / name).unlink()
    with pytest.raises(ValueError, match=r"no pictures: not one that dataset_flickr8k\.json names lies in"):
        dataset.scan(root)


def test_problems_are_named(root: Path) -> None:
    images = entries()
    images[1]["imgid"] = images[3]["imgid"]
    images[2]["split"] = "train"
    images[0]["sentences"] = []
    write(root, [*images, images[0] | {"split": "train"}])
    (root / "c.jpg").unlink()
    assert set(report(root).problems) == {
        "dataset_flickr8k.json: c.jpg and a.jpg have the same imgid, 3",
        "dataset_flickr8k.json has no pictures in the val split",
        "dataset_flickr8k.json lists c.jpg, but there is no such picture in flickr8k/",
        "d.jpg, of the train split, has no captions",
        "d.jpg, of the test split, has no captions",
        "d.jpg is in two splits, train and test",
    }


def test_his_captions_are_taken_where_both_layouts_are(root: Path) -> None:
    (root / "Flickr8k_text").mkdir()
    (root / "Flickr8k_text" / "Flickr8k.token.txt").write_text("a.jpg#0\tOther words .\n")
    found = dataset.scan(root)
    assert found.train[0].captions[0] == ("T-Shirt", "a", "0")
    assert found.warnings == ("dataset_flickr8k.json was read, and Flickr8k_text/Flickr8k.token.txt passed over",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"filename": None}, r"images\[1\]: 'filename' should be of type str, got NoneType"),
        ({"filename": "../a.jpg"}, r"images\[1\]: filename '\.\./a\.jpg' is not a plain file name"),
        ({"filename": "/etc/passwd"}, r"images\[1\]: filename '/etc/passwd' is not a plain file name"),
        ({"filename": "x\\a.jpg"}, "is not a plain file name"),
        ({"filename": ".."}, "is not a plain file name"),
        ({"filename": "a\0.jpg"}, "is empty or holds characters"),
        ({"filename": "\ud800.jpg"}, "is empty or holds characters"),
        ({"filename": "x" * 256}, "is longer than a file name can be"),
        ({"split": "restval"}, r"images\[1\]: split 'restval' is not one of train, val, test"),
        ({"split": 1}, r"images\[1\]: 'split' should be of type str, got int"),
        ({"imgid": "1"}, r"images\[1\]: 'imgid' should be of type int, got str"),
        ({"imgid": True}, r"images\[1\]: 'imgid' should be of type int, got bool"),
        ({"imgid": -1}, r"images\[1\]: imgid -1 is below 0"),
        ({"sentences": {}}, r"images\[1\]: 'sentences' should be of type list, got dict"),
        ({"sentences": ["A dog ."]}, r"images\[1\]\.sentences\[0\]: expected an object with 'tokens', got str"),
        ({"sentences": [{"raw": "A dog ."}]}, r"images\[1\]\.sentences\[0\]: there is no 'tokens'"),
        ({"sentences": [{"tokens": ["a", 2]}]}, r"images\[1\]\.sentences\[0\]: token '2' is not a word"),
        ({"sentences": [{"tokens": ["a dog"]}]}, "token 'a dog' is not a word"),
        ({"sentences": [{"tokens": [""]}]}, "token '' is not a word"),
    ],
)
def test_one_bad_entry_is_one_problem_among_others(root: Path, change: Entry, message: str) -> None:
    images = entries()
    images[1] |= change
    write(root, images)
    (root / "a.jpg").write_bytes(b"broken")
    bad, other = report(root).problems
    assert re.search(r"^dataset_flickr8k\.json, .*" + message, bad)
    assert other.startswith("a.jpg is not a readable image")


@pytest.mark.parametrize("missing", ["filename", "split", "sentences"])
def test_missing_keys_are_named(root: Path, missing: str) -> None:
    images = entries()
    del images[2][missing]
    write(root, images)
    bad, *others = report(root).problems
    assert bad == f"dataset_flickr8k.json, images[2]: there is no '{missing}'"
    # The entry without a split may be the missing validation picture.
    assert others == ["dataset_flickr8k.json has no pictures in the val split"] * (missing == "split")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{"filename": "b.jpg", "filename": "x.jpg", "split": "val", "sentences": []}', "it has 'filename' twice"),
        ('{"filename": "b.jpg", "split": "val", "imgid": ' + "9" * 5000 + "}", "there is no 'sentences'"),
        (
            '{"filename": "b.jpg", "split": "val", "sentences": [], "imgid": ' + "9" * 5000 + "}",
            "'imgid' should be of type int, got float",
        ),
        ("3", "expected an object with 'filename', got int"),
        ("null", "expected an object with 'filename', got NoneType"),
    ],
)
def test_an_entry_that_json_itself_reads_otherwise_is_one_problem(root: Path, entry: str, message: str) -> None:
    path = root / "dataset_flickr8k.json"
    path.write_text(json.dumps({"images": entries()})[:-2] + f", {entry}]}}")
    found = dataset.scan(root)
    assert found.problems == (f"dataset_flickr8k.json, images[4]: {message}",)
    assert [(p.name, len(p.captions)) for p in found.val] == [("b.jpg", 5)]


def test_nothing_but_bad_entries_is_told_entry_by_entry(root: Path) -> None:
    write(root, [image | {"sentences": None} for image in entries()])
    assert report(root).problems == tuple(
        f"dataset_flickr8k.json, images[{index}]: 'sentences' should be of type list, got NoneType"
        for index in range(4)
    )


def test_bad_entries_are_told_where_every_picture_is_missing_too(root: Path) -> None:
    images = entries()
    del images[1]["sentences"]
    write(root, images)
    for name in NAMES:
        (root / name).unlink()
    bad, *missing = report(root).problems
    assert bad == "dataset_flickr8k.json, images[1]: there is no 'sentences'"
    assert missing == [
        f"dataset_flickr8k.json lists {name}, but there is no such picture in flickr8k/"
        for name in ("a.jpg", "b.jpg", "d.jpg")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\xfa", "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b"[]", "expected an object with 'images', got list"),
        (b"{}", "there is no 'images'"),
        (b'{"images": 3}', "'images' should be of type list, got int"),
        (b'{"images": [], "images": []}', "it has 'images' twice"),
    ],
)
def test_files_that_are_no_such_json(root: Path, content: bytes, message: str) -> None:
    (root / "dataset_flickr8k.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        dataset.scan(root)
    assert str(root / "dataset_flickr8k.json") in str(caught.value)
