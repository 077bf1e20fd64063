"""Same machine, same versions, same seed: the same numbers, as far as torch can."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from typing import TextIO

import torch
import torch.utils.deterministic

_MISSING = re.compile(r"(\S+) does not have a deterministic implementation")


@contextlib.contextmanager
def demanded(device: torch.device) -> Iterator[set[str]]:
    """Context in which torch takes deterministic algorithms where it has them.

    On a CPU it has nothing else. On a GPU, operations without one are run all the same (the backward pass of CTC is one), and their
    names are added to the set that this yields as they are met.
    """
    met: set[str] = set()
    if device.type != "cuda":
        yield met
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # torch's condition for deterministic matrix products
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False  # it chooses by speed, which is another on every run
    torch.use_deterministic_algorithms(True, warn_only=True)
    # For those who read what nobody wrote; it costs a write of every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with noted(met):
            yield met
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = before


@contextlib.contextmanager
def noted(met: set[str]) -> Iterator[None]:
    """Context in which torch's warnings of operations that are not deterministic add their names to `met`, unseen."""
    with warnings.catch_warnings():
        warnings.filterwarnings("default", message=f".*{_MISSING.pattern[5:]}")
        show = warnings.showwarning

        def note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            found = _MISSING.search(str(message))
            if found:
                met.add(found[1])
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = note
        yield
