"""A checkpoint is whole or absent: killed writers, full disks, read-only folders."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from benchmarks.cli.display import Display
from benchmarks.records import store
from benchmarks.training import checkpoint
from benchmarks.training.interruption import InterruptedTrial, Stop
from benchmarks.training.trial import Trial
from tests.benchmarks import toy
from tests.benchmarks.killed_writer import MOMENTS, state
from tests.benchmarks.test_trial import StopAt, comparable
from tests.fork_server import ROOT, ForkServer

pytestmark = pytest.mark.promise(4)

NOBODY = 65534


def killed(fork_server: ForkServer, folder: Path, *kills: str | int) -> None:
    """Kill a writer at each of `kills`, each in a folder with the name of the kill."""
    code = """
import sys
from pathlib import Path
from tests.benchmarks import killed_writer
killed_writer.main(Path(sys.argv[1]), sys.argv[2:])
"""
    done = fork_server.run(code, str(folder), *map(str, kills))
    assert done.stdout.splitlines() == [f"{kill} 9" for kill in kills], done.stderr


def require_step(path: Path, step: int) -> None:
    """Require that the checkpoint is that of `step`; compare every number."""
    found, expected = checkpoint.load(path), state(step)
    tensors, wanted = found.pop("learners"), expected.pop("learners")
    assert found == {"format": checkpoint.FORMAT, **expected}
    assert list(tensors) == list(wanted)
    assert all(torch.equal(tensors[name], wanted[name]) for name in wanted)


def test_a_writer_killed_at_any_byte_leaves_the_previous_checkpoint(tmp_path: Path, fork_server: ForkServer) -> None:
    checkpoint.save(state(2), tmp_path / "whole.pt")
    size = (tmp_path / "whole.pt").stat().st_size
    offsets = np.random.default_rng(0).choice(np.arange(1, size + 1), 40, replace=False).tolist()
    killed(fork_server, tmp_path, *offsets)
    for offset in offsets:
        folder = tmp_path / str(offset)
        require_step(folder / "trial.pt", 1)
        (leftover,) = set(folder.iterdir()) - {folder / "trial.pt"}
        assert leftover.stat().st_size == offset  # killed at the intended byte
        checkpoint.save(state(3), folder / "trial.pt")
        require_step(folder / "trial.pt", 3)
        # The incomplete file of the killed writer was deleted.
        assert [path.name for path in folder.iterdir()] == ["trial.pt"]


def test_a_writer_killed_between_writing_and_renaming_leaves_one_of_the_two(
    tmp_path: Path, fork_server: ForkServer
) -> None:
    killed(fork_server, tmp_path, *MOMENTS)
    for moment in MOMENTS:
        require_step(tmp_path / moment / "trial.pt", 2 if moment == "after-rename" else 1)
        checkpoint.save(state(3), tmp_path / moment / "trial.pt")
        assert [path.name for path in (tmp_path / moment).iterdir()] == ["trial.pt"]


FULL = """
import resource, signal, sys
from pathlib import Path
from benchmarks.training import checkpoint
from tests.benchmarks.killed_writer import state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails, as on a full disk, instead of ending the process
said = []
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        checkpoint.save(state(2), Path(sys.argv[1]))
    except OSError as error:
        said.append(str(error))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(*said, sep=chr(10))  # to a file
"""


def test_a_disk_that_is_full_at_any_byte_leaves_the_previous_checkpoint(
    tmp_path: Path, fork_server: ForkServer
) -> None:
    path = tmp_path / "trial.pt"
    checkpoint.save(state(1), path)
    size = path.stat().st_size
    limits = [0, 1, *np.random.default_rng(1).choice(np.arange(2, size), 20, replace=False).tolist(), size - 1]
    done = fork_server.run(FULL, str(path), *map(str, limits))
    assert done.stdout.splitlines() == [
        f"the checkpoint {path} could not be written: File too large; the one before it is untouched"
    ] * len(limits), done.stderr
    require_step(path, 1)
    assert list(tmp_path.iterdir()) == [path]


RUN_FULL = """
import resource, signal, sys
from benchmarks import __main__
from tests.trust import matrix
build = matrix.models.build
matrix.shorten("imagenet")
matrix.models.build = build  # whose checkpoint is large
matrix.torch.set_num_threads(1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(__main__.main(sys.argv[2:]))
"""


def test_a_full_disk_ends_the_command_with_1_and_loses_no_record(tmp_path: Path, fork_server: ForkServer) -> None:
    (finished,) = (ROOT / "tests" / "golden" / "records").glob("imagenet_vgg16-*.json")
    (tmp_path / "records").mkdir()
    shutil.copy(finished, tmp_path / "records")
    words = ["run", "imagenet_resnet18", "--device", "cpu", "--out", str(tmp_path)]
    # Files of up to 1 MB: enough for records and tables, not for a checkpoint.
    done = fork_server.run(RUN_FULL, "1000000", *words)
    assert done.returncode == 1, done.stderr
    assert "trial.pt could not be written: File too large; there is none of this trial" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.read_bytes() for path in (tmp_path / "records").iterdir()] == [finished.read_bytes()]


def trial(out: Path, stop: Stop | None = None) -> Trial:
    display = Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH)
    return Trial(toy.plan(out, arms=("control", "dsd")), toy.ToyTask(), display, stop or Stop())


def test_a_record_that_cannot_be_written_keeps_the_checkpoint(tmp_path: Path) -> None:
    whole = store.read(trial(tmp_path / "whole").run())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "records").touch()  # a file where the folder should be
    with pytest.raises(OSError, match="records"):
        trial(tmp_path / "out").run()
    (tmp_path / "out" / "records").unlink()
    resumed = store.read(trial(tmp_path / "out").run())
    assert resumed.interruptions == 1
    assert comparable(resumed) == comparable(whole)


def test_a_damaged_checkpoint_stops_the_trial_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InterruptedTrial):
        trial(tmp_path, StopAt(14)).run()
    (path,) = tmp_path.glob("checkpoints/*/trial.pt")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    name, extra = struct.unpack("<HH", content[largest.header_offset + 26 : largest.header_offset + 30])
    # Damage a byte inside an entry, not padding.
    content[largest.header_offset + 30 + name + extra + largest.file_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path} is not a readable checkpoint: .*delete it, or run with --fresh"):
        trial(tmp_path).run()
    assert path.read_bytes() == content  # the file is kept
    path.unlink()
    assert store.read(trial(tmp_path).run()).interruptions == 0


@pytest.fixture
def unwritable() -> Iterator[Path]:
    """A folder that this process can read but not write. Root can write anywhere, so it switches to another user meanwhile."""
    folder = Path(tempfile.mkdtemp())  # not in pytest's folder, which other users cannot enter
    (folder / "out").mkdir()
    (folder / "out").chmod(0o555)
    folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield folder / "out"
    finally:
        if root:
            os.seteuid(0)
        (folder / "out").chmod(0o755)
        shutil.rmtree(folder)


def test_a_folder_that_may_not_be_written_is_found_before_training(unwritable: Path) -> None:
    started = trial(unwritable)
    with pytest.raises(PermissionError, match=str(unwritable)):
        started.run()
    assert isinstance(started.task, toy.ToyTask)
    assert started.task.served == []
    with pytest.raises(
        OSError, match=rf"the checkpoint {unwritable / 'trial.pt'} could not be written: Permission denied"
    ):
        checkpoint.save(state(1), unwritable / "trial.pt")
