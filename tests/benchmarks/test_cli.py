"""The command line as a user sees it: help, mistakes, a run on generated pictures, and the commands that read its results."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.records import schema, store
from benchmarks.training import checkpoint
from tests.benchmarks.test_trial import comparable
from tests.figures import without_figures

ROOT = Path(__file__).parents[2]
ROW = "imagenet_googlenet"  # the fastest of the four at 32 pixels
CAPTIONS = "flickr8k_neuraltalk"
RUN = ["run", ROW, "--subset", "0.1", "--device", "cpu"]
ARMS = ["--arms", "control", "dsd", "llr", "random"]
SHORT = ["run", CAPTIONS, "--subset", "0.02", "--device", "cpu", *ARMS]  # one batch per epoch

RUN_FLAGS = [
    *("scale", "data", "seeds", "first-seed", "arms", "device", "precision", "subset", "out", "fresh"),
    *("weights", "network", "dense", "sparsity", "lr-factor", "probe", "label-noise", "workers", "save-weights"),
]
FLAGS = {
    "run": RUN_FLAGS,
    "estimate": [*RUN_FLAGS, "json"],
    "evidence": ["data", "plan", "dry-run", "json", "campaign", "resources", "backend", "jobs", "hours", "rows", "out"],
    "tables": ["records", "check"],
    "report": ["records", "out"],
    "prepare": ["from", "out", "snr"],
    "verify": ["data", "subset", "scale", "record"],
    "compare": [],
    "status": ["out", "json"],
    "tensorboard": ["out", "logs", "once"],
    "package-weights": ["out", "records", "weights", "data", "device"],
    "evaluate": ["model", "data", "subset", "weights", "network", "scale", "device"],
}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.mark.parametrize("command", FLAGS)
def test_help_lists_exactly_these_flags(command: str) -> None:
    shown = python("-m", "benchmarks", command, "--help")
    assert shown.returncode == 0
    assert sorted(set(re.findall(r"--([a-z-]+)", shown.stdout)) - {"help"}) == sorted(FLAGS[command])


def test_help_costs_no_torch() -> None:
    code = "import sys\nfrom benchmarks.__main__ import main\ntry: main(['run', '--help'])\nfinally: print('torch' in sys.modules)"
    shown = python("-c", code)
    assert shown.stdout.rstrip().endswith("False")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "imagenet_resnet81"], "did you mean 'imagenet_resnet18'"),
        (["run", ROW, "--scale", "small"], r"needs --data DIR with train/WNID/\*\.JPEG"),
        (["run", ROW, "--subset", "0"], "subset=0"),
        (["run", ROW, "--seeds", "0"], "at least one seed"),
        (["run", ROW, "--arms", "dsd"], "must include 'control'"),
        (["run", ROW, "--dense", "nowhere.pt"], "neither a file nor a torchvision weights name"),
        (["run", ROW, "--sparsity", "1.5"], "sparsity must lie in"),
        (["estimate", ROW, "--arms", "dsd"], "must include 'control'"),
        (["estimate", ROW, "--scale", "paper"], "needs --data DIR"),
        (["run", ROW, "--network", "vgg16"], f"--network: {ROW} has no such flag; rows that have it: {CAPTIONS}"),
        (
            ["run", CAPTIONS, "--weights", "w.pt"],
            "--weights and --network have no use at smoke scale; add --scale small",
        ),
        (
            ["evaluate", CAPTIONS, "--model", "m.pt", "--weights", "w.pt"],
            "--weights and --network have no use at smoke scale; add --scale small --data DIR",
        ),
        (["status", "--out", "no/such"], "--out no/such: no such folder"),
        (["verify", ROW, "--data", "no/such/folder"], "no/such/folder is not a folder"),
    ],
)
def test_mistakes_end_in_one_clear_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one finished trial with all arms and their weights."""
    out = tmp_path_factory.mktemp("runs")
    assert main([*RUN, "--out", str(out), *ARMS, "--save-weights"]) == 0
    return out


def only_record(out: Path) -> schema.Record:
    (path,) = (out / "records").glob("*.json")
    return store.read(path)


def test_a_run_leaves_a_record_tables_and_figures(finished: Path) -> None:
    record = only_record(finished)
    assert record.status == "finished"
    assert record.data.synthetic
    assert record.data.counts == {"train": 72, "test": 300, "classes": 12}
    assert record.command == (
        f"python -m benchmarks run {ROW} --arms control dsd llr random --device cpu --subset 0.1 "
        f"--out {finished.name} --save-weights"
    )
    assert list(record.arms) == ["control", "dsd", "llr", "random"]
    assert (finished / "tables" / "smoke.md").exists()
    assert "SYNTHETIC" in (finished / "README.md").read_text()
    assert list((finished / "figures").glob("*.png"))
    assert not list((finished / "checkpoints").iterdir())


def test_every_layer_but_the_first_is_pruned_to_the_exact_count(finished: Path) -> None:
    mask = only_record(finished).arms["dsd"].phases[0].mask
    assert mask is not None
    names = {layer.name for layer in mask}
    assert "conv1.conv.weight" not in names
    assert {"conv2.conv.weight", "fc.weight", "aux1.fc1.weight"} <= names
    assert all(layer.zeros >= layer.weights - layer.kept == round(0.3 * layer.weights) for layer in mask)


def test_running_again_finds_it_finished(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = only_record(finished)
    assert main([*RUN, "--out", str(finished), *ARMS]) == 0
    assert "already finished" in capsys.readouterr().out
    assert only_record(finished) == before


def test_tables_check_finds_a_table_that_is_not_the_records(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["tables", "--records", str(finished / "records")]
    assert main(folder) == 0
    assert main([*folder, "--check"]) == 0
    table = finished / "tables" / "smoke.md"
    original = table.read_text()
    table.write_text(original.replace("DSD", "DSD!", 1))
    assert main([*folder, "--check"]) == 1
    assert "smoke.md" in capsys.readouterr().out
    assert main(folder) == 0
    assert table.read_text() == original


def test_evaluate_scores_saved_weights_as_the_record_does(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = only_record(finished)
    for arm in ("control", "dsd"):
        (weights,) = (finished / "weights").glob(f"*-{arm}.safetensors")
        assert main(["evaluate", ROW, "--model", str(weights), "--device", "cpu"]) == 0
        shown = capsys.readouterr().out
        assert f"top-1 error %: {record.arms[arm].test['top1_error']:.3f}\n" in shown
        assert "300 test examples" in shown
        assert "data: tiny-imagenet-shapes" in shown
        assert re.search(r"300 test, 12 classes, fingerprint [0-9a-f]{16}\n", shown)


@pytest.mark.usefixtures("no_figures")
def test_a_given_dense_network_takes_the_place_of_d(finished: Path, tmp_path: Path) -> None:
    (weights,) = (finished / "weights").glob("*-control.safetensors")
    assert main([*RUN, "--out", str(tmp_path), "--arms", "control", "--dense", str(weights)]) == 0
    record = only_record(tmp_path)
    assert record.dense is not None
    assert (record.dense.source, record.dense.phases) == (weights.name, [])
    assert record.dense.test["top1_error"] == only_record(finished).arms["control"].test["top1_error"]
    assert record.dense.cost.steps == 0


@pytest.mark.usefixtures("no_figures")
def test_another_sparsity_is_custom(tmp_path: Path) -> None:
    assert main([*SHORT, "--out", str(tmp_path), "--sparsity", "0.5"]) == 0
    record = only_record(tmp_path)
    assert record.custom == ["sparsity=0.5"]
    mask = record.arms["dsd"].phases[0].mask
    assert mask is not None
    assert all(layer.weights - layer.kept == round(0.5 * layer.weights) for layer in mask)


def test_to_score_weights_the_test_pictures_are_enough(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tasks.imagenet import synthetic

    synthetic.generate(tmp_path / "set", train=1, val=2)
    shutil.rmtree(tmp_path / "set" / "train")
    (weights,) = (finished / "weights").glob("*-dsd.safetensors")
    words = ["evaluate", ROW, "--model", str(weights), "--scale", "smoke", "--device", "cpu"]
    assert main([*words, "--data", str(tmp_path / "set")]) == 0
    assert "on 24 test examples" in capsys.readouterr().out


def test_a_sparsity_that_is_the_recipes_own_is_not_custom(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*RUN, "--out", str(finished), *ARMS, "--sparsity", "0.3"]
    assert main(words) == 0
    assert "already finished" in capsys.readouterr().out


def test_tables_are_not_written_beside_just_any_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results").mkdir()
    for folder in (tmp_path / "results", tmp_path / "absent" / "records"):
        assert main(["tables", "--records", str(folder)]) == 2
        assert "expected a folder called records" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_place_that_cannot_be_written_is_found_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([*RUN, "--out", str(tmp_path / "file")]) == 1
    shown = capsys.readouterr()
    assert str(tmp_path / "file") in shown.err
    assert "dense" not in shown.out


def test_status_tells_finished_from_missing(finished: Path) -> None:
    shown = python("-m", "benchmarks", "status", "--out", str(finished)).stdout
    lines = {line.split()[0]: line for line in shown.splitlines()}
    assert re.search(r"smoke +tiny-imagenet-shapes\S+ +0 +0 +-", lines[ROW])
    assert lines["imagenet_vgg16"].split()[1:] == ["-"] * 5
    # Names are not cut off, even in a narrow log.
    assert {"librispeech_deepspeech", "librispeech_deepspeech2"} <= set(lines)


def test_verify_passes_the_embedded_set_and_fails_a_damaged_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tasks.imagenet import synthetic

    assert main(["verify", ROW]) == 0
    assert "720 train, 300 test, 12 classes" in capsys.readouterr().out
    synthetic.generate(tmp_path / "set", train=2, val=1)
    picture = sorted((tmp_path / "set" / "train").glob("*/*.JPEG"))[3]
    picture.write_bytes(picture.read_bytes()[:300])
    assert main(["verify", ROW, "--data", str(tmp_path / "set")]) == 1
    assert f"{picture.relative_to(tmp_path / 'set')} is not a readable image" in capsys.readouterr().out
    assert main(["run", ROW, "--data", str(tmp_path / "set"), "--out", str(tmp_path / "out")]) == 2
    assert picture.name in capsys.readouterr().err


def on_a_terminal(words: list[str], environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command on a terminal of its own; return the process and the user's end of the terminal (a file descriptor)."""
    here, there = pty.openpty()
    code = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup
os.execv(sys.argv[1], sys.argv[1:])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        env=environment,
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
    )
    os.close(there)
    os.set_blocking(here, False)
    return process, here


def test_a_run_whose_terminal_is_closed_saves(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "benchmarks", *SHORT, "--out", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"}
    process, terminal = on_a_terminal(words, environment)
    deadline = time.monotonic() + 240
    while not (saved := list(tmp_path.glob("checkpoints/*/trial.pt"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
        with contextlib.suppress(BlockingIOError):
            os.read(terminal, 1 << 16)
    before = saved[0].stat().st_mtime_ns
    os.close(terminal)
    assert process.wait(60) == 129
    assert saved[0].stat().st_mtime_ns > before
    assert checkpoint.load(saved[0])["learners"]
    assert not (tmp_path / "records").exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> schema.Record:
    """The record of a trial without interruptions."""
    out = tmp_path_factory.mktemp("whole")
    with without_figures():
        assert main([*SHORT, "--out", str(out)]) == 0
    return only_record(out)


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_stopped_goes_on_to_the_same_record(
    whole: schema.Record, tmp_path: Path, number: signal.Signals
) -> None:
    words = [*SHORT, "--out", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("checkpoints/*/trial.pt")):  # first written after D, where the arms fork
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert ("the same command resumes" in output) == (number == signal.SIGTERM)
    assert not (tmp_path / "records").exists()
    assert main(words) == 0
    resumed = only_record(tmp_path)
    assert resumed.interruptions == 1
    ours, theirs = comparable(resumed), comparable(whole)
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    for key in ("dense", "arms", "bootstrap", "data", "recipe_hash", "seed"):
        assert ours[key] == theirs[key]
