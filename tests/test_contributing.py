"""CONTRIBUTING shows the changes for a new arm, row, domain and column: each is applied to a copy of the checkout and run."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.records import store
from tests.benchmarks.test_trial import comparable
from tests.fork_server import ForkServer

ROOT = Path(__file__).parents[1]
CHANGES = re.findall(
    r"^\*\*(An arm|A row|A domain|A column).*?^```diff\n(.*?)^```",
    (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)
GIT = shutil.which("git") or ""
SMALL = ["--subset", "0.02", "--device", "cpu"]  # for captions, one batch per epoch
ARM = ["run", "flickr8k_neuraltalk", *SMALL, "--arms", "control", "lookahead"]

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not (GIT and (ROOT / ".git").exists()), reason="no checkout of git"),
]


def git(folder: Path, *words: str, text: str | None = None) -> str:
    done = subprocess.run([GIT, "-C", str(folder), *words], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files with all changes of CONTRIBUTING. Each change also applies alone."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in git(ROOT, "ls-files", "-z").split("\0"):
        if (ROOT / name).is_file() and not name.startswith("results/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "-q")  # otherwise git would use a repository around the folder
    for _, change in CHANGES:
        git(folder, "apply", "--check", text=change)
    for _, change in CHANGES:
        git(folder, "apply", text=change)
    return folder


@pytest.fixture(scope="module")
def copied(checkout: Path) -> Iterator[ForkServer]:
    """Runs code in a process of the copy."""
    with ForkServer(checkout) as server:
        yield server


def commands(copied: ForkServer, code: str, *lines: list[str]) -> tuple[int, str]:
    """Run command lines one after another in one process of the copy, after `code`; return status and output."""
    source = f"""
import os
import sys
import torch
import benchmarks
from benchmarks.__main__ import main
from benchmarks.reporting.figures import files
files.write = lambda out, records: []  # takes longer than a trial
assert benchmarks.__path__[0].startswith({str(copied.root)!r}), benchmarks.__path__
os.environ["COLUMNS"] = "200"
torch.set_num_threads(1)
{code}
for words in {lines!r}:
    if status := main(words):
        sys.exit(status)
"""
    done = copied.run(source)
    return done.returncode, done.stdout + done.stderr


def test_there_is_a_change_for_each() -> None:
    assert [of for of, _ in CHANGES] == ["An arm", "A row", "A domain", "A column"]


def test_a_new_arm_is_trained_killed_inside_a_phase_and_resumed_tabled_and_estimated(
    checkout: Path, copied: ForkServer
) -> None:
    status, shown = commands(copied, "", [*ARM, "--out", "whole/runs"], ["tables", "--records", "whole/runs/records"])
    assert status == 0, shown
    assert re.search(r"Control, looking ahead +\d+\.\d\d +1", shown)
    table = (checkout / "whole" / "runs" / "tables" / "smoke.md").read_text(encoding="utf-8")
    assert "Control, looking ahead" in table
    cards = (checkout / "whole" / "runs" / "tables" / "arms.md").read_text(encoding="utf-8")
    assert "- In records: `lookahead`\n" in cards
    assert re.search(r"\| finished +\| minutes +\| state", table)
    assert re.search(r"\| \[\d\]\(#t1\) +\| used", table)

    # S has ten steps. At the eighth, the slow weights have changed once and differ from the network's weights.
    kill = f"""
import os
from benchmarks.cli.display import Display
original = Display.step
def step(self, learners, shown):
    original(self, learners, shown)
    if "lookahead" in learners and learners["lookahead"].step == 8:
        os.kill(os.getpid(), {int(signal.SIGTERM)})
Display.step = step
"""
    status, shown = commands(copied, kill, [*ARM, "--out", "stopped/runs"])
    assert status == 143, shown
    assert list((checkout / "stopped" / "runs" / "checkpoints").glob("*/trial.pt"))
    assert not (checkout / "stopped" / "runs" / "records").exists()
    estimate = ["estimate", *ARM[1:], "--out", "another"]
    status, shown = commands(copied, "", [*ARM, "--out", "stopped/runs"], estimate)
    assert status == 0, shown
    assert re.search(r"\(S\) +lookahead +10 ", shown)

    whole, resumed = (
        store.read(next((checkout / out / "runs" / "records").glob("*.json"))) for out in ("whole", "stopped")
    )
    assert (whole.interruptions, resumed.interruptions) == (0, 1)
    assert whole.arms["lookahead"].test != whole.arms["control"].test
    assert comparable(resumed) == comparable(whole)


def test_a_new_row_is_listed_and_trained(checkout: Path, copied: ForkServer) -> None:
    run = ["run", "flickr8k_wide", *SMALL, "--arms", "control", "--out", "row"]
    status, shown = commands(copied, "", run, ["status", "--out", "row"])
    assert status == 0, shown
    assert re.search(r"^flickr8k_wide +smoke +\S+ +0 +0 ", shown, re.MULTILINE)
    (record,) = store.read_all(checkout / "row" / "records")
    assert record.recipe["model"]["size"] == 256
    assert "NeuralTalk, twice as wide" in (checkout / "row" / "tables" / "smoke.md").read_text(encoding="utf-8")


def test_a_new_domain_has_its_row_and_its_flag(checkout: Path, copied: ForkServer) -> None:
    run = ["run", "blobs_perceptron", "--device", "cpu", "--spread", "0.25", "--out", "domain"]
    status, shown = commands(copied, "", run, ["verify", "blobs_perceptron"])
    assert status == 0, shown
    assert "usable for blobs_perceptron" in shown
    (record,) = store.read_all(checkout / "domain" / "records")
    assert (record.numerics, record.custom) == ("blobs 1", ["spread=0.25"])
    assert record.command.endswith("run blobs_perceptron --device cpu --out domain --spread 0.25")
    status, shown = commands(copied, "", ["run", "imagenet_vgg16", "--spread", "0.25"])
    assert (status, shown) == (
        2,
        "error: --spread: imagenet_vgg16 has no such flag; rows that have it: blobs_perceptron\n",
    )
