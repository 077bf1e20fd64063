"""Two processes: DistributedDataParallel compared with averaging all gradients after the backward pass. Results: README.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.perf import two_processes
from benchmarks.perf.interleave import save


@pytest.mark.parametrize("row", ["imagenet_resnet18", "flickr8k_neuraltalk", "librispeech_deepspeech2"])
def test_two_processes(benchmark: Any, row: str) -> None:
    """Compare forward and backward passes at `small` scale; both methods must give the same gradients."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", two_processes.__name__, row]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - our own words
    assert done.returncode == 0, done.stderr
    seconds = json.loads(done.stdout.splitlines()[-1])
    ours, peer = seconds[two_processes.OURS], seconds[two_processes.PEER]
    shown = {name: one / peer for name, one in seconds.items()}
    save(
        benchmark,
        f"backward pass of {row} in two processes",
        {f"{two_processes.OURS} / {two_processes.PEER}": ours / peer},
        shown,
    )
    assert ours < 3 * peer
