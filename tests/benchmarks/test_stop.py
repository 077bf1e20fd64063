from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.training.interruption import Stop


@pytest.fixture(autouse=True)
def _hangup() -> Iterator[None]:
    """Handle SIGHUP: tests may run under nohup, and a failing test must not end all of them."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_only_sets_the_reason(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Stop() as stop:
        assert stop.reason is None
        os.kill(os.getpid(), number)
        assert stop.reason == number.name
    assert signal.getsignal(number) is before


@pytest.mark.promise(2)
def test_a_second_signal_ends_the_process_at_once() -> None:
    code = textwrap.dedent(
        """
        import os, signal
        from benchmarks.training.interruption import Stop
        with Stop():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            print("went on")
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert "went on" not in done.stdout


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ((signal.SIGHUP, signal.SIGHUP), "SIGHUP"),  # from the shell and from the kernel
        ((signal.SIGHUP, signal.SIGTERM), "SIGTERM"),  # at the end of a session
        ((signal.SIGTERM, signal.SIGHUP), "SIGTERM"),
    ],
)
def test_the_end_of_a_terminal_is_not_the_second_of_two_signals(sent: tuple[signal.Signals, ...], reason: str) -> None:
    with Stop() as stop:
        for number in sent:
            os.kill(os.getpid(), number)
        assert stop.reason == reason


def test_under_nohup_a_terminal_may_end() -> None:
    code = textwrap.dedent(
        """
        import os, signal
        from benchmarks.training.interruption import Stop
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            print(stop.reason)
        """
    )
    command = ["nohup", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_run_whose_parent_died_stops_only_where_asked_to(tmp_path: Path) -> None:
    child = textwrap.dedent(
        """
        import os, sys, time
        from benchmarks.training.interruption import Stop
        stop = Stop()
        print(stop.reason, flush=True)
        open(sys.argv[2], "w").close()
        while os.getppid() == int(sys.argv[1]): time.sleep(0.01)
        print(stop.reason, flush=True)
        """
    )
    parent = textwrap.dedent(
        """
        import os, subprocess, sys, time
        if sys.argv[2] == "asked": os.environ["DSD_STOP_WITH_PARENT"] = str(os.getpid())
        subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid()), sys.argv[3]])
        while not os.path.exists(sys.argv[3]): time.sleep(0.01)
        """
    )
    for asked, expected in (("asked", "the process that started this one is gone"), ("not asked", "None")):
        command = [sys.executable, "-c", parent, child, asked, str(tmp_path / asked)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == ["None", expected]
