"""Processor time of command-line calls. Other jobs on the machine hardly change it."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ROOT
from benchmarks.perf.interleave import report
from benchmarks.records import store

RECORDS = 200
GOLDEN = ROOT / "tests" / "golden" / "records"


def reseeded(folder: Path, count: int) -> None:
    """Write `count` records: copies of the golden records with new seeds."""
    golden = store.read_all(GOLDEN)
    for number in range(count):
        one = golden[number % len(golden)]
        store.write(one.model_copy(update={"id": f"{one.id}-{number}", "seed": 1000 + number}), folder)


def processor_seconds() -> float:
    """Return the processor seconds that the child processes of this process have used so far."""
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken.ru_utime + taken.ru_stime


def python(*words: str) -> None:
    """Run `python WORDS`, at the root of the checkout."""
    subprocess.run([sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own words


@pytest.mark.parametrize(
    ("words", "library"),
    [(("-m", "nox", "-l"), "nox"), (("-m", "benchmarks", "--help"), "tyro")],
    ids=["nox -l", "python -m benchmarks --help"],
)
def test_help(benchmark: Any, words: tuple[str, ...], library: str) -> None:
    """Compare both commands, which do not import torch, with an import of the library that parses their arguments."""
    candidates = {"dsd": lambda: python(*words), f"import {library}": lambda: python("-c", f"import {library}")}
    report(benchmark, f"python {' '.join(words)}", f"import {library}", candidates, clock=processor_seconds)


@pytest.mark.timeout(1200)  # a busy machine takes long for thirteen commands
def test_tables(benchmark: Any, tmp_path: Path) -> None:
    """Make the tables of 200 records, compared with reading the records. The figures exist already and are not drawn again."""
    reseeded(tmp_path / "records", RECORDS)
    words = ("-m", "benchmarks", "tables", "--records", str(tmp_path / "records"))
    before = processor_seconds()
    python(*words)
    drawing = processor_seconds() - before
    code = (
        "import sys; from pathlib import Path; from benchmarks.records import store; store.read_all(Path(sys.argv[1]))"
    )
    candidates = {
        "dsd": lambda: python(*words),
        "read the records": lambda: python("-c", code, str(tmp_path / "records")),
    }
    name = f"tables of {RECORDS} records (drawing all figures first took {drawing:.1f} s)"
    report(benchmark, name, "read the records", candidates, rounds=5, clock=processor_seconds)
