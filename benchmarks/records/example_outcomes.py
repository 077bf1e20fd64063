"""Outcomes of test examples as text: packed bits, floats or compressed counts."""

from __future__ import annotations

import base64
import bz2
import re

import numpy as np
from numpy.typing import NDArray


def pack_outcomes(outcomes: NDArray[np.float64]) -> str:
    """Return outcomes as text: type, shape and base64 data, separated by colons.

    A vector (n,) becomes packed bits if all values are 0 or 1, otherwise little-endian float32. A matrix (n, 2k) of counts becomes
    little-endian integers of the smallest sufficient type, column by column, compressed with bzip2.

    Raises:
        ValueError: a matrix is empty, or contains a number that is not a 32-bit integer.
    """
    if outcomes.ndim == 2:
        return _pack_counts(outcomes)
    if np.isin(outcomes, (0.0, 1.0)).all():
        return f"bits:{outcomes.size}:" + base64.b64encode(np.packbits(outcomes.astype(bool)).tobytes()).decode()
    return f"float32:{outcomes.size}:" + base64.b64encode(outcomes.astype("<f4").tobytes()).decode()


def unpack_outcomes(text: str) -> NDArray[np.float64]:
    """Return the outcomes of the test examples in data-set order: one number each, or one row of counts each.

    Raises:
        ValueError: the text is not output of `pack_outcomes`.
    """
    form = _PACKED.fullmatch(text)
    if form is None or (form["columns"] is not None) != (form["kind"] in _COUNTS):
        raise ValueError(f"outcomes {text[:40]!r}: expected type, shape and base64 data, separated by colons")
    kind, rows, columns = form["kind"], int(form["rows"]), int(form["columns"] or 1)
    size = rows * columns
    if kind in _COUNTS and not size:
        raise ValueError(f"outcomes {text[:40]!r}: counts need at least one row and one column")
    expected = (size + 7) // 8 if kind == "bits" else size * np.dtype(_TYPES[kind]).itemsize
    try:
        raw = base64.b64decode(form["body"])
        if kind in _COUNTS:  # limit the length, because a few bytes could decompress to gigabytes
            raw = bz2.BZ2Decompressor().decompress(raw, max_length=expected + 1)
    except (ValueError, OSError) as error:
        raise ValueError(f"outcomes {text[:40]!r}: {error}") from error
    if len(raw) != expected:
        raise ValueError(f"outcomes {text[:40]!r}: {len(raw):,} bytes or more, expected {expected:,}")
    if kind == "bits":
        return np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=size).astype(np.float64)
    values = np.frombuffer(raw, dtype=_TYPES[kind]).astype(np.float64)
    return values if kind == "float32" else np.ascontiguousarray(values.reshape(columns, rows).T)


_COUNTS = {"uint8": "<u1", "uint16": "<u2", "int16": "<i2", "int32": "<i4"}
_TYPES = {"float32": "<f4", **_COUNTS}
_PACKED = re.compile(
    r"(?P<kind>bits|float32|uint8|uint16|int16|int32):(?P<rows>\d{1,9})(?:x(?P<columns>\d{1,4}))?:(?P<body>[A-Za-z0-9+/]*={0,2})",
    re.ASCII,
)


def _pack_counts(counts: NDArray[np.float64]) -> str:
    if not counts.size:
        raise ValueError(f"outcomes that are counts need at least one row and one column, got shape {counts.shape}")
    low, high = counts.min(), counts.max()
    kind = next((name for name, of in _COUNTS.items() if np.iinfo(of).min <= low and high <= np.iinfo(of).max), None)
    if kind is None:
        raise ValueError(f"outcomes that are counts must be 32-bit integers, got {low:g} to {high:g}")
    whole = counts.astype(_COUNTS[kind])
    if (counts != whole).any():
        raise ValueError(f"outcomes that are counts must be whole numbers, got {counts[counts != whole][0]:g}")
    columns = whole.T.tobytes()  # similar numbers in a column compress better together
    return f"{kind}:{counts.shape[0]}x{counts.shape[1]}:{base64.b64encode(bz2.compress(columns)).decode()}"
