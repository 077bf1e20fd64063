"""Decodes JPEG and PNG files to RGB. The suffix of a file has no effect."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

LIMIT = 1 << 26
"""Maximum number of pixels of a resized picture; ImageNet's largest pictures have fewer."""


def decode(path: Path, quick: bool = False) -> NDArray[np.uint8]:
    """Read a picture as (height, width, 3) RGB.

    Grey, palette and CMYK pictures become RGB. 16 bits are scaled to 8. Transparent pictures get a white background. An EXIF
    orientation is applied.

    Args:
        path: the file.
        quick: whether torchvision, not Pillow, decodes JPEGs that are RGB or grey and have neither EXIF nor XMP data. torchvision
            is faster: it writes three bytes per pixel, while Pillow writes four and makes one more copy. The pixels are equal if
            both use libjpeg-turbo, as their wheels do.

    Raises:
        ValueError: the file is empty, truncated, too large or neither JPEG nor PNG; the message names it.
        OSError: the file cannot be opened.
    """
    data = path.read_bytes()
    if quick and (decoded := _plain_jpeg(data)) is not None:
        return decoded
    try:
        return pixels(data)
    except ValueError as error:
        raise ValueError(f"{path} is not a readable image ({error})") from error


def pixels(data: bytes) -> NDArray[np.uint8]:
    """Decode the bytes of a JPEG or PNG file as `decode` does.

    Raises:
        ValueError: the message gives the reason, without a file name.
    """
    if not data:
        raise ValueError("the file is empty")
    try:
        picture: Image.Image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        limit, size = Image.MAX_IMAGE_PIXELS, picture.width * picture.height
        if limit is None or size <= limit:  # nothing larger is decoded
            picture.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"more pixels than a picture should have; {error}") from error
    except Exception as error:  # parsers may raise any error on damaged bytes
        raise ValueError(_reason(data, error)) from error
    if limit is not None and size > limit:
        raise ValueError(f"{picture.width:,} x {picture.height:,} pixels, above the limit of {limit:,}")
    with contextlib.suppress(Exception):  # damaged EXIF, as in some files of ImageNet: leave the pixels as stored
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits of grey; Pillow's own conversion clips at 255
        grey = np.asarray(picture).astype(np.uint32)
        return np.repeat(((grey * 255 + 32767) // 65535).astype(np.uint8)[:, :, None], 3, axis=2)
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.array(picture.convert("RGB"))


def middle(picture: NDArray[np.uint8], short: int) -> NDArray[np.uint8]:
    """Return (height, width, 3) pixels: `picture`, or its middle part if resizing all of it would give more than LIMIT pixels.

    For example, if the short side of a strip of 20,000 x 1 pixels becomes 256, the strip has 1.3 billion pixels. The later centre
    crop does not need the parts that are left out.
    """
    height, width = picture.shape[:2]
    factor = short / min(height, width)
    excess = height * width * factor * factor / LIMIT
    if excess <= 1:
        return picture
    axis = int(width > height)
    length = picture.shape[axis]
    kept = max(min(height, width), int(length / excess))
    start = (length - kept) // 2
    return picture[:, start : start + kept] if axis else picture[start : start + kept]


def _plain_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """Return the pixels, or None if Pillow must decode the picture."""
    import torch  # imported here, because other readers of pictures do not need torch and torchvision
    from torchvision.io import ImageReadMode, decode_jpeg

    with contextlib.suppress(Exception):  # then Pillow decodes the picture: it has better error messages
        header = Image.open(io.BytesIO(data), formats=("JPEG",))
        limit = Image.MAX_IMAGE_PIXELS
        small = limit is None or header.width * header.height <= limit
        if small and header.mode in ("RGB", "L") and not {"exif", "xmp"} & header.info.keys():
            stored = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            decoded: NDArray[np.uint8] = decode_jpeg(stored, ImageReadMode.RGB).permute(1, 2, 0).numpy()
            return decoded
    return None


def _reason(data: bytes, error: Exception) -> str:
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            return f"truncated at byte {len(data):,}"
        if isinstance(error, UnidentifiedImageError):
            return f"its header is damaged or cut off; the file has {len(data):,} bytes"
        return f"{type(error).__name__}: {error}"
    return f"neither JPEG nor PNG: it begins with {data[:16]!r}"
