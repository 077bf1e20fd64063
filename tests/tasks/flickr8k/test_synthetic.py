"""The embedded set: the same everywhere, whole or absent, with captions that fit only their own scene."""

import hashlib
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tasks.data.cache import MARK
from tasks.flickr8k import synthetic
from tasks.flickr8k.synthetic import Scene, Thing

COUNTS = {"train": 900, "dev": 100, "test": 100}
PICTURES = [(split, index) for split, count in COUNTS.items() for index in range(count)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.ensure(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def told(root: Path) -> dict[str, list[str]]:
    """The captions of each picture, in the order of the file."""
    found: dict[str, list[str]] = {}
    for line in (root / "Flickr8k_text" / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines():
        key, caption = line.split("\t")
        name, number = key.split("#")
        assert int(number) == len(found.setdefault(name, []))
        found[name].append(caption)
    return found


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def listed(root: Path, split: str) -> list[str]:
    return (root / "Flickr8k_text" / f"Flickr_8k.{split}Images.txt").read_text(encoding="utf-8").splitlines()


def pixels(root: Path, name: str) -> NDArray[np.float64]:
    with Image.open(root / "Flicker8k_Dataset" / name) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (48, 48), "RGB")
        return np.asarray(picture) / 255


# Functions that parse captions and recognise scenes in pictures. They share only the names of things with the generator.
NOUN = {"disc": "circle", "box": "square", "wedge": "triangle", "plus": "cross"}
THING = r"a (red|green|blue|yellow|white) (circle|disc|square|box|triangle|wedge|cross|plus)"
PLACE = r"(left of|to the left of|right of|to the right of|above|over|below|under)"
ASIDE = r"(on its left|to its left|on its right|to its right|above it|over it|below it|under it)"
SENTENCES = [
    rf"(?:there is )?{THING}(?: is)? {PLACE} {THING}",
    rf"{THING} {PLACE} {THING} on a (black|grey) background",
    rf"on a (?P<ground>black|grey) surface {THING} lies {PLACE} {THING}",
    rf"{THING} has {THING} {ASIDE}",
]


def read(caption: str) -> tuple[str, Thing, Thing, str | None]:
    """Return layout, left or upper thing, right or lower thing, and the ground (None if the caption does not mention it)."""
    assert re.fullmatch(r"[A-Z][a-z ]+ \.", caption)
    text = caption.removesuffix(" .").lower()
    (match,) = [match for sentence in SENTENCES if (match := re.fullmatch(sentence, text))]
    words = list(match.groups())
    ground = next((word for word in words if word in ("black", "grey")), None)
    words = [word for word in words if word not in ("black", "grey")]
    if "has a" in text:
        colour, noun, other_colour, other_noun, place = words
        thing, other = Thing(other_colour, NOUN.get(other_noun, other_noun)), Thing(colour, NOUN.get(noun, noun))
    else:
        colour, noun, place, other_colour, other_noun = words
        thing, other = Thing(colour, NOUN.get(noun, noun)), Thing(other_colour, NOUN.get(other_noun, other_noun))
    layout = "row" if "left" in place or "right" in place else "column"
    comes_first = any(word in place for word in ("left", "above", "over"))
    return (layout, thing, other, ground) if comes_first else (layout, other, thing, ground)


def look(image: NDArray[np.float64]) -> Scene:
    """Return the scene in a picture (48, 48, 3) with values in [0, 1]."""
    corner = np.median(image[:5, :5])
    seen = abs(image - corner).max(-1) > 0.3
    left, upper = seen[20:28, 9:17].mean(), seen[9:17, 20:28].mean()
    assert abs(left - upper) > 0.5
    halves = [(image[:, :24], seen[:, :24]), (image[:, 24:], seen[:, 24:])]
    if upper > left:
        halves = [(image[:24], seen[:24]), (image[24:], seen[24:])]
    first, second = (thing(part, mask) for part, mask in halves)
    return Scene("row" if left > upper else "column", first, second, "black" if corner < 0.15 else "grey")


def thing(image: NDArray[np.float64], seen: NDArray[np.bool_]) -> Thing:
    red, green, blue = np.median(image[seen], 0)
    colour = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 0): "yellow", (1, 1, 1): "white"}[
        red > 0.6, green > 0.6, blue > 0.6
    ]
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    box = seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    upper, lower = box[1, [1, -2]].all(), box[-2, [1, -2]].all()  # whether corners are filled
    if lower:
        return Thing(colour, "square" if upper else "triangle")
    return Thing(colour, "circle" if box.mean() > 0.63 else "cross")


def test_layout_and_counts(root: Path, told: dict[str, list[str]]) -> None:
    text = {"Flickr8k.token.txt", "Flickr_8k.trainImages.txt", "Flickr_8k.devImages.txt", "Flickr_8k.testImages.txt"}
    assert {path.name for path in root.iterdir()} == {"Flicker8k_Dataset", "Flickr8k_text", "GENERATED"}
    assert {path.name for path in (root / "Flickr8k_text").iterdir()} == text
    splits = {split: listed(root, split) for split in COUNTS}
    assert {split: len(set(names)) for split, names in splits.items()} == COUNTS
    everything = list(itertools.chain(*splits.values()))
    assert len(everything) == len(set(everything)), "splits are disjoint"
    assert {path.name for path in (root / "Flicker8k_Dataset").iterdir()} == set(everything) == set(told)
    assert {len(captions) for captions in told.values()} == {5}


def test_files_are_as_the_official_ones(root: Path) -> None:
    for path in (root / "Flickr8k_text").iterdir():
        content = path.read_bytes()
        assert content.endswith(b"\n")
        assert b"\r" not in content
    first = (root / "Flickr8k_text" / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(r"train_0000\.jpg#0\t[A-Z][a-z ]+ \.", first)


def test_it_says_that_it_is_generated(root: Path) -> None:
    assert MARK == "GENERATED"
    assert "say nothing of DSD" in (root / "GENERATED").read_text(encoding="utf-8")


def test_pictures_show_their_scenes(root: Path) -> None:
    for split, index in PICTURES:
        assert look(pixels(root, f"{split}_{index:04d}.jpg")) == synthetic.scene(split, index), (split, index)


def test_a_caption_is_true_of_its_own_scene_and_false_of_every_other(told: dict[str, list[str]]) -> None:
    scenes = {synthetic.scene(*picture) for picture in PICTURES}
    for split, index in PICTURES:
        own = synthetic.scene(split, index)
        for caption in told[f"{split}_{index:04d}.jpg"]:
            layout, first, second, ground = read(caption)
            fitting = [s for s in scenes if s[:3] == (layout, first, second) and ground in (None, s.ground)]
            assert fitting == [own], caption


def test_captions_of_a_picture_differ_and_vary(told: dict[str, list[str]]) -> None:
    both = Counter()
    for captions in told.values():
        assert len(set(captions)) == 5
        assert sum("background" in caption or "surface" in caption for caption in captions) == 2
        inverse = sum(bool(re.search("right|below|under", caption)) for caption in captions)
        both[inverse] += 1
    assert set(both) == {2, 3}
    assert min(both.values()) > 0.4 * len(told)


def test_every_word_is_frequent_enough_to_be_kept(root: Path, told: dict[str, list[str]]) -> None:
    """NeuralTalk drops words with less than five occurrences in the training captions."""
    train = Counter(
        word for name in listed(root, "train") for caption in told[name] for word in caption.lower().split()
    )
    anywhere = {word for captions in told.values() for caption in captions for word in caption.lower().split()}
    assert set(train) == anywhere
    assert len(train) == 35
    assert min(train.values()) > 100


def test_no_scene_is_shared_between_splits() -> None:
    shared = [set(synthetic.SCENES[a]) & set(synthetic.SCENES[b]) for a, b in itertools.combinations(COUNTS, 2)]
    assert shared == [set(), set(), set()]
    everything = set(itertools.chain(*synthetic.SCENES.values()))
    assert {split: len(scenes) for split, scenes in synthetic.SCENES.items()} == {"train": 480, "dev": 80, "test": 80}
    # 2 layouts, 5 x 4 first things, 4 x 4 second things. Each has only one ground: captions without the ground fit one scene.
    assert len({scene[:3] for scene in everything}) == 2 * 20 * 16 == len(everything)
    assert Counter(scene.ground for scene in everything) == {"black": 320, "grey": 320}


def test_pictures_and_captions_are_pinned() -> None:
    """A change of these needs another VERSION; otherwise old caches would be taken for the new set."""
    scene = synthetic.scene("test", 1)
    assert synthetic.VERSION == 1
    assert scene == Scene("column", Thing("red", "cross"), Thing("green", "triangle"), "grey")
    assert synthetic.captions(scene, "test", 1)[:2] == [
        "There is a red cross above a green triangle .",
        "On a grey surface a green triangle lies below a red cross .",
    ]
    digests = {
        purpose: hashlib.sha256(synthetic.picture(synthetic.scene(*purpose), 48, *purpose).tobytes()).hexdigest()[:16]
        for purpose in (("train", 0), ("test", 1))
    }
    assert digests == {("train", 0): "789ba1abb8ac5bbd", ("test", 1): "ef066d153b4115a3"}


def test_it_is_the_same_each_time_and_more_pictures_only_add(root: Path, tmp_path: Path) -> None:
    synthetic.generate(tmp_path / "again")
    many = contents(root)
    assert contents(tmp_path / "again") == many
    synthetic.generate(tmp_path / "few", train=3, dev=2, test=1)
    few = contents(tmp_path / "few")
    pictures = [name for name in few if name.endswith(".jpg")]
    assert len(pictures) == 6
    assert all(many[name] == few[name] for name in pictures)
    lines = few["Flickr8k_text/Flickr8k.token.txt"].splitlines()
    assert len(lines) == 30
    assert set(lines) <= set(many["Flickr8k_text/Flickr8k.token.txt"].splitlines())
    drawn = [content for name, content in many.items() if name.endswith(".jpg")]
    assert len(set(drawn)) == len(drawn) == 1100


def test_a_linear_map_finds_the_scene_in_a_coarse_grid(root: Path) -> None:
    """Ridge regression from the 12 x 12 means, the input of the smoke recipe's network, tested on other scenes."""
    grid, targets = {}, {}
    for split in ("train", "test"):
        pictures = np.stack([pixels(root, f"{split}_{index:04d}.jpg") for index in range(COUNTS[split])])
        means = pictures.reshape(-1, 12, 4, 12, 4, 3).mean((2, 4)).reshape(len(pictures), -1)
        grid[split] = np.c_[np.ones(len(means)), means]
        scenes = [synthetic.scene(split, index) for index in range(COUNTS[split])]
        targets[split] = {
            "layout": [s.layout for s in scenes],
            "ground": [s.ground for s in scenes],
            "first colour": [s.first.colour for s in scenes],
            "second colour": [s.second.colour for s in scenes],
            "first shape": [s.first.shape for s in scenes],
            "second shape": [s.second.shape for s in scenes],
        }
    inverse = np.linalg.solve(grid["train"].T @ grid["train"] + 1.0 * np.eye(433), grid["train"].T)
    right = {}
    for what, truth in targets["train"].items():
        kinds, label = np.unique(truth, return_inverse=True)
        guess = (grid["test"] @ (inverse @ np.eye(len(kinds))[label])).argmax(1)
        right[what] = (kinds[guess] == np.array(targets["test"][what])).mean()
    assert min(right[what] for what in ("layout", "ground", "first colour", "second colour")) > 0.95, right
    assert min(right["first shape"], right["second shape"]) > 0.75, right


def test_what_does_not_exist() -> None:
    with pytest.raises(ValueError, match="split='val'"):
        synthetic.scene("val", 0)
    heart = Scene("row", Thing("red", "heart"), Thing("blue", "circle"), "grey")
    with pytest.raises(ValueError, match="shape='heart'"):
        synthetic.picture(heart, 48)


def test_it_is_made_once_and_leaves_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = synthetic.ensure(tmp_path, train=1, dev=1, test=1)
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    monkeypatch.setattr(synthetic, "generate", None)
    assert synthetic.ensure(tmp_path, train=1, dev=1, test=1) == first
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    assert list(tmp_path.iterdir()) == [first]


def test_sets_of_other_sizes_have_other_places(tmp_path: Path) -> None:
    sizes = [(2, 1, 1, 48), (1, 2, 1, 48), (1, 1, 2, 48), (1, 1, 1, 48), (1, 1, 1, 36)]
    roots = [synthetic.ensure(tmp_path, *size) for size in sizes]
    assert len(set(roots)) == len(sizes)
    for root, (*counts, size) in zip(roots, sizes, strict=True):
        assert [len(listed(root, split)) for split in COUNTS] == counts
        with Image.open(root / "Flicker8k_Dataset" / "train_0000.jpg") as picture:
            assert picture.size == (size, size)


def test_the_default_cache_is_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "new"))
    assert synthetic.ensure(train=1, dev=1, test=1).parent == tmp_path / "new"
