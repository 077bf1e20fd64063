"""A process that has imported the suite once, and forks for each piece of code that a test runs in a process of its own.

A new interpreter imports torch, torchvision and the suite for five seconds, which is more than most of these tests compute.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


class ForkServer(contextlib.AbstractContextManager["ForkServer"]):
    """Runs code in forks of one process, with the packages in the folder `root`."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self._process: subprocess.Popen[str] | None = None

    def run(self, code: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `python -c CODE WORD...` in a fork, in the folder `root`, with this process's environment."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with tempfile.TemporaryDirectory() as outputs:
            asked = {"code": code, "words": words, "outputs": outputs}
            process.stdin.write(json.dumps(asked | {"environment": {**os.environ, "OMP_NUM_THREADS": "1"}}) + "\n")
            process.stdin.flush()
            status = process.stdout.readline()
            assert status, "the fork server ended"
            output, errors = ((Path(outputs) / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess([code, *words], int(status), output, errors)

    def _start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # torch's threads do not survive a fork
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-m", "tests.fork_server"], cwd=self.root, env=environment, **pipes)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()  # closes its input, which ends it


def _serve() -> dict[str, Any] | None:
    """Fork for each line of standard input. Return what it asks for in the fork, and None at the end of the input."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asked: dict[str, Any] = json.loads(line)
            return asked
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()
    return None


def _become(asked: dict[str, Any]) -> None:
    os.environ.update(asked["environment"])
    sys.argv[:] = ["-c", *asked["words"]]
    for number, path in enumerate((os.devnull, f"{asked['outputs']}/stdout", f"{asked['outputs']}/stderr")):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)


if __name__ == "__main__":
    from tests.trust import matrix  # noqa: F401 - imports the whole suite

    del __file__  # otherwise every loader process would import this module, which it does not need
    __spec__ = None  # type: ignore[assignment]
    if request := _serve():
        _become(request)
        exec(request["code"], {"__name__": "__main__"})  # noqa: S102
