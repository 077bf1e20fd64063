"""Promises 2, 6 and 9 with real processes: a killed trial resumes to the same record, and several processes agree with one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fork_server import ROOT, ForkServer
from tests.trust.agreement import PRIMES, SIZES
from tests.trust.matrix import DOMAINS, MOMENTS, SIGNALS, outcome

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SAMPLE = (
    *(
        "flickr8k-1-0-SIGINT-mid_D",
        "flickr8k-1-0-SIGKILL-second_iteration",
        "flickr8k-2-0-SIGKILL-S_D2",
        "flickr8k-2-0-SIGINT-mid_S",
    ),
    *("imagenet-1-2-SIGTERM-mid_S", "imagenet-2-0-SIGTERM-second_iteration", "imagenet-2-2-SIGKILL-D_S"),
    *("librispeech-1-0-SIGKILL-last_step", "librispeech-2-2-SIGINT-last_step"),
    # With three processes, the order of a sum depends on the position of the number in its bucket.
    *("imagenet-3-0-SIGKILL-mid_S", "flickr8k-3-0-SIGINT-second_iteration", "librispeech-3-0-SIGTERM-mid_D"),
)


def test_the_sample_has_every_domain_signal_moment_and_number_of_processes_and_workers() -> None:
    found = [case.split("-") for case in SAMPLE]
    assert {case[0] for case in found} == set(DOMAINS)
    assert {case[1] for case in found} == {"1", "2", "3"}
    assert {case[2] for case in found} == {"0", "2"}
    assert {case[3] for case in found} == set(SIGNALS)
    assert {case[4] for case in found} == set(MOMENTS)


@pytest.mark.promise(2)
@pytest.mark.timeout(1200)  # seconds each on a free core, minutes on a busy machine
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_trial_that_was_killed_gives_the_same_record_and_weights(domain: str, fork_server: ForkServer) -> None:
    sample = [case for case in SAMPLE if case.startswith(domain)]
    done = fork_server.run(
        "import sys; from tests.trust import matrix; sys.exit(matrix.command(sys.argv[1:]))", *sample
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.endswith(": same record, same weights")] == [
        f"{case}: same record, same weights" for case in sorted(sample, key=_place)
    ]


def _place(case: str) -> int:
    from tests.trust.matrix import CASES

    return [str(one) for one in CASES].index(case)


@pytest.mark.promise(2)
def test_the_matrix_sees_a_checkpoint_that_forgot_the_optimizer(fork_server: ForkServer) -> None:
    code = """
import sys
from tests.trust import matrix
from benchmarks.training.learner import Learner
restore = Learner.restore
def forget(self, state):
    fresh = self.optimizer.state_dict()
    restore(self, state)
    self.optimizer.load_state_dict(fresh)
Learner.restore = forget
sys.exit(matrix.command(["flickr8k-1-0-SIGINT-mid_S"]))
"""
    done = fork_server.run(code)
    assert done.returncode == 1, done.stderr
    assert "flickr8k-1-0-SIGINT-mid_S: FAILED: flickr8k-1-0-SIGINT-mid_S: another record" in done.stdout


@pytest.mark.promise(2)
def test_the_matrix_sees_that_the_buckets_of_three_processes_differ(fork_server: ForkServer) -> None:
    code = """
import sys
from tests.trust import matrix
from tasks import distributed
from torch.nn.parallel import DistributedDataParallel
def fresh(model, backward):
    return DistributedDataParallel(model, broadcast_buffers=False, init_sync=False, gradient_as_bucket_view=True)
distributed.data_parallel = fresh
sys.exit(matrix.command(["flickr8k-3-0-SIGINT-mid_S"]))
"""
    done = fork_server.run(code)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "flickr8k-3-0-SIGINT-mid_S: FAILED: flickr8k-3-0-SIGINT-mid_S: another record" in done.stdout


@pytest.fixture(scope="module")
def report(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    code = """
import json, sys
from pathlib import Path
from tests.trust.agreement import report
print(json.dumps(report(Path(sys.argv[1]))))
"""
    done = fork_server.run(code, str(tmp_path_factory.mktemp("agreement")))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.promise(6)
def test_any_number_of_processes_scores_every_example_once_and_alike(report: Any, domain: str) -> None:
    found = report["evaluation"][domain]
    assert set(found) == {f"{size}-{rank}" for size in SIZES for rank in range(size)}
    assert found["1-0"]["examples"] == PRIMES[domain]
    assert all(one == found["1-0"] for one in found.values())


def test_several_processes_take_the_steps_of_one(report: Any) -> None:
    # The sums are the same, in another order, over 8 steps of float32. Differences are relative to the largest weight.
    assert report["weights"]["2"] < 1e-4
    assert report["weights"]["4"] < 1e-4


def torchrun(out: Path, *words: str, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    command = [*TORCHRUN, "--max-restarts", str(restarts), "tests/trust/trainer.py", "flickr8k", str(out), *words]
    out.mkdir(exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment, timeout=200)


def two_forks(fork_server: ForkServer, out: Path) -> Any:
    """Run the trial, or resume it, in two processes without torchrun; return its outputs."""
    code = """
import sys
from pathlib import Path
from tests.trust import matrix
from tests.trust.forks import several
matrix.torch.set_num_threads(1)
matrix.shorten("flickr8k")
out = Path(sys.argv[1])
sys.exit(max(several(2, lambda: matrix.run("flickr8k", out), out / "log")[0]))
"""
    done = fork_server.run(code, str(out))
    assert done.returncode == 0, (done.stderr, (out / "log").read_text())
    return outcome(out)


@pytest.fixture(scope="module")
def whole(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return two_forks(fork_server, tmp_path_factory.mktemp("whole"))


def alive(out: Path) -> list[int]:
    pids = [int(path.read_text()) for path in out.glob("pid-*")]
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.promise(9)
def test_a_dead_process_ends_the_job_and_torchrun_restarts_it_to_the_same_record(tmp_path: Path, whole: Any) -> None:
    moment = str(MOMENTS["second_iteration"])
    done = torchrun(tmp_path / "once", moment, "1", "SIGKILL")
    assert done.returncode != 0
    assert alive(tmp_path / "once") == []
    assert not list((tmp_path / "once").glob("records/*.json"))
    assert torchrun(tmp_path / "once").returncode == 0  # the same command resumes
    assert outcome(tmp_path / "once") == whole
    done = torchrun(tmp_path / "again", moment, "1", "SIGKILL", restarts=1)
    assert done.returncode == 0, done.stderr
    assert outcome(tmp_path / "again") == whole


@pytest.mark.promise(9)
def test_a_killed_loader_worker_of_one_process_ends_all_with_a_line_each(
    tmp_path: Path, fork_server: ForkServer
) -> None:
    code = """
import json, multiprocessing, os, signal, sys
from pathlib import Path
from tests.trust import matrix
from tests.trust.forks import several

def kill():
    if os.environ["RANK"] == "1":
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

out = Path(sys.argv[1])
matrix.torch.set_num_threads(1)
matrix.shorten("imagenet")
options = ("imagenet", "--out", str(out), "--workers", "2")
status, outlived = several(2, lambda: matrix.run_and(kill, matrix.MOMENTS["mid_S"], *options), out / "log")
saved = len(list(out.glob("checkpoints/*/trial.pt")))
again, _ = several(2, lambda: matrix.run("imagenet", out, workers=2), out / "again")
print(json.dumps([status, outlived < matrix.LONGEST, saved, again, len(list(out.glob("records/*.json")))]))
"""
    done = fork_server.run(code, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[1, 1], True, 1, [0, 0], 1]
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    worker, other = sorted((line for line in log.splitlines() if line.startswith("error: ")), reverse=True)
    assert re.fullmatch(r"error: loader process \d+ was killed \(SIGKILL\), .*", worker)
    assert re.fullmatch(r"error: another process of the run has ended or hangs \([^()]+\)", other)


@pytest.mark.promise(2)
def test_ctrl_c_reaches_the_trainers_through_torchrun_and_both_save(
    tmp_path: Path, whole: Any, fork_server: ForkServer
) -> None:
    done = torchrun(tmp_path, str(MOMENTS["mid_S"]), "-1", "SIGINT")
    assert done.returncode != 0
    assert [(tmp_path / f"ended-{rank}").read_text() for rank in (0, 1)] in (["130"] * 2, ["143"] * 2)
    assert two_forks(fork_server, tmp_path) == whole


@pytest.mark.promise(9)
def test_trainers_whose_torchrun_was_killed_save_and_end(tmp_path: Path, whole: Any, fork_server: ForkServer) -> None:
    done = torchrun(tmp_path, str(MOMENTS["mid_D"]), "-1", "SIGKILL")
    assert done.returncode == -9
    deadline = time.monotonic() + 60
    while alive(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(tmp_path) == []
    assert [(tmp_path / f"ended-{rank}").read_text() for rank in (0, 1)] == ["143"] * 2
    assert two_forks(fork_server, tmp_path) == whole


def test_processes_that_cannot_share_a_batch_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for split in ("train", "val"):  # a layout without pictures: reading it would give another error
        (tmp_path / split).mkdir()
    words = ("--nproc-per-node", "3", "-m", "benchmarks", "run", "imagenet_resnet18", "--data", str(tmp_path))
    command = [sys.executable, "-m", "torch.distributed.run", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode != 0
    assert "error: 3 processes cannot share batches of 32 equally" in done.stderr


@pytest.mark.promise(8)
def test_a_loss_of_one_process_that_is_no_number_stops_the_update_of_all(
    tmp_path: Path, fork_server: ForkServer
) -> None:
    code = """
import json, math, sys
from pathlib import Path
import torch
from benchmarks.arms.arm import ArmPlan
from benchmarks.training.learner import Learner, NonFiniteError, make_optimizer
from tasks import distributed
from tests.benchmarks import toy
from tests.trust.forks import several

def work():
    with distributed.joined(torch.device("cpu")):
        task = toy.ToyTask(poison=3 if distributed.rank() else None)
        model = task.model()
        learner = Learner(ArmPlan("dense", toy.RECIPE.schedule), task, model, make_optimizer(toy.RECIPE, model))
        for step, batch in enumerate(task.batches(0, 6)):
            if step == 3:
                before = [weight.detach().clone() for weight in model.parameters()]
            learner.train_step(batch, step)
        try:
            learner.read()
        except NonFiniteError as error:
            said = str(error)
        same = all(map(torch.equal, before, model.parameters()))
        Path(sys.argv[1], str(distributed.rank())).write_text(json.dumps([said, same, learner.step]))
    return 0

torch.set_num_threads(1)
sys.exit(max(several(2, work, Path(sys.argv[1], "log"))[0]))
"""
    done = fork_server.run(code, str(tmp_path))
    assert done.returncode == 0, (done.stderr, (tmp_path / "log").read_text())
    (said, same, step), other = (json.loads((tmp_path / str(rank)).read_text()) for rank in (0, 1))
    assert "loss is nan in arm 'dense', dense phase, step 3 (phase step 3); no update was made. Batch: sample" in said
    assert (same, step) == (True, 3)
    assert other == [said, same, step]
