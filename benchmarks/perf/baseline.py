"""The ratios that `nox -s perf` found before, and whether today's are much worse.

Of every ratio less is better: ours over another's, or over a goal. Raw times, which are a machine's own, are not kept.
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
"""Beyond this factor a ratio fails: neighbours on a machine alter medians by tens of per cent, a lost fast path by more."""

Ratios: TypeAlias = dict[str, dict[str, float]]
"""By test, such as "test_masks.py::test_hold[vgg16]", and what is compared, such as "dsd / read once"."""


def ratios(measured: Mapping[str, Any]) -> Ratios:
    """Return the ratios in the JSON that pytest-benchmark writes."""
    return {
        one["fullname"].rpartition("/")[2]: {name: float(f"{value:.3g}") for name, value in one["extra_info"].items()}
        for one in measured["benchmarks"]
        if one["extra_info"]
    }


def save(now: Ratios, path: Path = PATH) -> None:
    """Write `now` as the new baseline, with machine and date."""
    machine = provenance.hardware(torch.device("cpu"))
    told = {
        "machine": f"{machine.cpu}, {machine.cores} cores, one thread",
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "ratios": now,
    }
    path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def load(path: Path = PATH) -> Ratios:
    """Return the saved ratios; none where none are saved.

    Raises:
        ValueError: the file is not a baseline.
    """
    if not path.exists():
        return {}
    try:
        found: Ratios = json.loads(path.read_text(encoding="utf-8"))["ratios"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no baseline ({error!r}): restore it, or write it anew with --save") from error
    return found


def compare(then: Ratios, now: Ratios) -> tuple[list[str], list[str]]:
    """Return the lines of a Markdown table, then and now, and a sentence for every ratio that is much worse."""
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
