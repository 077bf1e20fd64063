"""The saved ratios of `nox -s perf`, and whether new ones are much worse.

A ratio is our figure divided by a peer's or by a goal, so less is better. Raw times are not saved, because they depend on the
machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import torch

from benchmarks.training import provenance

PATH = Path(__file__).parent / "baseline.json"
WORSE = 1.6
"""A ratio that grows by more than this factor fails. Other jobs change medians by tens of percent; a lost fast path by more."""

Ratios: TypeAlias = dict[str, dict[str, float]]
"""Test, such as "test_masks.py::test_hold[vgg16]", to comparison, such as "dsd / read once", to ratio."""


def ratios(measured: Mapping[str, Any]) -> Ratios:
    """Return the ratios in the JSON that pytest-benchmark writes."""
    return {
        one["fullname"].rpartition("/")[2]: {name: float(f"{value:.3g}") for name, value in one["extra_info"].items()}
        for one in measured["benchmarks"]
        if one["extra_info"]
    }


def environment() -> dict[str, str]:
    """Return the machine, the torch version and the date."""
    machine = provenance.hardware(torch.device("cpu"))
    return {
        "machine": f"{machine.cpu}, {machine.cores} cores, one thread",
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def save(now: Ratios, path: Path = PATH) -> None:
    """Write `now` as the new baseline, with machine and date."""
    content = json.dumps({**environment(), "ratios": now}, indent=1, sort_keys=True)
    path.write_text(content + "\n", encoding="utf-8")


def load(path: Path = PATH) -> Ratios:
    """Return the saved ratios; empty if there is no file.

    Raises:
        ValueError: the file is not a baseline.
    """
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["ratios"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a baseline ({error!r}): restore it, or write a new one with --save") from error


def compare(then: Ratios, now: Ratios) -> tuple[list[str], list[str]]:
    """Return the lines of a Markdown table that compares old and new ratios, and a sentence for each that is much worse."""
    lines = ["| test | ratio (less is better) | then | now | now / then |", "| --- | --- | ---: | ---: | ---: |"]
    worse = []
    for test, measured in now.items():
        for name, value in measured.items():
            before = then.get(test, {}).get(name)
            change = f"{value / before:.2f}" if before else "-"
            lines.append(f"| {test} | {name} | {'-' if before is None else f'{before:.3g}'} | {value:.3g} | {change} |")
            if before is not None and value > WORSE * before:
                worse.append(f"{test}: {name} was {before:.3g} and is {value:.3g}, more than {WORSE} times as much")
    return lines, worse
