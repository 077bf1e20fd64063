"""Ratios of run times on a noisy machine: candidates take turns in one process, and medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def medians(candidates: Mapping[str, Callable[[], object]], rounds: int = 7) -> dict[str, float]:
    """Return each candidate's median time in seconds over `rounds`, all candidates once a round, after one warm-up round.

    Raises:
        ValueError: fewer than five rounds: a median over less says little where neighbours come and go.
    """
    if rounds < 5:
        raise ValueError(f"rounds={rounds}: at least five")
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(rounds + 1):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate()
            if round_number:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}
