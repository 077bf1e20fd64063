"""Processor time of command-line calls, which other jobs hardly change."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ROOT
from benchmarks.perf.interleave import save
from benchmarks.records import store

RECORDS = 200
GOLDEN = ROOT / "tests" / "golden" / "records"


def reseeded(folder: Path, count: int) -> None:
    """Write `count` records: copies of the golden records with new seeds."""
    golden = store.read_all(GOLDEN)
    for number in range(count):
        one = golden[number % len(golden)]
        store.write(one.model_copy(update={"id": f"{one.id}-{number}", "seed": 1000 + number}), folder)


def processor_seconds(*words: str) -> float:
    """Return the processor time of `python WORDS` at the root of the checkout, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own words
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("words", "goal"),
    [(("-m", "nox", "-l"), 1.0), (("-m", "benchmarks", "--help"), 1.0)],
    ids=["nox -l", "python -m benchmarks --help"],
)
def test_help(benchmark: Any, words: tuple[str, ...], goal: float) -> None:
    """Neither loads torch."""
    taken = statistics.median(processor_seconds(*words) for _ in range(5))
    save(benchmark, f"python {' '.join(words)}: {taken:.2f} s", {"seconds / goal": taken / goal})
    assert taken < 2 * goal


def test_tables(benchmark: Any, tmp_path: Path) -> None:
    """Tables of 200 records: with new figures, with existing figures, and without figures."""
    reseeded(tmp_path / "records", RECORDS)
    words = ("-m", "benchmarks", "tables", "--records", str(tmp_path / "records"))
    drawing = processor_seconds(*words)  # existing figures are kept
    taken = statistics.median(processor_seconds(*words) for _ in range(3))
    code = (
        "import sys; from pathlib import Path; from benchmarks.records import store; "
        "from benchmarks.reporting import results_folder; "
        "folder = Path(sys.argv[1]); results_folder.write(folder.parent, store.read_all(folder))"
    )
    without = statistics.median(processor_seconds("-c", code, str(tmp_path / "records")) for _ in range(3))
    ratios = {
        "seconds / goal": taken / 3,
        "seconds with all figures to draw / goal": drawing / 3,
        "seconds without figures / goal": without / 3,
    }
    told = f"drawing all figures {drawing:.1f} s, all drawn already {taken:.1f} s, without figures {without:.1f} s"
    save(benchmark, f"tables of {RECORDS} records: {told}", ratios)
    assert drawing < 20
