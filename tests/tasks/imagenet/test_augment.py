"""Every kind of file that calls itself a picture, and the random views of one."""

import contextlib
import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.imagenet import augment as views
from tasks.imagenet.settings import Augmentation

PLAIN = Augmentation(crop=16, test_resize=20, test_crop=16)
RGB = np.array([[[200, 30, 60], [20, 180, 90]], [[250, 240, 5], [0, 0, 0]]], np.uint8).repeat(8, 0).repeat(16, 1)


def write(path: Path, picture: Image.Image, kind: str, **options: Any) -> Path:
    picture.save(path, kind, **options)
    return path


def blocks(picture: np.ndarray) -> np.ndarray:
    """The four colours in the middle of the blocks of `RGB`, away from the edges that JPEG smears."""
    assert picture.dtype == np.uint8
    assert picture.shape == RGB.shape
    return picture[4::8, 8::16].astype(int)


def test_rgb_png_is_exact_and_jpeg_close(tmp_path: Path) -> None:
    exact = views.decode(write(tmp_path / "a.png", Image.fromarray(RGB), "PNG"))
    assert np.array_equal(exact, RGB)
    close = views.decode(write(tmp_path / "a.JPEG", Image.fromarray(RGB), "JPEG", quality=95, subsampling=0))
    assert abs(blocks(close) - blocks(RGB)).max() <= 4


def test_png_called_jpeg(tmp_path: Path) -> None:
    assert np.array_equal(views.decode(write(tmp_path / "n02105855_2933.JPEG", Image.fromarray(RGB), "PNG")), RGB)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey(tmp_path: Path, kind: str) -> None:
    grey = np.full((5, 7), 77, np.uint8)
    assert np.array_equal(views.decode(write(tmp_path / "x", Image.fromarray(grey), kind)), np.full((5, 7, 3), 77))


def test_one_bit(tmp_path: Path) -> None:
    picture = views.decode(write(tmp_path / "x.png", Image.fromarray(np.eye(9) > 0), "PNG"))
    assert np.array_equal(picture, np.repeat(255 * np.eye(9, dtype=np.uint8)[..., None], 3, axis=2))


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    assert np.array_equal(views.decode(write(tmp_path / "a.png", palette, "PNG")), RGB)
    black = palette.getpixel((31, 15))
    expected = RGB.copy()
    expected[8:, 16:] = 255
    assert np.array_equal(views.decode(write(tmp_path / "b.png", palette, "PNG", transparency=black)), expected)
    opacity = bytes(0 if index == black else 255 for index in range(16))  # one byte an entry: Pillow's other form
    assert np.array_equal(views.decode(write(tmp_path / "c.png", palette, "PNG", transparency=opacity)), expected)


def test_transparent_pictures_lie_on_white(tmp_path: Path) -> None:
    alpha = np.zeros(RGB.shape[:2], np.uint8)
    alpha[:8], alpha[8:] = 255, 51
    picture = views.decode(write(tmp_path / "a.png", Image.fromarray(np.dstack([RGB, alpha])), "PNG"))
    assert np.array_equal(picture[:8], RGB[:8])
    assert abs(picture[8:] - (RGB[8:] * 0.2 + 255 * 0.8)).max() <= 1
    grey = Image.merge("LA", [Image.new("L", (4, 4), 100), Image.new("L", (4, 4), 0)])
    assert np.all(views.decode(write(tmp_path / "b.png", grey, "PNG")) == 255)
    keyed = views.decode(write(tmp_path / "c.png", Image.fromarray(RGB), "PNG", transparency=(0, 0, 0)))
    assert np.all(keyed[8:, 16:] == 255)
    assert np.array_equal(keyed[:8], RGB[:8])


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    picture = views.decode(write(tmp_path / "x.png", Image.fromarray(deep), "PNG"))
    assert picture[0].tolist() == [[v] * 3 for v in (0, 0, 1, 128, 255)]


def test_cmyk_jpeg_as_adobe_writes_it(tmp_path: Path) -> None:
    cmyk = Image.fromarray(RGB).convert("CMYK")
    picture = views.decode(write(tmp_path / "x.JPEG", cmyk, "JPEG", quality=95, subsampling=0))
    assert abs(blocks(picture) - blocks(RGB)).max() <= 4


def test_ycck_jpeg(tmp_path: Path) -> None:
    """A CMYK file whose planes hold YCC of the inks, marked so in Adobe's segment: what Photoshop writes."""
    cyan, magenta, yellow, black = Image.fromarray(RGB).convert("CMYK").split()
    ycc = [
        Image.eval(p, lambda v: 255 - v) for p in Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr").split()
    ]
    buffer = io.BytesIO()
    Image.merge("CMYK", (*ycc, black)).save(buffer, "JPEG", quality=95, subsampling=0)
    data = bytearray(buffer.getvalue())
    transform = data.index(b"Adobe") + 11
    assert data[transform] == 0
    data[transform] = 2
    (tmp_path / "x.JPEG").write_bytes(data)
    assert abs(blocks(views.decode(tmp_path / "x.JPEG")) - blocks(RGB)).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    stored = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, 1),
        7: np.rot90(RGB, 2).transpose(1, 0, 2),
        8: np.rot90(RGB, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write(tmp_path / "x.jpg", Image.fromarray(np.ascontiguousarray(stored)), "JPEG", quality=95, exif=exif)
    assert abs(blocks(views.decode(path)) - blocks(RGB)).max() <= 40  # chroma is subsampled: turned right, or far off


@pytest.mark.filterwarnings("ignore")  # Pillow warns of it, as it should
def test_damaged_exif_leaves_the_pixels(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.jpg", Image.fromarray(RGB), "JPEG", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12"
    )
    assert abs(blocks(views.decode(path)) - blocks(RGB)).max() <= 40


def encoded(kind: str) -> bytes:
    noise = np.random.Generator(np.random.PCG64(1)).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_is_named_with_the_byte(tmp_path: Path, kind: str) -> None:
    data = encoded(kind)
    for length in (len(data) // 2, len(data) - 60):
        (tmp_path / "x.JPEG").write_bytes(data[:length])
        with pytest.raises(ValueError, match=rf"x\.JPEG is not a readable image \(truncated at byte {length:,}\)"):
            views.decode(tmp_path / "x.JPEG")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_never_reads_as_another_picture(kind: str) -> None:
    data = encoded(kind)
    whole = views.pixels(data)
    refused = 0
    for length in [*range(0, len(data), 41), *range(len(data) - 30, len(data))]:
        try:
            picture = views.pixels(data[:length])
        except ValueError:
            refused += 1
        else:  # only what follows the last pixel is missing
            assert np.array_equal(picture, whole)
            assert length >= len(data) - 30
    assert refused > 20


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damage_gives_a_picture_or_a_value_error(draw: st.DataObject) -> None:
    data = bytearray(encoded("PNG"))
    for _ in range(3):
        data[draw.draw(st.integers(0, 200))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        assert views.pixels(bytes(data)).dtype == np.uint8


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "big.png", Image.fromarray(RGB), "PNG")
    for limit in (RGB.shape[0] * RGB.shape[1] - 1, 10):  # Pillow warns of the first and refuses the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match=r"big\.png is not a readable image .*pixels"):
            views.decode(path)


def test_other_formats_and_missing_files(tmp_path: Path) -> None:
    gif = write(tmp_path / "x.JPEG", Image.fromarray(RGB), "GIF")
    with pytest.raises(ValueError, match="neither JPEG nor PNG: it begins with b'GIF8"):
        views.decode(gif)
    with pytest.raises(FileNotFoundError):
        views.decode(tmp_path / "none.JPEG")


def test_random_numbers_are_pinned() -> None:
    """The same on every machine and version: records of different machines are compared."""
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
    left, top, right, bottom = views._box(width, height, chosen, views.uniforms(views._UNIFORMS, index))
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
    assert views._box(100, 10, whole, views.uniforms(views._UNIFORMS, 3)) == (45, 0, 55, 10)


def test_crops_spread_over_area_place_and_flip() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None], (64, 64, 3)).copy()
    boxes = np.array(
        [views._box(64, 64, PLAIN, views.uniforms(views._UNIFORMS, "augment", 0, 0, i)) for i in range(2000)]
    )
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 64**2
    # Large crops of an extreme ratio do not fit and are drawn again, so the mean lies below the middle of [0.08, 1].
    assert 0.45 < areas.mean() < 0.54
    assert areas.min() < 0.1
    assert areas.max() > 0.95
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert abs(centres.mean(0) - 32).max() < 1
    seen = [views.augment(ramp, PLAIN, 0, 0, i)[0] for i in range(400)]
    flipped = sum(view[0, 0, 0] > view[0, -1, 0] for view in seen)
    assert 160 < flipped < 240
    unflipped = dataclasses.replace(PLAIN, flip=False)
    assert all(v[0, 0, 0] <= v[0, -1, 0] for v in (views.augment(ramp, unflipped, 0, 0, i)[0] for i in range(50)))


def test_a_view_depends_on_seed_epoch_and_index_alone() -> None:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    chosen = dataclasses.replace(PLAIN, jitter=0.4, lighting=0.1)
    first, colour = views.augment(noise, chosen, 1, 2, 3)
    again, colour_again = views.augment(noise, chosen, 1, 2, 3)
    assert first.shape == (16, 16, 3)
    assert np.array_equal(first, again)
    assert all(torch.equal(a, b) for a, b in zip(colour, colour_again, strict=True))
    for key in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not np.array_equal(first, views.augment(noise, chosen, *key)[0])
    # Turning jitter on does not move the crop.
    assert np.array_equal(first, views.augment(noise, PLAIN, 1, 2, 3)[0])


def test_central_view_resizes_the_short_side_then_cuts_the_centre() -> None:
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (40, 70, 3), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(noise).resize((35, 20), Image.Resampling.BILINEAR))
    assert np.array_equal(views.central_view(noise, PLAIN), resized[2:18, 9:25])
    tall = noise[:, :20].copy()  # already 20 wide: not resampled
    assert np.array_equal(views.central_view(tall, PLAIN), tall[12:28, 2:18])


def batch_of_noise(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_finish_normalises_and_leaves_its_input_alone() -> None:
    batch = batch_of_noise(4)
    kept = batch.clone()
    x = views.finish(batch, None, PLAIN)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (PLAIN.mean, PLAIN.std))
    torch.testing.assert_close(x, (batch / 255 - mean) / std)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch, kept)


def test_finish_colours_each_picture_as_fb_resnet_torch_does_one() -> None:
    """Against a plain loop over pictures and changes."""
    chosen = dataclasses.replace(PLAIN, jitter=0.4, lighting=0.1, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    batch = batch_of_noise(12)
    colours = [views._colour(chosen, views.uniforms(views._UNIFORMS, "colour", i)) for i in range(12)]
    colour = views.Colour(*(torch.stack(parts) for parts in zip(*colours, strict=True)))
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
    colours = [views._colour(chosen, views.uniforms(views._UNIFORMS, i)) for i in range(3000)]
    factors, order, lighting = (torch.stack(parts).double() for parts in zip(*colours, strict=True))
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
