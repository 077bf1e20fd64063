"""Trials on this machine: how many at a time, on which GPU, the effect of signals, and killed trials."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.campaign import local
from benchmarks.campaign.submit import submit
from benchmarks.campaign.trial import TAKEN, Resources, Trial, run

STOPS = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print(os.getpid(), 'ready', flush=True)
time.sleep(60)
"""


def script(folder: Path, code: str, name: str = "trial", resources: Resources | None = None) -> Trial:
    return Trial(name, (sys.executable, "-c", code), folder / f"{name}.log", resources or Resources())


def wait_for(path: Path, text: str) -> None:
    for _ in range(3000):
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.01)
    raise AssertionError(f"{text!r} never came")


def test_as_many_run_at_a_time_as_asked_and_a_trial_is_taken_when_it_may_start(tmp_path: Path) -> None:
    taken: list[int] = []
    ended: list[int] = []

    def trials() -> Iterator[Trial]:
        for number in range(5):
            taken.append(number)
            assert len(taken) - len(ended) <= 2
            yield script(tmp_path, "import time; time.sleep(0.2)", f"trial {number}")

    for result in submit(trials(), jobs=2):
        ended.append(int(result.trial.title.split()[1]))
        assert (result.status, result.starts) == (0, 1)
    assert sorted(ended) == [0, 1, 2, 3, 4]


def test_each_job_has_its_gpu_and_jobs_beyond_share(tmp_path: Path) -> None:
    code = "import os, time; print(os.environ['CUDA_VISIBLE_DEVICES']); time.sleep(1)"
    trials = [script(tmp_path, code, str(number), Resources(gpus=0.5)) for number in range(4)]
    assert [result.status for result in submit(trials, jobs=4, gpus=("3", "5"))] == [0] * 4
    assert [(tmp_path / f"{number}.log").read_text().strip() for number in range(4)] == ["3", "5", "3", "5"]


def test_a_trial_without_gpu_sees_none_and_computes_on_its_cores(tmp_path: Path) -> None:
    code = "import os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']), os.environ['OMP_NUM_THREADS'])"
    assert [one.status for one in submit([script(tmp_path, code, resources=Resources(cpus=3))])] == [0]
    assert (tmp_path / "trial.log").read_text() == "'' 3\n"


def test_the_names_of_gpus_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")
    assert local.visible_gpus(3) == ["4", "6", "7"]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert local.visible_gpus(2) == ["0", "1"]


def test_a_killed_trial_is_started_again_so_often_and_no_more(tmp_path: Path) -> None:
    kill = "import os, sys; print('start', flush=True); os.kill(os.getpid(), 9)"
    (result,) = submit([script(tmp_path, kill, resources=Resources(retries=2))])
    assert (result.status, result.starts) == (-signal.SIGKILL, 3)
    assert (tmp_path / "trial.log").read_text() == "start\n" * 3
    (failed,) = submit([script(tmp_path, "raise SystemExit(1)", "failed")])
    assert (failed.status, failed.starts) == (1, 1)


def test_the_signal_of_slurm_before_the_time_limit_ends_neither_trial_nor_loader(tmp_path: Path) -> None:
    """Slurm sends it to every process of a job. The process that started the trial then asks the trial to save."""
    loader = "import os, signal; os.kill(os.getpid(), signal.SIGUSR2); print('loads', flush=True)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {loader!r}], check=True); {loader}"
    assert [(one.status, one.starts) for one in submit([script(tmp_path, code)])] == [(0, 1)]
    assert (tmp_path / "trial.log").read_text() == "loads\nloads\n"
    assert signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_signal_reaches_every_trial_once_and_none_starts_after_it(tmp_path: Path) -> None:
    def trials() -> Iterator[Trial]:
        for number in range(2):
            yield script(tmp_path, STOPS, str(number))
        wait_for(tmp_path / "0.log", "ready")
        wait_for(tmp_path / "1.log", "ready")
        yield script(tmp_path, "import os; os.kill(os.getppid(), 15)", "2")
        raise AssertionError("none may start after the signal")

    before = signal.getsignal(signal.SIGTERM)
    results = {result.trial.title: result for result in submit(trials(), jobs=3)}
    assert {title: result.status for title, result in results.items()} == {"0": 143, "1": 143, "2": results["2"].status}
    assert results["0"].starts == results["1"].starts == 1
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_error_in_the_queue_stops_the_trials_that_run(tmp_path: Path) -> None:
    def trials() -> Iterator[Trial]:
        yield script(tmp_path, STOPS)
        wait_for(tmp_path / "trial.log", "ready")
        raise ValueError("the queue is broken")

    with pytest.raises(ValueError, match="the queue is broken"):
        list(submit(trials(), jobs=2))
    assert not Path("/proc", (tmp_path / "trial.log").read_text().split()[0]).exists()


def test_a_trial_that_a_dying_process_still_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.campaign.trial._BETWEEN_TRIES", 0.01)
    code = f"""
from pathlib import Path
mark = Path({str(tmp_path / "mark")!r})
held = not mark.exists()
mark.touch()
raise SystemExit({TAKEN} if held else 0)
"""
    assert run(script(tmp_path, code)).status == TAKEN
    (tmp_path / "mark").unlink()
    assert run(script(tmp_path, code), patience=60).status == 0


def test_resources_are_checked() -> None:
    with pytest.raises(ValidationError, match="gpus"):
        Resources(gpus=2)  # a trial of several GPUs is started with torchrun
    with pytest.raises(ValidationError, match="cpus"):
        Resources(cpus=0)
