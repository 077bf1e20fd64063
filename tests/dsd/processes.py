"""Runs a worker script in two gloo processes, each of which writes a file of results."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import dsd


def run_two(worker: str, folder: Path) -> list[dict[str, Any]]:
    """Run `WORKER RANK FOLDER` for ranks 0 and 1; return the contents of FOLDER/RANK.pt. WORKER is a path, or a name here."""
    root = str(Path(dsd.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": root, "GLOO_SOCKET_IFNAME": "lo"}
    script = str(Path(__file__).parent / worker)
    processes = [
        subprocess.Popen([sys.executable, script, str(rank), str(folder)], env=environment, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=200)
            assert process.returncode == 0, errors.decode()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
