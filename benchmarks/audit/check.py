"""The signature of a check, and comparisons of numbers up to rounding."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from benchmarks.records.schema import Record

Outcome: TypeAlias = tuple[list[str], str]
"""The problems, one sentence each, and a description of the checked part."""

Check: TypeAlias = Callable[[Record], Outcome]

_TOLERANCE = 1e-5  # in percentage points; one test example in ten million


class NotApplicableError(Exception):
    """The check does not apply to the record. The message gives the reason."""


def close(a: float, b: float) -> bool:
    """Return whether two scores in percent are equal up to rounding."""
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=_TOLERANCE)


def same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Return whether two tuples are equal. Floats may differ in their last digits, which depend on the processor."""
    pairs = zip(a, b, strict=True)
    return all(math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12) if isinstance(x, float) else x == y for x, y in pairs)
