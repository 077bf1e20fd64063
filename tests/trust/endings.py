"""Whole trials with loader processes that end early: exit status, error lines, and the processes and files that are left.

`python -m tests.trust.endings [NAME...]` prints a line of JSON for each ending.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import rows
from benchmarks.cli.named_inputs import domain
from benchmarks.training import checkpoint
from tests.trust import matrix
from tests.trust.forks import left_behind

MOMENT = matrix.MOMENTS["mid_S"]


def killed_worker(data: Path) -> None:
    """Kill a worker, as the kernel does when memory runs out."""
    del data
    worker = multiprocessing.active_children()[0]
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)


def killed_forkserver(data: Path) -> None:
    """Kill the forkserver, which starts the workers."""
    del data
    os.kill(multiprocessing.forkserver._forkserver._forkserver_pid, signal.SIGKILL)  # type: ignore[attr-defined]


def vanished(data: Path) -> None:
    """Delete every picture, as if the disk were unmounted."""
    for picture in data.glob("*/*/*"):
        picture.unlink()


def killed(data: Path) -> None:
    """Kill the trainer."""
    del data
    os.kill(os.getpid(), signal.SIGKILL)


def second_ctrl_c(data: Path) -> None:
    """Press Ctrl-C twice."""
    del data
    for _ in range(2):
        os.killpg(0, signal.SIGINT)


def terminated(data: Path) -> None:
    """Send SIGTERM to every process of the job, as Slurm does."""
    del data
    os.killpg(0, signal.SIGTERM)
    time.sleep(1)  # until every process has received it


def hung_up(data: Path) -> None:
    """Send SIGHUP twice to every process of the job, as a terminal does when it closes."""
    del data
    for _ in range(2):
        os.killpg(0, signal.SIGHUP)
    time.sleep(1)


ENDINGS: dict[str, Callable[[Path], None]] = {
    one.__name__: one
    for one in (killed_worker, killed_forkserver, vanished, killed, second_ctrl_c, terminated, hung_up)
}


def end(name: str, out: Path) -> dict[str, object]:
    """Run a trial with the ending `name`, and return what the module's docstring lists."""
    out.mkdir()
    data = out / "data"
    shutil.copytree(domain(rows.ROWS[matrix.DOMAINS["imagenet"]]).embedded(), data)
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup
        log = os.open(out / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        options = ("--out", str(out / "runs"), "--data", str(data), "--workers", "2")
        # Not os._exit, because the normal exit of Python is tested too.
        sys.exit(matrix.run_and(lambda: ENDINGS[name](data), MOMENT, "imagenet", *options))
    started = time.monotonic()
    _, code = os.waitpid(child, 0)
    seconds = time.monotonic() - started
    said = (out / "log").read_text()
    saved = next((out / "runs").glob("checkpoints/*/trial.pt"), None)
    assert saved is not None, said
    return {
        "name": name,
        "status": os.waitstatus_to_exitcode(code),
        "seconds": seconds,
        "errors": [line for line in said.splitlines() if line.startswith("error: ")],
        "traceback": "Traceback" in said,
        "left": left_behind([child]),
        "step": checkpoint.load(saved)["learners"]["control"]["step"],
    }


def main(names: list[str]) -> None:
    """Run the endings `names`."""
    matrix.torch.set_num_threads(1)
    matrix.shorten("imagenet")
    folder, parent = Path(tempfile.mkdtemp()), os.getpid()
    try:
        for name in names:
            sys.stdout.write(json.dumps(end(name, folder / name)) + "\n")
            sys.stdout.flush()
    finally:
        if os.getpid() == parent:  # forks also run this when they end
            shutil.rmtree(folder)


if __name__ == "__main__":
    del __file__  # see tests.trust.matrix
    __spec__ = None  # type: ignore[assignment]
    main(sys.argv[1:] or list(ENDINGS))
