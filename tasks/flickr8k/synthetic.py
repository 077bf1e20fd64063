"""The smoke set: generated pictures with five captions each in Flickr8k's layout, for a test of the row in a minute.

A picture shows two objects of different colours, side by side or one above the other, on a black or grey ground. There are four
shapes and five colours. Five captions describe the picture; each is true for this scene only. Scenes of dev and test pictures do
not occur in training, so a caption cannot be memorised. The set tests that a row runs, not DSD.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.data.cache import MARK, cache_dir, made_once
from tasks.random_streams import derive

VERSION = 1
"""Increase it with every change to the pictures or captions; it is part of the cache key."""

PICTURES = "Flicker8k_Dataset"
TEXT = "Flickr8k_text"
SPLITS = {"train": "Flickr_8k.trainImages.txt", "dev": "Flickr_8k.devImages.txt", "test": "Flickr_8k.testImages.txt"}
CAPTIONS = 5
"""Captions per picture."""

# NeuralTalk's first layer, a linear map, must recognise colours and shapes. So all colours are brighter than both grounds. On a
# brighter ground, a shape would be a negative image.
COLOURS = {
    "red": (1.0, 0.15, 0.15),
    "green": (0.1, 0.85, 0.1),
    "blue": (0.3, 0.3, 1.0),
    "yellow": (1.0, 0.9, 0.05),
    "white": (1.0, 1.0, 1.0),
}
GROUNDS = {"black": 0.05, "grey": 0.25}
SHAPES = {
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "triangle": ("triangle", "wedge"),
    "cross": ("cross", "plus"),
}
"""Usual and rarer name of each shape."""

_CENTRES = {"row": ((0.27, 0.5), (0.73, 0.5)), "column": ((0.5, 0.27), (0.5, 0.73))}
"""Position (x, y) of the first and the second object, in units of the picture's side."""
_RELATIONS = {
    "row": (("left of", "to the left of"), ("right of", "to the right of")),
    "column": (("above", "over"), ("below", "under")),
}
"""Relation of the first object to the second, and of the second to the first; a usual and a rarer wording of each."""
_BESIDE = {
    "row": (("on its left", "to its left"), ("on its right", "to its right")),
    "column": (("above it", "over it"), ("below it", "under it")),
}
"""The same relations, for sentences that name the other object first."""
_FRAMES = (
    "a {subject} is {relation} a {other}",
    "there is a {subject} {relation} a {other}",
    "a {subject} {relation} a {other} on a {ground} background",
    "on a {ground} surface a {subject} lies {relation} a {other}",
    "a {other} has a {subject} {beside}",
)
_RARE = 0.25  # probability of a rarer word; well below 1/2, so that greedy decoding has a clear best sentence

_RADIUS = 0.2  # half the side of an object; with the jitter below, no object crosses the middle of the picture
_JITTER = 0.02  # maximum shift of a centre in each direction
_NOISE = 0.06
_SAMPLING = 4  # points per pixel and axis: smooth edges
_HELD_OUT = 80  # scenes for dev, and as many for test
_Plane = NDArray[np.float64]


class Thing(NamedTuple):
    """An object: keys of COLOURS and SHAPES."""

    colour: str
    shape: str


class Scene(NamedTuple):
    """The content of a picture.

    Attributes:
        layout: "row" (`first` is left of `second`) or "column" (`first` is above `second`).
        first: an object.
        second: an object of another colour.
        ground: a key of GROUNDS, determined by the other fields, so that a caption that does not name it fits only one scene.
    """

    layout: str
    first: Thing
    second: Thing
    ground: str


def _scenes() -> dict[str, tuple[Scene, ...]]:
    """Return the scenes of each split: all 640 in random order, half of them on each ground, are divided among the splits."""
    things = [Thing(*pair) for pair in itertools.product(COLOURS, SHAPES)]
    arrangements = [
        (layout, first, second)
        for layout, first, second in itertools.product(_CENTRES, things, things)
        if first.colour != second.colour
    ]
    arrangements.sort(key=lambda a: derive("flickr8k tiny", VERSION, "scene", a[0], *a[1], *a[2]))
    grounds = itertools.cycle(GROUNDS)
    scenes = tuple(Scene(*arrangement, ground) for arrangement, ground in zip(arrangements, grounds, strict=False))
    return {
        "train": scenes[2 * _HELD_OUT :],
        "dev": scenes[:_HELD_OUT],
        "test": scenes[_HELD_OUT : 2 * _HELD_OUT],
    }


SCENES = _scenes()
"""Scenes by split. Picture i shows scene i modulo their number."""


def ensure(cache: Path | None = None, train: int = 900, dev: int = 100, test: int = 100, size: int = 48) -> Path:
    """Return the root of the generated set; generate it if the cache does not hold it (see `tasks.data.cache.made_once`).

    Args:
        cache: folder of the set; by default `cache_dir()`.
        train: pictures for training.
        dev: pictures for validation.
        test: pictures for testing.
        size: side in pixels.
    """
    return made_once(
        (cache or cache_dir()) / f"tiny-flickr8k-v{VERSION}-{train}-{dev}-{test}-{size}",
        lambda root: generate(root, train, dev, test, size),
    )


def generate(root: Path, train: int = 900, dev: int = 100, test: int = 100, size: int = 48) -> None:
    """Write Flicker8k_Dataset/*.jpg and Flickr8k_text/*.txt under `root`; the arguments are those of `ensure`."""
    (root / PICTURES).mkdir(parents=True)
    (root / TEXT).mkdir()
    (root / MARK).write_text(
        f"Generated pictures and captions, version {VERSION} (tasks/flickr8k/synthetic.py). "
        "Results on them say nothing of DSD.\n",
        encoding="utf-8",
    )
    lines = []
    for split, count in (("train", train), ("dev", dev), ("test", test)):
        names = [f"{split}_{index:04d}.jpg" for index in range(count)]
        for index, name in enumerate(names):
            # Full colour resolution: at half resolution, colours would mix at the edges of objects.
            pixels = picture(scene(split, index), size, split, index)
            Image.fromarray(pixels).save(root / PICTURES / name, quality=92, subsampling=0)
            described = captions(scene(split, index), split, index)
            lines += [f"{name}#{number}\t{caption}\n" for number, caption in enumerate(described)]
        _write(root / TEXT / SPLITS[split], "".join(f"{name}\n" for name in names))
    _write(root / TEXT / "Flickr8k.token.txt", "".join(lines))


def scene(split: str, index: int) -> Scene:
    """Return the scene of picture `index` of `split`.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SCENES:
        raise ValueError(f"split={split!r}: expected one of {tuple(SCENES)}")
    return SCENES[split][index % len(SCENES[split])]


def captions(scene: Scene, *purpose: str | int) -> list[str]:
    """Return five different true captions of `scene`. `purpose` (split and number) is the seed.

    Each has a different sentence structure. They locate the first and the second object in turn.
    """
    uniform = _generator("captions", *purpose).random((CAPTIONS + 1, 8))
    starts = int(uniform[CAPTIONS, CAPTIONS] < 0.5)
    sentences = []
    for number, frame in enumerate(np.argsort(uniform[CAPTIONS, :CAPTIONS], kind="stable")):
        second = (number + starts) % 2  # 1: the sentence locates the second object
        things = (scene.first, scene.second)
        rare = (uniform[number] < _RARE).astype(int)
        words = _FRAMES[frame].format(
            subject=_named(things[second], rare[0]),
            other=_named(things[1 - second], rare[1]),
            relation=_RELATIONS[scene.layout][second][rare[2]],
            beside=_BESIDE[scene.layout][second][rare[3]],
            ground=scene.ground,
        )
        sentences.append(f"{words[0].upper()}{words[1:]} .")
    return sentences


def picture(scene: Scene, size: int, *purpose: str | int) -> NDArray[np.uint8]:
    """Draw a (size, size, 3) picture. `purpose` (split and number) is the seed.

    It uses only sums, products and comparisons, so the pixels are equal on all processors.
    """
    random = _generator("picture", *purpose)
    uniform = random.random((3, 3))
    image = np.full((size, size, 3), GROUNDS[scene.ground]) + 0.06 * (uniform[2, 0] - 0.5)
    for thing, centre, u in zip((scene.first, scene.second), _CENTRES[scene.layout], uniform, strict=False):
        cover = _cover(thing.shape, size, centre, u)
        image = image * (1 - cover) + np.array(COLOURS[thing.colour]) * cover
    noise = random.random((2, size, size, 3)).sum(0) - 1  # triangular
    noisy: NDArray[np.uint8] = np.clip(np.rint(255 * (image + 2 * _NOISE * noise)), 0, 255).astype(np.uint8)
    return noisy


def _cover(shape: str, size: int, centre: tuple[float, float], u: _Plane) -> _Plane:
    """Return the part of each pixel that the shape covers, (size, size, 1). u (3,) determines position and size."""
    axis = (np.arange(size * _SAMPLING) + 0.5) / (size * _SAMPLING)
    radius = _RADIUS * (0.93 + 0.12 * u[2])
    across = (axis[None, :] - centre[0] - _JITTER * (2 * u[0] - 1)) / radius
    down = (axis[:, None] - centre[1] - _JITTER * (2 * u[1] - 1)) / radius
    within = np.maximum(abs(across), abs(down)) < 1
    if shape == "circle":
        inside = across * across + down * down < 1
    elif shape == "square":
        inside = np.maximum(abs(across), abs(down)) < 0.9
    elif shape == "triangle":  # upright, on the lower side of its bounding square
        inside = within & (2 * abs(across) < 1 + down)
    elif shape == "cross":
        inside = within & (np.minimum(abs(across), abs(down)) < 0.3)
    else:
        raise ValueError(f"shape={shape!r}: expected one of {tuple(SHAPES)}")
    return np.asarray(inside.reshape(size, _SAMPLING, size, _SAMPLING, 1).mean(axis=(1, 3)))


def _named(thing: Thing, rare: int) -> str:
    return f"{thing.colour} {SHAPES[thing.shape][rare]}"


def _generator(*purpose: str | int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(derive("flickr8k tiny", VERSION, *purpose)))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
