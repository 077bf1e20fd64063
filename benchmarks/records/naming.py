"""The name of a trial. It is readable, and unique to the settings that decide the outcome."""

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
    """Return the name of a trial with these settings. `dense` is the SHA-256 of a given dense start."""
    several = [f"{processes} processes"] if processes > 1 else []
    # Float32 is not part of the name, because such a trial may resume on other hardware, with or without TF32.
    autocast = [precision] if precision == BFLOAT16 else []
    parts = (fingerprint, recipe_hash, ",".join(sorted(arms)), dense, *custom, *several, *autocast)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
    return f"{row}-{scale}-seed{seed}-{digest}"


def weights_file(trial: str, arm: str, phase: str = "") -> str:
    """Return the name of the file with an arm's final weights, or its weights at the end of a phase (such as "sparse1")."""
    return f"{trial}-{arm}{phase and '-'}{phase}.safetensors"
