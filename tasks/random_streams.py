"""Seeds of random streams, derived from the purpose of each stream (standard library only)."""

from __future__ import annotations

import hashlib


def derive(*purpose: str | int) -> int:
    """Return a 63-bit seed for a purpose such as ("imagenet_resnet18", "small", 0, "order", epoch).

    Different purposes give unrelated seeds; the same purpose gives the same seed on every machine.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in purpose)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
