"""Trials as Ray tasks: signals, trials that fit on no node, trials that are lost, and no connection to a cluster."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ROOT
from benchmarks.campaign import ray_engine
from benchmarks.campaign.trial import Resources, Result, Trial
from tests.campaign.test_local import script, wait_for

pytestmark = pytest.mark.timeout(180)
ray: Any = pytest.importorskip("ray", reason="Ray is not installed here: `nox -s engines` has it")

# as the suite's trials, it saves and stops on SIGTERM, and if its parent has ended
SAVES = """
import os, signal, sys, time
def save(*_):
    time.sleep(1)
    print('saved', flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
print('ready', flush=True)
for _ in range(600):
    time.sleep(0.1)
    if os.getppid() != int(os.environ['DSD_STOP_WITH_PARENT']):
        save()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of one node with one core."""
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()


def signalled(trials: list[Trial], log: Path, text: str, *numbers: int) -> dict[str, Result]:
    """Return the results of trials by title. Signals are sent to this process when `log` has `text`."""

    def send() -> None:
        wait_for(log, text)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(2)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return {result.trial.title: result for result in ray_engine.submit(trials)}
    finally:
        sender.join()


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_makes_running_trials_save_and_waiting_ones_never_start(tmp_path: Path, number: int) -> None:
    before = signal.getsignal(number)
    log = tmp_path / "running.log"
    trials = [script(tmp_path, SAVES, "running"), script(tmp_path, SAVES, "waiting")]
    results = signalled(trials, log, "ready", number)
    assert [results[title].status for title in ("running", "waiting")] == [128 + number] * 2
    assert results["running"].reason == f"stopped by signal {int(number)}; the same command resumes it"
    assert log.read_text() == "ready\nsaved\n"
    assert not (tmp_path / "waiting.log").exists()
    assert signal.getsignal(number) == before


@pytest.mark.usefixtures("cluster")
def test_a_trial_saves_if_the_process_that_submitted_it_is_killed(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tests.campaign.test_local import script\n"
    code += "from benchmarks.campaign import ray_engine\n"
    code += "list(ray_engine.submit([script(Path(sys.argv[1]), sys.argv[2])]))"
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    words = [sys.executable, "-c", code, str(tmp_path), SAVES]
    with subprocess.Popen(words, cwd=ROOT, env=environment) as driver:
        wait_for(tmp_path / "trial.log", "ready")
        driver.kill()
    wait_for(tmp_path / "trial.log", "saved")


@pytest.mark.usefixtures("cluster")
def test_a_second_signal_ends_the_wait(tmp_path: Path) -> None:
    slow = script(tmp_path, SAVES.replace("sleep(1)", "sleep(8)"))
    with pytest.raises(KeyboardInterrupt):
        signalled([slow], tmp_path / "trial.log", "ready", signal.SIGINT, signal.SIGINT)
    assert "saved" not in (tmp_path / "trial.log").read_text()
    wait_for(tmp_path / "trial.log", "saved")


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_fits_on_no_node_is_told_once_for_all_of_its_kind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    large = [script(tmp_path, "", str(seed), Resources(cpus=8, gpus=1)) for seed in range(2)]
    small = script(tmp_path, "import time; time.sleep(1); print('done', flush=True)", "small")
    assert len(signalled([*large, small], tmp_path / "small.log", "done", signal.SIGTERM)) == 3
    assert [record.message for record in caplog.records] == [
        "no node of the Ray cluster has CPU 8, GPU 1, which a trial needs (nodes: CPU 1, GPU 0); it waits for one"
    ]


@pytest.mark.usefixtures("cluster")
def test_a_trial_that_ray_cannot_run_is_reported_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (result,) = ray_engine.submit([script(tmp_path / "file", "")])
    assert (result.status, result.starts) == (-9, 1)
    assert result.reason.startswith("lost by Ray: FileExistsError: ")


@pytest.mark.usefixtures("cluster")
def test_a_trial_whose_worker_always_dies_is_reported_with_the_number_of_starts(tmp_path: Path) -> None:
    (result,) = ray_engine.submit(
        [script(tmp_path, "import os; os.kill(os.getppid(), 9)", resources=Resources(retries=1))]
    )
    assert (result.status, result.starts) == (-9, 2)
    assert result.reason.startswith("lost by Ray: The worker died unexpectedly")


def test_an_address_at_which_no_cluster_answers_is_an_error_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ValueError, match=f"no Ray cluster answers at RAY_ADDRESS {address}"):
        list(ray_engine.submit([script(tmp_path, "")]))


def test_why_ray_did_not_connect_is_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**options: object) -> None:
        cause = RuntimeError("Failed to connect to GCS. Traceback:\n  x\nAuthenticationError: the token is missing")
        raise ConnectionError("Failed to connect to Ray cluster") from cause

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    message = "^--backend ray: Failed to connect to Ray cluster: AuthenticationError: the token is missing$"
    with pytest.raises(ValueError, match=message):
        list(ray_engine.submit([script(tmp_path, "")]))
