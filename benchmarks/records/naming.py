"""The name of a trial: readable, and unique to the facts that decide its outcome."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from benchmarks.rows import BFLOAT16


def key(
    row: str,
    scale: str,
    seed: int,
    fingerprint: str,
    recipe_hash: str,
    arms: Iterable[str],
    dense: str | None,
    custom: Iterable[str],
    processes: int,
    precision: str,
) -> str:
    """Return the name of a trial with these facts. `dense` is the SHA-256 of a given dense start."""
    several = [f"{processes} processes"] if processes > 1 else []
    autocast = (
        [precision] if precision == BFLOAT16 else []
    )  # float32 trials may resume on other hardware, with or without TF32
    parts = (fingerprint, recipe_hash, ",".join(sorted(arms)), dense, *custom, *several, *autocast)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
    return f"{row}-{scale}-seed{seed}-{digest}"
