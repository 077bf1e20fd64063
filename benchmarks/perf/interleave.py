"""Ratios of run times on a noisy machine: candidates take turns in one process, and their medians are compared."""

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
    """Return each candidate's median time in seconds after one warm-up round. Every round runs each candidate once.

    Args:
        candidates: name to function.
        rounds: the number of timed rounds.
        patience: seconds. A candidate that takes longer in the warm-up round is not run again; its result is that one time.
        clock: `time.process_time` is less noisy if one thread of this process does all the work.

    Raises:
        ValueError: there are fewer than five rounds, too few for a median on a noisy machine.
    """
    if rounds < 5:
        raise ValueError(f"rounds={rounds}: use at least five")
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, candidate in candidates.items():
            if max(times[name][:1], default=0.0) <= patience:
                started = clock()
                candidate()
                times[name].append(clock() - started)
    return {name: statistics.median(taken[1:] or taken) for name, taken in times.items()}


def report(
    benchmark: Any,
    name: str,
    unit: str,
    candidates: Mapping[str, Callable[[], object]],
    rounds: int = 7,
    patience: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Print and return each candidate's median divided by `unit`'s. Save the first median (ours) divided by each other one.

    Args:
        benchmark: pytest-benchmark's fixture; `benchmarks.perf.baseline` reads the saved ratios.
        name: a description of the work that the candidates do.
        unit: the name of the candidate that counts as 1.
        candidates: see `medians`; the first one is ours.
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
    """Save ratios (less is better) and print them, or `shown` instead."""
    benchmark.extra_info.update(ratios)
    print(f"\n{name}: " + ", ".join(f"{key} {ratio:.3g}" for key, ratio in (shown or ratios).items()))  # noqa: T201
    # pytest-benchmark drops extra_info unless the fixture runs something.
    benchmark.pedantic(lambda: None, rounds=1)
