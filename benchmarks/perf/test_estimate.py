"""The result of `estimate` compared with the real time of the run."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.cli import estimate
from benchmarks.records import store
from benchmarks.training import cost, learner, stopwatch, timing, trial


@pytest.mark.timeout(1200)  # both commands train, which takes long on a busy machine
def test_estimate(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimate a smoke trial, run it, and compare in processor time, which other jobs change less than wall time."""
    clock = SimpleNamespace(perf_counter=time.process_time, monotonic=time.monotonic, sleep=lambda seconds: None)
    for module in (estimate, timing, learner, stopwatch, trial):
        monkeypatch.setattr(module, "time", clock)
    promised: list[cost.Total] = []

    def kept(*arguments: Any, **options: Any) -> cost.Total:
        promised.append(original(*arguments, **options))
        return promised[0]

    original = cost.trial
    monkeypatch.setattr(cost, "trial", kept)
    words = ["flickr8k_neuraltalk", "--subset", "0.2", "--device", "cpu", "--out", str(tmp_path)]

    def both() -> float:
        assert main(["estimate", *words]) == 0
        assert main(["run", *words]) == 0
        (path,) = (tmp_path / "records").glob("*.json")
        taken = store.read(path).cost.seconds
        return (promised[0].seconds - promised[0].checkpoints - promised[0].resampling) / taken

    ratio = benchmark.pedantic(both, rounds=1)
    benchmark.extra_info["estimated / taken"] = ratio
    print(f"\nflickr8k_neuraltalk at smoke scale: estimated / taken = {ratio:.2f}")  # noqa: T201 - the figure
    assert 0.6 < ratio < 1.6
