"""Determinism: same machine, versions and seed give the same numbers, as far as torch allows."""

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

# torch requires this for deterministic matrix products. It reads the variable once, at a process's first product on a GPU. That may
# be before training (features of pictures).
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextlib.contextmanager
def demanded(device: torch.device) -> Iterator[set[str]]:
    """Context in which torch uses deterministic algorithms where available.

    On a CPU all algorithms are deterministic. On a GPU, operations without a deterministic algorithm (such as the backward pass of
    CTC) still run, and their names are added to the yielded set.
    """
    met: set[str] = set()
    if device.type != "cuda":
        yield met
        return
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False  # it chooses algorithms by measured speed, which varies between runs
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling is only needed for code that reads uninitialised memory, and it costs a write of every new tensor.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        with noted(met):
            yield met
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = before


@contextlib.contextmanager
def noted(met: set[str]) -> Iterator[None]:
    """Context that silences torch's warnings about nondeterministic operations and adds their names to `met`."""
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
