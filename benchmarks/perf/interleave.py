"""Ratios of run times on a noisy machine: candidates take turns in one process, and medians are compared."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def medians(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int = 7,
    patience: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return each candidate's median time in seconds over `rounds`, all candidates once a round, after one warm-up round.

    Args:
        candidates: what to time, by name.
        rounds: how many times.
        patience: seconds; what took longer in the warm-up round is not run again, and that one time is returned.
        clock: `time.process_time`, which neighbours disturb less, where all is computed in this process by one thread.

    Raises:
        ValueError: fewer than five rounds: a median over less says little where neighbours come and go.
    """
    if rounds < 5:
        raise ValueError(f"rounds={rounds}: at least five")
    times: dict[str, list[float]] = {name: [] for name in candidates}
    slow: dict[str, float] = {}
    for round_number in range(rounds + 1):
        for name, candidate in candidates.items():
            if name in slow:
                continue
            started = clock()
            candidate()
            taken = clock() - started
            if round_number:
                times[name].append(taken)
            elif taken > patience:
                slow[name] = taken
    return {name: slow.get(name) or statistics.median(taken) for name, taken in times.items()}


def report(
    benchmark: Any,
    name: str,
    unit: str,
    candidates: Mapping[str, Callable[[], object]],
    rounds: int = 7,
    patience: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Print every candidate's median as a multiple of `unit`'s and return them; save the first one, ours, over every other.

    Args:
        benchmark: pytest-benchmark's fixture. What is saved is for `benchmarks.perf.baseline`: less is better.
        name: what the candidates do.
        unit: one of them.
        candidates: ours first.
        rounds: see `medians`.
        patience: see `medians`.
        clock: see `medians`.
    """
    seconds = medians(candidates, rounds, patience, clock)
    ratios = {key: value / seconds[unit] for key, value in seconds.items()}
    ours, *others = candidates
    save(benchmark, name, {f"{ours} / {other}": seconds[ours] / seconds[other] for other in others}, ratios)
    return ratios


def save(benchmark: Any, name: str, ratios: Mapping[str, float], shown: Mapping[str, float] | None = None) -> None:
    """Save ratios, of which less is better, and print them, or what is `shown` in their place."""
    benchmark.extra_info.update(ratios)
    print(f"\n{name}: " + ", ".join(f"{key} {ratio:.3g}" for key, ratio in (shown or ratios).items()))  # noqa: T201
    # A test that uses the fixture must run something by it, or its extra_info is dropped. What it took is in the ratios.
    benchmark.pedantic(lambda: None, rounds=1)
