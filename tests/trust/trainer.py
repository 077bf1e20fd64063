"""One process of a trial that `torchrun` starts: `torchrun ... tests/trust/trainer.py DOMAIN OUT [MOMENT VICTIM SIGNAL]`.

After the step MOMENT, if the run has not been restarted, process VICTIM sends SIGNAL to itself. If VICTIM is -1, process 0 sends
it to torchrun. Each process writes its id to OUT/pid-RANK, and the exit status of its run to OUT/ended-RANK.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.cli.display import Display
from tests.trust import matrix


def main(name: str, out: Path, moment: int = -1, victim: int = 0, number: str = "SIGKILL") -> int:
    """Run the trial, and send the signal."""
    rank = int(os.environ["RANK"])
    (out / f"pid-{rank}").write_text(str(os.getpid()))
    (out / "torchrun").write_text(str(os.getppid()))
    matrix.shorten(name)
    original = Display.step

    def step(self: Display, learners: Any, shown: Any) -> None:
        original(self, learners, shown)
        lead = next(iter(learners.values()))
        if (
            lead.offset + lead.step == moment
            and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
            and rank == max(victim, 0)
        ):
            os.kill(os.getppid() if victim < 0 else os.getpid(), signal.Signals[number])

    Display.step = step  # type: ignore[method-assign]
    status = matrix.run(name, out)
    (out / f"ended-{rank}").write_text(str(status))
    return status


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(words[0], Path(words[1]), *(int(word) for word in words[2:4]), *words[4:]))
