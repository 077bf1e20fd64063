"""Run the benchmarks, print their ratios beside the saved ones, and fail where one is much worse.

    python -m benchmarks.perf [--save] [what pytest is to be told]

`--save` makes the ratios of this run the baseline of this kind of machine. One thread: ratios are then of one core, and
neighbours disturb them less.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from benchmarks.perf import baseline


def main(words: list[str]) -> int:
    """Return pytest's exit status, or 1 where a ratio is much worse than it was."""
    kept = [word for word in words if word != "--save"]
    for library in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # of the processes that benchmarks start
        os.environ[library] = "1"
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "benchmarks.json"
        folder = str(Path(__file__).parent)
        told = [
            folder,
            "-q",
            "-s",
            "--benchmark-quiet",
            "--durations=0",
            "--durations-min=10",
            f"--benchmark-json={path}",
        ]
        status = int(pytest.main([*told, *kept]))
        now = baseline.ratios(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    kind = baseline.machine()
    then = baseline.load(kind)
    lines, worse = baseline.compare(then, now)
    missing = [] if then else [f"no baseline of this kind of machine ({kind}): --save makes this run's ratios one"]
    print("\n".join(["", *lines, "", *worse, *missing]))  # noqa: T201
    if "--save" in words and status == 0:
        baseline.save(now, kind)
        return 0
    return status or int(bool(worse))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
