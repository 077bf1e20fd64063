"""Unusual environments: each works, or one line reports what is wrong with it before anything slow."""

from __future__ import annotations

import errno
import getpass
import io
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.__main__ import main
from benchmarks.analysis.results import results
from benchmarks.cli import console, display, evidence, streams
from benchmarks.cli import status as status_command
from benchmarks.cli.options import Evidence, Status
from benchmarks.records import store
from benchmarks.reporting import pages
from benchmarks.reporting import terminal as reporting_terminal
from benchmarks.training.interruption import Stop
from benchmarks.training.trial import Trial
from tasks import environment
from tasks.data import cache
from tests.benchmarks import toy

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "tests" / "golden" / "records"
NOBODY = """
import pwd
def absent(*_): raise KeyError("getpwuid(): uid not found")
pwd.getpwuid = absent
"""


def run(words: list[str], prelude: str = "", **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run a command whose output is not a terminal, with these environment variables set, or removed if None."""
    kept = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environ = {k: v for k, v in {**kept, **variables}.items() if v is not None}
    code = f"{prelude}\nimport sys\nfrom benchmarks.__main__ import main\nsys.exit(main({words!r}))"
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, errors="replace", timeout=250, check=False
    )


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A folder with one golden record of ResNet-18."""
    folder = tmp_path / "records"
    folder.mkdir()
    shutil.copy(sorted(RECORDS.glob("imagenet_resnet18-*.json"))[0], folder)
    return folder


def test_tables_in_a_notebook_without_home_language_or_room(records: Path, tmp_path: Path) -> None:
    done = run(
        ["tables", "--records", str(records)],
        NOBODY,
        MPLBACKEND="module://matplotlib_inline.backend_inline",
        HOME=None,
        USER=None,
        LOGNAME=None,
        LANG="C",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONIOENCODING="ascii",
        TERM="dumb",
        COLUMNS="10",
        TMPDIR=str(tmp_path / "not there"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 records: wrote ")
    assert list((tmp_path / "figures").glob("*.png"))
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "tables").glob("*.md")]
    assert any("\N{PLUS-MINUS SIGN}" in page for page in pages)


def test_a_user_without_name_or_home_verifies_data(tmp_path: Path) -> None:
    for number in range(4):
        for split in ("train", "val"):
            path = tmp_path / "set" / split / f"{number % 2}" / f"{split}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, len(split), 0)).save(path)
    nothing = dict.fromkeys(("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "TORCHINDUCTOR_CACHE_DIR", "DSD_CACHE"))
    words = ["verify", "imagenet_resnet18", "--data", str(tmp_path / "set")]
    with tempfile.TemporaryDirectory() as short:  # a long TMPDIR is not used, because sockets' names have a limit
        done = run(words, NOBODY, **nothing, XDG_CACHE_HOME=None, TMPDIR=short)
        assert (done.returncode, done.stderr) == (1, "")  # too few pictures for a batch
        assert "set: 4 train, 4 test, 2 classes" in done.stdout
        assert list((Path(short) / f"dsd-{os.getuid()}" / "verified").iterdir())


def test_loader_workers_start_whatever_the_length_of_tmpdir(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    code = """
import os, tasks, multiprocessing, tempfile
from multiprocessing.connection import Listener
with Listener(family="AF_UNIX"):  # as the forkserver and torch's queues open it
    print(tempfile.gettempdir(), os.environ["TMPDIR"])
"""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(long)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(long) not in done.stdout


def test_settling_changes_nothing_that_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = dict(os.environ)
    environment.settle()
    assert dict(os.environ) == before
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    environment.settle()
    assert Path(os.environ["TMPDIR"]).is_dir()

    def unknown() -> str:
        raise OSError("No username set in the environment")  # as in Python 3.13

    monkeypatch.setattr(getpass, "getuser", unknown)
    monkeypatch.setenv("LOGNAME", "")
    environment.settle()
    assert os.environ["LOGNAME"] == f"uid{os.getuid()}"


def test_without_any_folder_for_temporary_files_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    environment.settle()
    monkeypatch.setattr("benchmarks.cli.status.status", lambda out: none())
    assert main(["status"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


class TestCache:
    """The folder of the suite's cache."""

    @pytest.fixture(autouse=True)
    def _usual(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        for name in ("DSD_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def test_usual(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert cache.cache_dir() == tmp_path / "home" / ".cache" / "dsd"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the specification requires that relative paths are ignored
        assert cache.cache_dir() == tmp_path / "home" / ".cache" / "dsd"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
        assert cache.cache_dir() == tmp_path / "x" / "dsd"

    def test_no_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def absent(uid: int) -> Any:
            raise KeyError("getpwuid(): uid not found")

        monkeypatch.delenv("HOME")
        monkeypatch.setattr(pwd, "getpwuid", absent)
        assert cache.cache_dir() == tmp_path / "tmp" / f"dsd-{os.getuid()}"

    def test_read_only_home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        may = os.access
        home = tmp_path / "home"
        home.mkdir()
        monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.W_OK and path == home) and may(path, mode))
        assert cache.cache_dir() == tmp_path / "tmp" / f"dsd-{os.getuid()}"

    def test_a_file_in_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / ".cache").touch()
        assert cache.cache_dir() == tmp_path / "tmp" / f"dsd-{os.getuid()}"

    def test_one_that_was_chosen_and_cannot_be_written_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("DSD_CACHE", str(tmp_path / "file"))
        with pytest.raises(OSError, match=r"cannot be written .*; set DSD_CACHE to a folder that can"):
            cache.made_once(cache.cache_dir() / "set", lambda folder: None)


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def written(to: io.TextIOWrapper) -> str:
    to.flush()
    assert isinstance(to.buffer, io.BytesIO)
    return to.buffer.getvalue().decode(to.encoding)


@pytest.mark.parametrize(
    ("encoding", "between"), [("ascii", " - "), ("latin-1", " \N{MIDDLE DOT} "), ("utf-8", " \N{MIDDLE DOT} ")]
)
def test_no_character_ends_a_training_run(
    encoding: str, between: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", out := stream(encoding))
    monkeypatch.setattr(display, "_LINE_EVERY_SECONDS", 0.0)
    streams.settle()
    plan = toy.plan(tmp_path, arms=("control", "dsd"))
    shown = display.Display(console.CONSOLE, 100, toy.ROW.metric, 4)
    shown.trial("caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{SNOWMAN} \udce9")
    assert Trial(plan, toy.ToyTask(), shown, Stop()).run().exists()
    said = written(out)
    assert between in said
    assert ("\\u2603" in said) == (encoding != "utf-8")
    assert "\\udce9" in said  # of a file name that is not UTF-8


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_tables_with_signs_come_out_in_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", out := stream(encoding))
    assert main(["status", "--out", str(RECORDS.parent)]) == 0
    console.show(reporting_terminal.terminal(pages.end_of_run("imagenet_resnet18", results(store.read_all(RECORDS)))))
    said = written(out)
    assert ("+-" if encoding == "ascii" else "\N{PLUS-MINUS SIGN}") in said


class Gone(io.StringIO):
    """A terminal, pipe or log that can no longer be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.tried = number, 0

    def write(self, text: str) -> int:
        self.tried += 1
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(("number", "told"), [(errno.EIO, 1), (errno.ENOSPC, 1), (errno.EPIPE, 0)])
def test_training_goes_on_where_nobody_can_read_what_it_says(
    number: int, told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", gone := Gone(number))
    monkeypatch.setattr(console, "CONSOLE", console.make())
    monkeypatch.setattr(display, "_LINE_EVERY_SECONDS", 0.0)
    shown = display.Display(console.CONSOLE, 100, toy.ROW.metric, 4)
    assert Trial(toy.plan(tmp_path, arms=("control", "dsd")), toy.ToyTask(), shown, Stop()).run().exists()
    assert gone.tried > 1
    assert capsys.readouterr().err.count("cannot write to standard output") == told


@pytest.mark.parametrize(("close", "status"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 1), ("| true", 0)])
def test_help_survives_streams_that_are_closed(close: str, status: int) -> None:
    command = f"set -o pipefail; '{sys.executable}' -m benchmarks --help {close}"
    bash = shutil.which("bash") or "bash"
    done = subprocess.run([bash, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr.count("\n") == status
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("columns", ["10", "80", "0", "many"])
def test_a_log_keeps_every_name_whole(columns: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"COLUMNS": columns, "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "GITHUB_ACTIONS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", out := stream("utf-8"))
    monkeypatch.setattr(console, "CONSOLE", console.make())
    (tmp_path / "records").mkdir()
    status_command.status(Status(out=tmp_path))
    assert evidence.evidence(Evidence(data=tmp_path, plan=True, out=tmp_path)) == 0
    table = Table(title="a" * 200)
    table.add_column("arm", max_width=20)
    table.add_row("b" * 300)
    console.show(table)
    console.title("c" * 300)
    said = written(out)
    for name in ("imagenet_googlenet", "librispeech_deepspeech2", "a" * 200, "b" * 300, "c" * 300):
        assert name in said
    assert "\x1b" not in said  # even with FORCE_COLOR, a log is not a terminal


def test_a_dumb_terminal_is_written_to_as_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    for name, live in (("dumb", False), ("xterm-256color", True)):
        monkeypatch.setenv("TERM", name)
        assert console._Console(file=terminal).is_terminal is live
    assert Console(file=terminal).is_terminal  # rich itself treats it as a live terminal, and would show nothing


@pytest.mark.timeout(60)
def test_beside_a_bar_on_a_terminal_every_line_comes_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(console, "CONSOLE", console.make())
    with console.bars() as bar:
        console.progress(bar)("verifying pictures", 1_000, 3_000)
        console.say("a line")
        sys.stdout.write("a library's\n")  # rich redirects it, so that it does not break the bar
        assert sys.stdout is not terminal
    assert sys.stdout is terminal
    assert [terminal.getvalue().count(text) for text in ("a line", "a library's")] == [1, 1]


@pytest.mark.timeout(60)
def test_a_terminal_that_is_gone_is_told_once_beside_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", gone := Gone(errno.EIO))
    monkeypatch.setattr(gone, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(console, "CONSOLE", console.make())
    with console.bars():
        console.say("a line")
    assert gone.tried > 1
    assert capsys.readouterr().err.count("cannot write to standard output") == 1


def test_a_log_hears_of_what_takes_long(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(console, "_LINE_EVERY_SECONDS", 0.0)
    with console.bars() as bar:
        console.progress(bar)("verifying pictures", 1_000, 3_000)
    assert "verifying pictures: 1,000 of 3,000\n" in capsys.readouterr().out


def test_hidden_files_and_pipes_among_records_are_passed_over_or_named(records: Path) -> None:
    (records / "._a.json").write_bytes(b"\0\5\x16\7")  # macOS creates such files on other file systems
    (records / "notes.txt").touch()
    assert len(store.read_all(records)) == 1
    os.mkfifo(records / "pipe.json")
    with pytest.raises(ValueError, match=r"pipe\.json is not a readable record: it is not a file"):
        store.read_all(records)
    (records / "pipe.json").unlink()
    (records / "package.json").write_text("{}")
    with pytest.raises(ValueError, match=r"package\.json is not a readable record"):
        store.read_all(records)
