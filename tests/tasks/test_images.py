"""Decoding of all kinds of picture files, also damaged ones."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.data import images

RGB = np.array([[[200, 30, 60], [20, 180, 90]], [[250, 240, 5], [0, 0, 0]]], np.uint8).repeat(8, 0).repeat(16, 1)


def write(path: Path, picture: Image.Image, kind: str, **options: Any) -> Path:
    picture.save(path, kind, **options)
    return path


def blocks(picture: np.ndarray) -> np.ndarray:
    """Return the four colours at the centres of the blocks of `RGB`, away from the edges, which JPEG blurs."""
    assert picture.dtype == np.uint8
    assert picture.shape == RGB.shape
    return picture[4::8, 8::16].astype(int)


def test_rgb_png_is_exact_and_jpeg_close(tmp_path: Path) -> None:
    exact = images.decode(write(tmp_path / "a.png", Image.fromarray(RGB), "PNG"))
    assert np.array_equal(exact, RGB)
    close = images.decode(write(tmp_path / "a.JPEG", Image.fromarray(RGB), "JPEG", quality=95, subsampling=0))
    assert abs(blocks(close) - blocks(RGB)).max() <= 4


def test_png_called_jpeg(tmp_path: Path) -> None:
    assert np.array_equal(images.decode(write(tmp_path / "n02105855_2933.JPEG", Image.fromarray(RGB), "PNG")), RGB)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey(tmp_path: Path, kind: str) -> None:
    grey = np.full((5, 7), 77, np.uint8)
    assert np.array_equal(images.decode(write(tmp_path / "x", Image.fromarray(grey), kind)), np.full((5, 7, 3), 77))


def test_one_bit(tmp_path: Path) -> None:
    picture = images.decode(write(tmp_path / "x.png", Image.fromarray(np.eye(9) > 0), "PNG"))
    assert np.array_equal(picture, np.repeat(255 * np.eye(9, dtype=np.uint8)[..., None], 3, axis=2))


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    palette = Image.fromarray(RGB).quantize(16)
    assert np.array_equal(images.decode(write(tmp_path / "a.png", palette, "PNG")), RGB)
    black = palette.getpixel((31, 15))
    expected = RGB.copy()
    expected[8:, 16:] = 255
    assert np.array_equal(images.decode(write(tmp_path / "b.png", palette, "PNG", transparency=black)), expected)
    opacity = bytes(0 if index == black else 255 for index in range(16))  # one byte per entry: Pillow's other form
    assert np.array_equal(images.decode(write(tmp_path / "c.png", palette, "PNG", transparency=opacity)), expected)


def test_transparent_pictures_lie_on_white(tmp_path: Path) -> None:
    alpha = np.zeros(RGB.shape[:2], np.uint8)
    alpha[:8], alpha[8:] = 255, 51
    picture = images.decode(write(tmp_path / "a.png", Image.fromarray(np.dstack([RGB, alpha])), "PNG"))
    assert np.array_equal(picture[:8], RGB[:8])
    assert abs(picture[8:] - (RGB[8:] * 0.2 + 255 * 0.8)).max() <= 1
    grey = Image.merge("LA", [Image.new("L", (4, 4), 100), Image.new("L", (4, 4), 0)])
    assert np.all(images.decode(write(tmp_path / "b.png", grey, "PNG")) == 255)
    keyed = images.decode(write(tmp_path / "c.png", Image.fromarray(RGB), "PNG", transparency=(0, 0, 0)))
    assert np.all(keyed[8:, 16:] == 255)
    assert np.array_equal(keyed[:8], RGB[:8])


def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    deep = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    picture = images.decode(write(tmp_path / "x.png", Image.fromarray(deep), "PNG"))
    assert picture[0].tolist() == [[v] * 3 for v in (0, 0, 1, 128, 255)]


def test_cmyk_jpeg_as_adobe_writes_it(tmp_path: Path) -> None:
    cmyk = Image.fromarray(RGB).convert("CMYK")
    picture = images.decode(write(tmp_path / "x.JPEG", cmyk, "JPEG", quality=95, subsampling=0))
    assert abs(blocks(picture) - blocks(RGB)).max() <= 4


def test_ycck_jpeg(tmp_path: Path) -> None:
    """A CMYK file whose planes are the YCC of the inks, as its Adobe segment states. Photoshop writes such files."""
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
    assert abs(blocks(images.decode(tmp_path / "x.JPEG")) - blocks(RGB)).max() <= 6


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
    # Chroma is subsampled; a wrong orientation differs far more.
    assert abs(blocks(images.decode(path)) - blocks(RGB)).max() <= 40


@pytest.mark.filterwarnings("ignore")  # Pillow warns about it
def test_damaged_exif_leaves_the_pixels(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.jpg", Image.fromarray(RGB), "JPEG", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12"
    )
    assert abs(blocks(images.decode(path)) - blocks(RGB)).max() <= 40


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
            images.decode(tmp_path / "x.JPEG")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_file_never_reads_as_another_picture(kind: str) -> None:
    data = encoded(kind)
    whole = images.pixels(data)
    refused = 0
    for length in [*range(0, len(data), 41), *range(len(data) - 30, len(data))]:
        try:
            picture = images.pixels(data[:length])
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
        assert images.pixels(bytes(data)).dtype == np.uint8


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "big.png", Image.fromarray(RGB), "PNG")
    for limit in (RGB.shape[0] * RGB.shape[1] - 1, 10):  # Pillow warns of the first and refuses the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(ValueError, match=r"big\.png is not a readable image .*pixels"):
            images.decode(path)


def test_other_formats_and_missing_files(tmp_path: Path) -> None:
    gif = write(tmp_path / "x.JPEG", Image.fromarray(RGB), "GIF")
    with pytest.raises(ValueError, match="neither JPEG nor PNG: it begins with b'GIF8"):
        images.decode(gif)
    with pytest.raises(FileNotFoundError):
        images.decode(tmp_path / "none.JPEG")


def noise(mode: str, width: int = 61, height: int = 43) -> Image.Image:
    values = np.random.Generator(np.random.PCG64(2)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_torchvision_decodes_to_the_pixels_of_pillow(tmp_path: Path, mode: str, options: dict[str, Any]) -> None:
    for width in (61, 64):
        path = write(tmp_path / "x.JPEG", noise(mode, width), "JPEG", quality=90, **options)
        found = images._plain_jpeg(path.read_bytes())
        assert found is not None
        assert np.array_equal(found, images.decode(path))
        assert np.array_equal(found, images.decode(path, quick=True))


def test_what_is_no_plain_jpeg_is_left_to_pillow(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    paths = [
        write(tmp_path / "a.JPEG", noise("RGB"), "PNG"),
        write(tmp_path / "b.JPEG", noise("CMYK"), "JPEG"),
        write(tmp_path / "c.JPEG", noise("RGB"), "JPEG", exif=turned),
    ]
    for path in paths:
        assert images._plain_jpeg(path.read_bytes()) is None
        assert np.array_equal(images.decode(path, quick=True), images.decode(path))
    assert images.decode(paths[2], quick=True).shape == (61, 43, 3)


@pytest.mark.filterwarnings("ignore")  # as an error, Pillow's warning about the size alone would stop decoding
def test_quick_decoding_refuses_what_pillow_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoded("JPEG")
    path = tmp_path / "x.JPEG"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=rf"x\.JPEG is not a readable image \(truncated at byte {len(whole) // 2:,}\)"):
        images.decode(path, quick=True)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="the file is empty"):
        images.decode(path, quick=True)
    path.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40 * 40 - 1)
    with pytest.raises(ValueError, match=r"x\.JPEG is not a readable image .*pixels"):
        images.decode(path, quick=True)
