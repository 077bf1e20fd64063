"""Everything that needs a GPU, in one run of at most nine minutes: CUDA tests, losses, ratios, speeds, then trials to the end.

    python -m benchmarks.perf.gpu --data data --out runs/gpu

It exits with 1 if a part failed or took too long, and with 2 if it cannot start. The same command again resumes the trials.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

import torch
import tyro

from benchmarks.evidence_plan import WANTED
from benchmarks.perf.gpu.measure import NAME, note
from benchmarks.perf.gpu.parts import Ended, Part, run_all
from benchmarks.training import provenance

TESTS = (
    "tests/dsd/test_cuda.py",
    "tests/benchmarks/test_cuda.py",
    "tests/benchmarks/test_determinism.py",
    "tests/tasks/librispeech/test_cuda.py",
    "tests/tasks/librispeech/test_decode.py",
)
"""Files with tests that need a GPU."""
SHARES = {"tests": 0.2, "losses": 0.14, "ratios": 0.2, "rows": 0.16}
"""Maximum share of the total time for each part except the trials, which get the remaining time."""
_REHEARSAL = """scale = "smoke"
seeds = 2
arms = ["control", "dsd"]
resources = {{ gpus = {share} }}
[rows.imagenet_resnet18]
options = {{ subset = 0.1 }}
"""

Name = Literal["tests", "losses", "ratios", "rows", "trials"]


@dataclass(frozen=True)
class Options:
    """Run what only a GPU can show, and leave records."""

    out: Path = Path("runs/gpu")
    """Folder for measured.jsonl, a log of each part, and the records and checkpoints of trials (OUT/trials)."""
    data: Path = Path("data")
    """The folder with the data sets that `prepare` makes, as in `evidence`. Only rows whose data are there are trained."""
    minutes: float = 9.0
    """Time for everything."""
    jobs: int = 8
    """Trials at a time, on one GPU."""
    device: str = "cuda"
    """cuda, or cpu with --rehearse."""
    rehearse: bool = False
    """Run every part in miniature, to test this command, also on a CPU. The trials are of generated data."""
    only: tuple[Name, ...] = ("tests", "losses", "ratios", "rows", "trials")
    """Only these parts."""


def main(given: Options) -> int:
    """Run the parts and print a table; return 1 if one failed.

    Raises:
        ValueError: there is no GPU, or no data for trials.
    """
    if given.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here (--device cpu --rehearse tests this command)")
    if given.device != "cuda" and not given.rehearse:
        raise ValueError(f"--device {given.device}: only --rehearse runs there")
    given = dataclasses.replace(given, out=given.out.absolute(), data=given.data.absolute())
    chosen = [part for part in parts(given) if part.name in given.only]
    given.out.mkdir(parents=True, exist_ok=True)
    share = 1 / given.jobs if given.device == "cuda" else 0
    (given.out / "rehearsal.toml").write_text(_REHEARSAL.format(share=share), encoding="utf-8")
    origin = provenance.read(torch.device(given.device))
    facts = {"commit": origin.commit, "dirty": origin.dirty, "versions": origin.versions}
    note(given.out, "machine", **facts, hardware=origin.hardware.model_dump(), rehearsal=given.rehearse)
    ended = []
    for one in run_all(chosen, given.out, 60 * given.minutes):
        note(given.out, one.name, how=one.how, status=one.status, seconds=round(one.seconds, 1))
        ended.append(one)
    print("\n".join(table(ended, given.out)))  # noqa: T201
    return int(not all(one.ok for one in ended))


def parts(given: Options) -> list[Part]:
    """Return all parts in order.

    Raises:
        ValueError: trials are requested, but the data of no row exist.
    """
    own = ["--device", given.device, "--out", str(given.out), *(["--rehearse"] if given.rehearse else [])]
    commands = {name: ["-m", f"benchmarks.perf.gpu.{name}", *own] for name in ("losses", "ratios", "rows")}
    commands["tests"] = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    commands["trials"] = ["-m", "benchmarks", "evidence", "--jobs", str(given.jobs), "--out", str(given.out / "trials")]
    if given.rehearse:
        commands["trials"] += ["--campaign", str(given.out / "rehearsal.toml")]
    elif "trials" in given.only:
        commands["trials"] += ["--data", str(given.data), "--rows", *_rows(given.data)]
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // given.jobs))}  # of each trial
    return [
        Part(name, (sys.executable, *commands[name]), SHARES.get(name), threads if name == "trials" else {})
        for name in (*SHARES, "trials")
    ]


def _rows(data: Path) -> list[str]:
    """Return the planned rows whose data are in `data`."""
    there = [
        one.row for one in WANTED if all((data / name).exists() for name in (one.data, one.weights) if name is not None)
    ]
    if not there:
        names = sorted({one.data for one in WANTED})
        raise ValueError(f"--data {data}: none of {', '.join(names)} is there (--only leaves out the trials)")
    return list(dict.fromkeys(there))


def table(ended: list[Ended], out: Path) -> list[str]:
    """Return two Markdown tables (how the parts ended; the speeds of this run) and a line with the number of records."""
    lines = ["| part | end | status | seconds |", "| --- | --- | ---: | ---: |"]
    lines += [f"| {one.name} | {one.how} | {one.status} | {one.seconds:.0f} |" for one in ended]
    lines += ["", "| step | samples/s | time over timm's | GPU utilisation | share of a matrix product |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    measured = [json.loads(line) for line in (out / NAME).read_text(encoding="utf-8").splitlines()]
    begin = max((number for number, one in enumerate(measured) if one["part"] == "machine"), default=0)
    for one in measured[begin:]:
        if "samples_per_second" in one:
            over, use = one.get("time_over_timm"), one.get("gpu_utilisation")
            cells = [f"{one['samples_per_second']:,.0f}", "" if over is None else f"{over:.2f}"]
            cells += ["" if use is None else f"{use:.0%}", f"{one['share_of_matrix_product']:.1%}"]
            lines.append(f"| {one.get('network', one.get('row'))}, {one['what']} | {' | '.join(cells)} |")
    records = len(list((out / "trials" / "records").glob("*.json")))
    return [*lines, "", f"{records} records in {out / 'trials' / 'records'}; measurements in {out / NAME}"]


def _stopped(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stopped)
    try:
        sys.exit(main(tyro.cli(Options)))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
