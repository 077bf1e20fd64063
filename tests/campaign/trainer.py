"""A campaign of two tiny smoke trials, and their trainer, which is killed once, between two checkpoints inside S.

`python -m tests.campaign.trainer drive ACTION MARK WORD...` is `python -m benchmarks WORD...` whose trials are run by
`python -m tests.campaign.trainer train ACTION MARK run ...`. Checkpoints are written after every step. The first trial that
reaches the middle of S creates the file MARK and does ACTION.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.__main__ import main
from benchmarks.campaign import trial as trials
from benchmarks.cli.display import Display
from benchmarks.training import trial
from tests.trust import matrix

MOMENT = matrix.MOMENTS["mid_S"]
CAMPAIGN = """
scale = "smoke"
seeds = 2
arms = ["control", "dsd", "random"]
[resources]
retries = 2
[rows.imagenet_resnet18]
options = { save_weights = true, device = "cpu" }
"""


def kill_trial() -> None:
    """Kill the trial, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_worker() -> None:
    """Kill the process that started the trial. The trial saves, and ends."""
    os.kill(os.getppid(), signal.SIGKILL)


def kill_both() -> None:
    """Kill the process that started the trial, and the trial before it can save."""
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def time_limit() -> None:
    """Send the signal of Slurm shortly before the time limit to all processes; meanwhile the trial is asked to stop."""
    os.kill(os.getppid(), signal.SIGUSR2)
    os.kill(os.getpid(), signal.SIGUSR2)
    time.sleep(3)


ACTIONS: dict[str, Callable[[], None]] = {one.__name__: one for one in (kill_trial, kill_worker, kill_both, time_limit)}


def _train(action: str, mark: Path, words: list[str]) -> int:
    step = Display.step

    def watched(self: Display, learners: Any, shown: Any) -> None:
        step(self, learners, shown)
        lead = next(iter(learners.values()))
        if action in ACTIONS and lead.offset + lead.step == MOMENT:
            try:
                mark.touch(exist_ok=False)
            except FileExistsError:
                return
            ACTIONS[action]()

    Display.step = watched  # type: ignore[method-assign]
    trial.CHECKPOINT_EVERY_SECONDS, trial.CHECKPOINT_SHARE = 0.0, 1e9
    return main(words)


def _drive(action: str, mark: Path, words: list[str]) -> int:
    trials.PROGRAM = (sys.executable, "-m", "tests.campaign.trainer", "train", action, str(mark))
    return main(words)


def start(role: str, action: str, mark: str, *words: str) -> int:
    """Run the command described at the top of this module, and return its exit status."""
    matrix.torch.set_num_threads(1)
    matrix.shorten("imagenet")
    return (_drive if role == "drive" else _train)(action, Path(mark), list(words))


if __name__ == "__main__":
    del __file__  # see tests.trust.matrix
    __spec__ = None  # type: ignore[assignment]
    sys.exit(start(*sys.argv[1:]))
