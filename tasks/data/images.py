"""A picture file as RGB, whatever the file calls itself."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

LIMIT = 1 << 26
"""Pixels that a picture is resized to at most; ImageNet's largest become fewer."""


def decode(path: Path, quick: bool = False) -> NDArray[np.uint8]:
    """Read a picture as (height, width, 3) RGB, whatever the file calls itself.

    Grey, palette and CMYK pictures become RGB, 16-bit ones are scaled to 8 bits, transparent ones are laid on white and
    those with an EXIF orientation are turned upright.

    Args:
        path: of the file.
        quick: let torchvision decode what is a JPEG in RGB or grey, with no EXIF or XMP. The pixels are the same where Pillow
            and torchvision are built on libjpeg-turbo, as their wheels are; it writes three bytes a pixel where Pillow
            writes four, to be copied once more.

    Raises:
        ValueError: the file is empty, truncated, too large or no JPEG or PNG; the message names it.
        OSError: it cannot be opened.
    """
    data = path.read_bytes()
    if quick and (found := _plain_jpeg(data)) is not None:
        return found
    try:
        return pixels(data)
    except ValueError as error:
        raise ValueError(f"{path} is not a readable image ({error})") from error


def pixels(data: bytes) -> NDArray[np.uint8]:
    """Decode the bytes of a JPEG or PNG file as `decode` does.

    Raises:
        ValueError: says in a few words what is wrong, without a file name.
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
    except Exception as error:  # a parser that is fed damaged bytes may raise anything
        raise ValueError(_reason(data, error)) from error
    if limit is not None and size > limit:
        raise ValueError(f"{picture.width:,} x {picture.height:,} pixels, above the limit of {limit:,}")
    with contextlib.suppress(Exception):  # damaged EXIF (ImageNet has some): leave the pixels as they are stored
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):  # 16 bits of grey; Pillow's own conversion clips at 255
        grey = np.asarray(picture).astype(np.uint32)
        return np.repeat(((grey * 255 + 32767) // 65535).astype(np.uint8)[:, :, None], 3, axis=2)
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.array(picture.convert("RGB"))


def middle(picture: NDArray[np.uint8], short: int) -> NDArray[np.uint8]:
    """Return (height, width, 3) pixels, or their middle where as a whole they would become too many.

    A strip of 20,000 x 1 pixels whose short side is made 256 has 1.3 thousand million: of it no more is kept than what makes
    LIMIT. Whoever cuts out the centre afterwards does not miss the rest.
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
    """Return the pixels, or None where there is anything that Pillow should see to."""
    import torch  # here, not above: nobody else who reads pictures need wait for these two
    from torchvision.io import ImageReadMode, decode_jpeg

    with contextlib.suppress(Exception):  # Pillow says better what is wrong
        header = Image.open(io.BytesIO(data), formats=("JPEG",))
        limit = Image.MAX_IMAGE_PIXELS
        small = limit is None or header.width * header.height <= limit
        if small and header.mode in ("RGB", "L") and not {"exif", "xmp"} & header.info.keys():
            stored = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            found: NDArray[np.uint8] = decode_jpeg(stored, ImageReadMode.RGB).permute(1, 2, 0).numpy()
            return found
    return None


def _reason(data: bytes, error: Exception) -> str:
    if data.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            return f"truncated at byte {len(data):,}"
        if isinstance(error, UnidentifiedImageError):
            return f"its header is damaged or cut off; the file has {len(data):,} bytes"
        return f"{type(error).__name__}: {error}"
    return f"neither JPEG nor PNG: it begins with {data[:16]!r}"
