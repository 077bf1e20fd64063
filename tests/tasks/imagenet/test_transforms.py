"""The random views of a picture."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from benchmarks.perf.photographs import photograph
from tasks.imagenet import transforms as views
from tasks.imagenet.recipes import RECIPES
from tasks.imagenet.settings import Augmentation

PLAIN = Augmentation(crop=16, test_resize=20, test_crop=16)


def augment(picture: NDArray[np.uint8], chosen: Augmentation, *key: int) -> tuple[NDArray[np.uint8], views.Colour]:
    """Return one picture's view and colour changes; `key` is seed, epoch and the picture's index."""
    seed, epoch, index = key
    made, colour = views.augment([picture], chosen, seed, [(epoch, index)])
    return made[0], colour


def boxes(width: int, height: int, chosen: Augmentation, *indices: int) -> NDArray[np.int64]:
    return views.choose([(width, height)] * len(indices), chosen, 0, [(0, index) for index in indices]).boxes


def test_random_numbers_are_pinned() -> None:
    """They are the same on every machine and with every version, because records of different machines are compared."""
    assert views.draws(2, "order", 0, 0).tolist() == [11413956313433536106, 3572279952050929059]
    assert np.array_equal(views.draws(5, "a", 1)[:3], views.draws(3, "a", 1))
    u = views.uniforms(20_000, "test")
    assert 0 <= u.min() < u.max() < 1
    assert abs(u.mean() - 0.5) < 4 / math.sqrt(12 * len(u))


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted),
    st.integers(0, 10**6),
)
@settings(max_examples=150, deadline=None)
def test_crops_lie_within_the_picture_and_the_ranges(width: int, height: int, area: list[float], index: int) -> None:
    chosen = dataclasses.replace(PLAIN, area=tuple(area))
    left, top, right, bottom = boxes(width, height, chosen, index)[0].tolist()
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    w, h = right - left, bottom - top
    fallback = w == h == min(width, height)
    if not fallback:
        assert (w - 0.5) * (h - 0.5) <= area[1] * width * height
        assert (w + 0.5) * (h + 0.5) >= area[0] * width * height
        assert (w - 0.5) / (h + 0.5) <= 4 / 3
        assert (w + 0.5) / (h - 0.5) >= 3 / 4


def test_a_picture_that_no_crop_fits_gives_its_central_square() -> None:
    whole = dataclasses.replace(PLAIN, area=(1.0, 1.0))
    assert boxes(100, 10, whole, 3).tolist() == [[45, 0, 55, 10]]


def test_choices_are_pinned_and_do_not_depend_on_the_batch() -> None:
    """A trial begun by one version and resumed by another sees the same crops."""
    chosen = dataclasses.replace(PLAIN, jitter=0.4, lighting=0.1)
    samples = [(epoch, index) for epoch in range(2) for index in range(30)]
    sizes = [(64 - index % 7, 48 + epoch) for epoch, index in samples]
    whole = views.choose(sizes, chosen, 3, samples)
    for k, (size, sample) in enumerate(zip(sizes, samples, strict=True)):
        alone = views.choose([size], chosen, 3, [sample])
        assert np.array_equal(alone.boxes[0], whole.boxes[k])
        assert alone.flips[0] == whole.flips[k]
        assert all(torch.equal(a[0], b[k]) for a, b in zip(alone.colour, whole.colour, strict=True))
    first = views.choose([(64, 48)] * 10, PLAIN, 0, [(0, index) for index in range(10)])
    assert first.boxes[:4].tolist() == [[1, 2, 35, 44], [24, 11, 45, 35], [3, 2, 46, 45], [5, 15, 40, 45]]
    assert first.flips.tolist() == [True, True, True, True, False, True, True, False, False, True]


def test_crops_spread_over_area_place_and_flip() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None], (64, 64, 3)).copy()
    found = boxes(64, 64, PLAIN, *range(2000))
    areas = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1]) / 64**2
    # Large crops of an extreme ratio do not fit and are drawn again, so the mean lies below the middle of [0.08, 1].
    assert 0.45 < areas.mean() < 0.54
    assert areas.min() < 0.1
    assert areas.max() > 0.95
    centres = (found[:, :2] + found[:, 2:]) / 2
    assert abs(centres.mean(0) - 32).max() < 1
    seen = [augment(ramp, PLAIN, 0, 0, i)[0] for i in range(400)]
    flipped = sum(view[0, 0, 0] > view[0, -1, 0] for view in seen)
    assert 160 < flipped < 240
    unflipped = dataclasses.replace(PLAIN, flip=False)
    assert all(v[0, 0, 0] <= v[0, -1, 0] for v in (augment(ramp, unflipped, 0, 0, i)[0] for i in range(50)))


def test_a_view_depends_on_seed_epoch_and_index_alone() -> None:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    chosen = dataclasses.replace(PLAIN, jitter=0.4, lighting=0.1)
    first, colour = augment(noise, chosen, 1, 2, 3)
    again, colour_again = augment(noise, chosen, 1, 2, 3)
    assert first.shape == (16, 16, 3)
    assert np.array_equal(first, again)
    assert all(torch.equal(a, b) for a, b in zip(colour, colour_again, strict=True))
    for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not np.array_equal(first, augment(noise, chosen, *key)[0])
    # Turning jitter on does not move the crop.
    assert np.array_equal(first, augment(noise, PLAIN, 1, 2, 3)[0])


def test_central_view_resizes_the_short_side_then_cuts_the_centre() -> None:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(noise).resize((35, 20), Image.Resampling.BILINEAR))
    assert np.array_equal(views.central_view(noise, PLAIN), resized[2:18, 9:25])
    tall = noise[:, :20].copy()  # already 20 wide: not resampled
    assert np.array_equal(views.central_view(tall, PLAIN), tall[12:28, 2:18])


@pytest.mark.parametrize("resize", ["pillow", "torch"])
def test_half_of_the_views_are_mirrored_exactly(resize: Any) -> None:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    either, never = (dataclasses.replace(PLAIN, resize=resize, flip=flip) for flip in (True, False))
    mirrored = 0
    for index in range(60):
        view, plain = (augment(noise, chosen, 0, 0, index)[0] for chosen in (either, never))
        mirrored += not np.array_equal(view, plain)
        assert np.array_equal(view, plain) or np.array_equal(view, plain[:, ::-1])
    assert 15 < mirrored < 45


def test_torch_resizes_the_same_crop_to_nearly_the_same_pixels() -> None:
    """Measured differences on photographs: 0.02 of 255 levels on average, 2 at most except near the edge of a crop.

    There Pillow also uses pixels outside the crop.
    """
    pillow = Augmentation(crop=224, test_resize=256, test_crop=224)
    quick = dataclasses.replace(pillow, resize="torch")
    apart = []
    for index in range(12):
        photo = photograph(index % 2)
        expected, view = (augment(photo, chosen, 0, 0, index)[0].astype(int) for chosen in (pillow, quick))
        assert view.shape == (224, 224, 3)
        apart.append(abs(view - expected))
        assert apart[-1][2:-2, 2:-2].max() <= 2
    assert 0 < np.mean(apart) < 0.05


def test_a_crop_that_needs_no_resizing_is_the_picture_itself() -> None:
    """With both resizing methods, no pixel changes."""
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for resize in ("pillow", "torch"):
        whole = dataclasses.replace(PLAIN, area=(1.0, 1.0), ratio=(1.0, 1.0), flip=False, resize=resize)
        assert np.array_equal(augment(noise, whole, 0, 0, 0)[0], noise)


def test_recipes_for_pictures_of_64_pixels_resize_by_pillow() -> None:
    """Recorded results used Pillow. Hashes of recipes, which other tests pin, omit this default."""
    for scales in RECIPES.values():
        assert {scales[scale].data.resize for scale in ("smoke", "small")} == {"pillow"}
        assert "resize" not in scales["small"].as_dict()["data"]
        torch_resized = dataclasses.replace(scales["small"].data, resize="torch")
        changed = dataclasses.replace(scales["small"], data=torch_resized)
        assert changed.as_dict()["data"]["resize"] == "torch"
        assert changed.hash() != scales["small"].hash()


def batch_of_noise(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_finish_normalises_and_leaves_its_input_alone() -> None:
    batch = batch_of_noise(4)
    kept = batch.clone()
    x = views.finish(batch, None, PLAIN)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (PLAIN.mean, PLAIN.std))
    assert torch.equal(x, (batch / 255 - mean) / std)  # bit for bit: the inputs of recorded trials depend on it
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch, kept)


def test_finish_colours_each_picture_as_fb_resnet_torch_does_one() -> None:
    """Compare with a plain loop over pictures and changes."""
    chosen = dataclasses.replace(PLAIN, jitter=0.4, lighting=0.1, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    batch = batch_of_noise(12)
    colour = views._colour(chosen, np.stack([views.uniforms(views._UNIFORMS, "colour", i) for i in range(12)]))
    assert len({tuple(order.tolist()) for order in colour.order}) > 3
    result = views.finish(batch, colour, chosen)
    for i in range(12):
        image = batch[i].double() / 255
        for kind in colour.order[i].tolist():
            grey = (0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]).expand(3, -1, -1)
            other = (torch.zeros(()), grey.mean(), grey)[kind]
            factor = float(colour.factors[i, kind])
            image = image * factor + other * (1 - factor)
        image += colour.lighting[i][:, None, None]
        torch.testing.assert_close(result[i].double(), image, atol=1e-5, rtol=0)


def test_colours_have_the_stated_distribution() -> None:
    chosen = dataclasses.replace(PLAIN, jitter=0.4, lighting=0.1)
    colours = views._colour(chosen, np.stack([views.uniforms(views._UNIFORMS, i) for i in range(3000)]))
    factors, order, lighting = (part.double() for part in colours)
    assert 0.6 <= factors.min() < 0.61
    assert 1.39 < factors.max() <= 1.4
    torch.testing.assert_close(order.sort(1).values, torch.arange(3.0, dtype=torch.float64).expand(3000, 3))
    assert torch.bincount((order[:, 0] * 3 + order[:, 1]).long(), minlength=9).gt(400).sum() == 6
    vectors = torch.tensor(views._COMPONENTS, dtype=torch.float64)
    deviation = 0.1 * torch.tensor(views._WEIGHTS, dtype=torch.float64)
    expected = vectors @ torch.diag(deviation**2) @ vectors.T
    torch.testing.assert_close(torch.cov(lighting.T), expected, rtol=0.1, atol=1e-7)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("crop", 0),
        ("test_crop", 21),
        ("area", (0.0, 1.0)),
        ("area", (0.5, 1.1)),
        ("ratio", (2.0, 1.0)),
        ("jitter", -0.1),
        ("lighting", -1.0),
        ("lighting", float("nan")),
        ("std", (1.0, 0.0, 1.0)),
    ],
)
def test_settings_that_no_picture_could_follow(setting: str, value: Any) -> None:
    with pytest.raises(ValueError, match=setting):
        dataclasses.replace(PLAIN, **{setting: value})
