"""Two processes on one trial: the second one's error names the first. Files of a killed process block no other process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.training import lock

pytestmark = pytest.mark.promise(10)

COMMAND = "python -m benchmarks run toy_row --out here"
HOLD = """
import sys, time
from pathlib import Path
from benchmarks.training import lock
with lock.held(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""
HOLD_WITH_A_CHILD = HOLD.replace(
    "    print(", "    import os\n    if os.fork() == 0: time.sleep(float(sys.argv[3])); os._exit(0)\n    print("
)


@contextmanager
def holder(folder: Path, code: str = HOLD, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of `folder`."""
    words = [sys.executable, "-c", code, str(folder), COMMAND, *more]
    # No pipe for errors: a child that outlives the holder would keep it open.
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def leave(folder: Path, **changed: object) -> None:
    """Create the files that a killed process leaves: its lock file and the file that names its owner."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    folder.mkdir(exist_ok=True)
    (folder / "lock").touch()
    owner = {"pid": gone.pid, "host": socket.gethostname(), "since": "2030-01-01T14:02:00Z", "command": COMMAND}
    (folder / "owner.json").write_text(json.dumps(owner | changed))


def test_the_second_process_is_told_who_holds_the_trial(tmp_path: Path) -> None:
    with holder(tmp_path / "trial") as first:
        with (
            pytest.raises(ValueError, match="another process is running this trial") as caught,
            lock.held(tmp_path / "trial", "other"),
        ):
            pass
        since = json.loads((tmp_path / "trial" / "owner.json").read_text())["since"]
        assert str(caught.value) == (
            f"another process is running this trial: pid {first.pid} on {socket.gethostname()} since {since} ({COMMAND}); "
            f"it holds {tmp_path / 'trial' / 'lock'}"
        )
        assert abs(time.time() - time.mktime(time.strptime(since, "%Y-%m-%dT%H:%M:%SZ")) + time.timezone) < 30


def test_the_lock_of_a_killed_process_is_taken_at_once(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert (tmp_path / "owner.json").exists()
        started = time.monotonic()
        with lock.held(tmp_path, "mine"):
            owner = json.loads((tmp_path / "owner.json").read_text())
        assert time.monotonic() - started < 1
    assert (owner["pid"], owner["command"]) == (os.getpid(), "mine")
    assert not (tmp_path / "owner.json").exists()


def test_leftover_files_block_nobody(tmp_path: Path) -> None:
    for changed in ({}, {"host": "elsewhere"}, {"pid": os.getpid()}):
        leave(tmp_path, **changed)
        with lock.held(tmp_path, "mine"):
            assert json.loads((tmp_path / "owner.json").read_text())["pid"] == os.getpid()


def test_what_a_killed_process_started_blocks_nobody(tmp_path: Path) -> None:
    with holder(tmp_path, HOLD_WITH_A_CHILD, "5") as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        with lock.held(tmp_path, "mine"):
            assert json.loads((tmp_path / "owner.json").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("line", [None, "", "{}", "[1]"])
def test_a_holder_that_does_not_say_who_it_is_is_refused_too(tmp_path: Path, line: str | None) -> None:
    with holder(tmp_path):
        (tmp_path / "owner.json").unlink() if line is None else (tmp_path / "owner.json").write_text(line)
        with (
            pytest.raises(ValueError, match=r"it has not said who it is; it holds .*lock"),
            lock.held(tmp_path, "mine"),
        ):
            pass


def test_an_error_in_the_body_lets_go(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="inside"), lock.held(tmp_path, "mine"):
        raise RuntimeError("inside")
    with lock.held(tmp_path, "mine"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
