"""Run the benchmarks, compare their ratios with the saved ones, and fail if a ratio is much worse.

    python -m benchmarks.perf [--save] [pytest options]

`--save` makes the ratios of this run the baseline of this kind of machine. Everything runs on one thread, so that other jobs on the
machine affect the results less.
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
    """Return pytest's exit status, or 1 if a ratio is much worse than the saved one."""
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # for the processes that benchmarks start
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "benchmarks.json"
        options = ["-q", "-s", "--benchmark-quiet", "--durations=0", "--durations-min=10", f"--benchmark-json={path}"]
        status = int(pytest.main([str(Path(__file__).parent), *options, *(word for word in words if word != "--save")]))
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
