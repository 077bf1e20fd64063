from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks.perf import baseline, growth
from benchmarks.perf.interleave import medians


def measured(**ratios: float) -> dict[str, object]:
    """The output of pytest-benchmark for one test that saved ratios, and one that saved none."""
    return {
        "benchmarks": [
            {"fullname": "benchmarks/perf/test_masks.py::test_hold[vgg16]", "extra_info": ratios},
            {"fullname": "benchmarks/perf/test_other.py::test_nothing", "extra_info": {}},
        ]
    }


def test_ratios_are_saved_by_kind_of_machine_and_read_again(tmp_path: Path) -> None:
    now = baseline.ratios(measured(**{"dsd / read once": 1.95432}))
    assert now == {"test_masks.py::test_hold[vgg16]": {"dsd / read once": 1.95}}
    path = tmp_path / "baseline.json"
    assert baseline.load("a", path) == {}
    baseline.save(now, "a", path)
    assert baseline.load("a", path) == now
    assert baseline.load("b", path) == {}  # no ratios of this kind of machine
    baseline.save({"t": {"x": 2.0}}, "b", path)
    baseline.save({"t": {"x": 1.0}}, "a", path)  # only some of the tests; the other ratios stay
    assert baseline.load("a", path) == now | {"t": {"x": 1.0}}
    assert baseline.load("b", path) == {"t": {"x": 2.0}}
    machines = json.loads(path.read_text())["machines"]
    assert set(machines["a"]) == {"date", "ratios", "torch"}
    assert baseline.machine().endswith(f"{os.cpu_count()} cores")


def test_only_a_ratio_that_is_much_worse_fails() -> None:
    then = {"t": {"a": 1.0, "b": 1.0, "gone": 1.0}}
    now = {"t": {"a": 1.5, "b": 1.7, "new": 9.0}, "u": {"a": 9.0}}
    lines, worse = baseline.compare(then, now)
    assert worse == ["t: b was 1 and is 1.7, more than 1.6 times as much"]
    assert lines[2:] == [
        "| t | a | 1 | 1.5 | 1.50 |",
        "| t | b | 1 | 1.7 | 1.70 |",
        "| t | new | - | 9 | - |",
        "| u | a | - | 9 | - |",
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"ratio": {}}', '{"machines": []}', '{"machines": {"a": {}}}'])
def test_a_file_that_is_no_baseline_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"baseline\.json is not a baseline .*--save"):
        baseline.load("a", path)


def test_the_saved_baseline_can_be_read() -> None:
    kinds = json.loads(baseline.PATH.read_text())["machines"]
    assert kinds
    for kind in kinds:
        _check(baseline.load(kind))


def _check(found: baseline.Ratios) -> None:
    assert all(0 < value < 100 for ratios in found.values() for value in ratios.values())
    assert found["test_trial.py::test_published_schedules"]["imagenet_resnet18"] == 0.75


def test_what_is_too_slow_is_run_once() -> None:
    calls = {"quick": 0, "slow": 0}

    def count(name: str) -> None:
        calls[name] += 1

    found = medians({"quick": lambda: count("quick"), "slow": lambda: [count("slow"), sum(range(100_000))]}, 5, 1e-4)
    assert calls == {"quick": 6, "slow": 1}
    assert found["slow"] > 1e-4
    with pytest.raises(ValueError, match="rounds=4"):
        medians({}, rounds=4)


def test_an_exponent_is_fitted_over_the_larger_half() -> None:
    points = {size: 3.0 * size**1.5 for size in (100, 200, 400)} | {10: 1e9}
    assert growth.fit(points) == pytest.approx((1.5, 3.0))
    assert growth.fit({1: 1.0, 10: 10.0, 100: 1000.0})[0] == pytest.approx(2.0)
