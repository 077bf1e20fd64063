"""Slurm jobs by submitit: what is asked of sbatch, and how jobs that end without a result are reported.

Programs named as Slurm's stand in for it: sbatch numbers the jobs and runs none, squeue prints what a test wrote.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.campaign import slurm_engine
from benchmarks.campaign.trial import Resources, Result, Trial
from tests.campaign.test_local import script

SBATCH = """#!/bin/sh
cd "${0%/*}"
[ ! -e refused ] || { cat refused >&2; exit 1; }
echo x >> submitted
number=$(wc -l < submitted)
cp "$1" "batch$number"
echo "Submitted batch job $number"
"""
SQUEUE = """#!/bin/sh
cat "${0%/*}/states"
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the programs that stand in for Slurm."""
    submitit = pytest.importorskip("submitit", reason="submitit is not installed here: `nox -s engines` has it")
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, code in {"srun": SBATCH, "sbatch": SBATCH, "squeue": SQUEUE}.items():
        (folder / name).write_text(code)
        (folder / name).chmod(0o755)
    (folder / "states").touch()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr(submitit.SlurmJob, "_results_timeout_s", 0)
    monkeypatch.setattr(submitit.SlurmJob, "watcher", submitit.SlurmJob.watcher)  # restored after the test
    monkeypatch.setattr(slurm_engine, "_TICK", 0.05)
    monkeypatch.setattr(slurm_engine, "_ASK", 0.0)
    return folder


def jobs(slurm: Path) -> int:
    """Return the number of submitted jobs."""
    return len((slurm / "submitted").read_text().split()) if (slurm / "submitted").exists() else 0


def results(trial: Trial, folder: Path, **options: Any) -> Iterator[Result]:
    return slurm_engine.submit([trial], folder / "jobs", options)


def states(slurm: Path, *of_jobs: str) -> None:
    """Let squeue give the states of jobs 1, 2 and so on."""
    (slurm / "states").write_text("".join(f"{number} {state}\n" for number, state in enumerate(of_jobs, 1)))


def test_a_job_asks_for_what_its_trial_needs_and_for_the_options_in_the_file(slurm: Path, tmp_path: Path) -> None:
    trial = script(tmp_path, "", resources=Resources(cpus=6, time_limit_hours=0.5))
    states(slurm, "CANCELLED")
    more = {"additional_parameters": {"reservation": "night"}, "signal_delay_s": 60, "partition": "cpu"}
    assert len(list(results(trial, tmp_path, **more))) == 1
    asked = (slurm / "batch1").read_text()
    for words in ("--time=30", "--requeue", "--signal=USR2@60", "--reservation=night", "--partition=cpu"):
        assert f"#SBATCH {words}\n" in asked
    assert "#SBATCH --cpus-per-task=6\n" in asked
    assert "--cpus-per-task=6" in next(line for line in asked.splitlines() if line.startswith("srun "))


@pytest.mark.parametrize(
    ("hours", "options", "message"),
    [
        (24.0, {"partitoin": "cpu"}, r"\[slurm\]: Unknown argument 'partitoin'"),
        (0.1, {}, r"time_limit_hours 0\.1: at least 0\.12, because Slurm asks a job to save 300 seconds"),
        (24.0, {"partition": "none"}, r"^trial: sbatch: invalid partition: none; sbatch: failed$"),
    ],
)
def test_what_slurm_cannot_do_is_an_error(
    slurm: Path, tmp_path: Path, hours: float, options: dict[str, str], message: str
) -> None:
    (slurm / "refused").write_text("sbatch: invalid partition: none\nsbatch: failed\n")
    with pytest.raises(ValueError, match=message):
        list(results(script(tmp_path, "", resources=Resources(time_limit_hours=hours)), tmp_path, **options))
    assert jobs(slurm) == 0


def test_a_cancelled_job_is_reported_at_once_and_not_submitted_again(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("submitit.SlurmJob._results_timeout_s", 1000)
    states(slurm, "CANCELLED")
    (result,) = results(script(tmp_path, ""), tmp_path)
    assert (result.status, result.starts) == (128 + signal.SIGTERM, 1)
    assert result.reason == "job 1 was cancelled; the same command resumes it"
    assert jobs(slurm) == 1


def test_a_lost_job_is_submitted_again_so_often_and_no_more(slurm: Path, tmp_path: Path) -> None:
    states(slurm, "NODE_FAIL", "TIMEOUT", "OUT_OF_MEMORY")
    (result,) = results(script(tmp_path, "", resources=Resources(retries=2)), tmp_path)
    assert (result.status, result.starts, jobs(slurm)) == (-9, 3, 3)
    assert result.reason == f"job 3 was lost (OUT_OF_MEMORY), see {tmp_path / 'jobs' / '3_0_log.err'}"


def test_a_job_that_slurm_has_forgotten_is_lost_but_not_while_slurm_does_not_answer(
    slurm: Path, tmp_path: Path
) -> None:
    """A small cluster has no accounting, so that only squeue knows of jobs."""
    (slurm / "states").unlink()
    silent = slurm_engine.States()
    silent.register_job("1")
    assert not silent.is_done("1")
    states(slurm)
    assert silent.is_done("1")
    assert silent.get_state("1") == "UNKNOWN"
    (result,) = results(script(tmp_path, "", resources=Resources(retries=0)), tmp_path)
    assert result.reason.startswith("job 1 was lost (UNKNOWN)")


def test_a_trial_whose_job_is_in_the_queue_is_waited_for_and_not_submitted_again(
    slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = script(tmp_path, "")
    states(slurm, "CANCELLED")
    assert len(list(results(trial, tmp_path))) == 1  # job 1
    states(slurm, "CANCELLED", "CANCELLED")
    assert len(list(results(trial, tmp_path))) == 1  # job 2: the first is no longer in the queue
    assert jobs(slurm) == 2
    (slurm / "states").write_text("2 PENDING\n99 RUNNING\n")  # 99 is not ours
    ended = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: states(slurm, "CANCELLED", "CANCELLED"))
    monkeypatch.setattr(slurm_engine, "time", ended)
    (result,) = results(trial, tmp_path)
    assert result.reason.startswith("job 2 ")
    assert jobs(slurm) == 2
    other = replace(trial, command=(sys.executable, "-c", "pass"))
    states(slurm, "CANCELLED", "RUNNING", "CANCELLED")
    (result,) = results(other, tmp_path)
    assert result.reason.startswith("job 3 ")


def test_without_an_answer_of_slurm_nothing_is_submitted(slurm: Path, tmp_path: Path) -> None:
    (slurm / "states").unlink()
    with pytest.raises(ValueError, match="squeue does not answer, so it is unknown which trials have a job"):
        list(results(script(tmp_path, ""), tmp_path))
    assert jobs(slurm) == 0


def test_a_slurm_job_whose_trial_was_asked_to_stop_has_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm sends SIGTERM to a job that it cancels, but also to one that it requeues: only Slurm knows which."""
    stopped = script(tmp_path, "raise SystemExit(143)")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert slurm_engine.Job(stopped)().status == 143
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with pytest.raises(SystemExit) as ended:
        slurm_engine.Job(stopped)()
    assert ended.value.code == 143
    assert slurm_engine.Job(script(tmp_path, "raise SystemExit(2)", "invalid"))().status == 2
