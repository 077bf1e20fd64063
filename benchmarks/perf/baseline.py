"""The saved ratios of `nox -s perf` per kind of machine, and their comparison with new ones.

A ratio is our time or size divided by that of a peer in the same run, so less is better. Raw times are not saved. Which of two
programs is faster depends on the machine, so each kind has its own baseline. Without a baseline, no ratio fails the comparison.
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
"""A ratio that grows by more than this factor fails. Other jobs change medians by tens of percent, a lost fast path by more."""

Ratios: TypeAlias = dict[str, dict[str, float]]
"""Ratios by test, such as "test_masks.py::test_hold[vgg16]", and by comparison, such as "dsd / read once"."""


def ratios(measured: Mapping[str, Any]) -> Ratios:
    """Return the ratios in the JSON that pytest-benchmark writes."""
    return {
        one["fullname"].rpartition("/")[2]: {name: float(f"{value:.3g}") for name, value in one["extra_info"].items()}
        for one in measured["benchmarks"]
        if one["extra_info"]
    }


def machine() -> str:
    """Return the kind of this machine: its processor and number of cores."""
    own = provenance.hardware(torch.device("cpu"))
    return f"{own.cpu}, {own.cores} cores"


def environment() -> dict[str, str]:
    """Return the torch version and the date."""
    return {"torch": torch.__version__, "date": datetime.now(UTC).date().isoformat()}


def save(now: Ratios, kind: str, path: Path = PATH) -> None:
    """Make `now` the baseline of this kind of machine. Tests that did not run keep their saved ratios."""
    machines = _machines(path) if path.exists() else {}
    machines[kind] = {
        **environment(),
        "ratios": (machines[kind]["ratios"] if kind in machines else {}) | now,
    }
    path.write_text(json.dumps({"machines": machines}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load(kind: str, path: Path = PATH) -> Ratios:
    """Return the saved ratios of this kind of machine; empty if none are saved.

    Raises:
        ValueError: the file is not a baseline.
    """
    found = _machines(path).get(kind) if path.exists() else None
    return dict(found["ratios"]) if found else {}


def _machines(path: Path) -> dict[str, dict[str, Any]]:
    try:
        machines: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["machines"]
        for found in machines.values():
            dict(found["ratios"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a baseline ({error!r}): restore it, or delete it and run with --save"
        ) from error
    return machines


def compare(then: Ratios, now: Ratios) -> tuple[list[str], list[str]]:
    """Return the lines of a Markdown table that compares old and new ratios, and one sentence per ratio that is much worse."""
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
