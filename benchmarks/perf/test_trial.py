"""A trial whose arms share D and every batch, compared with two separate trials."""

from __future__ import annotations

import dataclasses
import io
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from benchmarks.cli.display import Display
from benchmarks.perf import workloads
from benchmarks.perf.interleave import report, save
from benchmarks.rows import ROWS
from benchmarks.training import checkpoint, provenance
from benchmarks.training.interruption import Stop
from benchmarks.training.plan import Plan
from benchmarks.training.trial import Trial
from dsd.schedule import Schedule
from tasks.imagenet import task as imagenet
from tasks.recipe import Recipe

ROW = ROWS["imagenet_resnet18"]
SMOKE = ROW.recipe("smoke")
# Epochs in the paper's proportions for residual networks: 90, 45, 45.
PHASES = [
    dataclasses.replace(phase, epochs=length) for phase, length in zip(SMOKE.schedule, (1.0, 0.5, 0.5), strict=True)
]
RECIPE = dataclasses.replace(SMOKE, schedule=Schedule(tuple(PHASES)))


@pytest.fixture(autouse=True)
def _no_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a full run, checkpoints take at most 2 % of the time. In these few steps they would dominate."""
    monkeypatch.setattr(checkpoint, "save", lambda state, path: None)


def compare(benchmark: Any, name: str, recipe: Recipe, source: imagenet.Source, out: Path) -> float:
    """Return the time of one trial with both arms, divided by that of one trial per arm."""
    origin = provenance.read(workloads.CPU)

    def run(*trials: tuple[str, ...]) -> None:
        for arms in trials:
            plan = Plan(ROW, "smoke", recipe, 0, arms, (), "", out, workloads.CPU, origin)
            task = imagenet.build(recipe, source, plan.stream(), workloads.CPU, 0)
            display = Display(Console(file=io.StringIO()), 1, ROW.metric, recipe.batch_size)
            Trial(plan, task, display, Stop(), fresh=True).run()

    candidates = {"together": lambda: run(("control", "dsd")), "separately": lambda: run(("control",), ("dsd",))}
    title = f"D, control and DSD, {name}"
    return report(benchmark, title, "separately", candidates, rounds=5, clock=time.process_time)["together"]


def test_compute_bound(benchmark: Any, tmp_path: Path) -> None:
    """Pictures are in memory, and the network takes nearly all of the time."""
    source = workloads.pictures(tmp_path / "set", 40, train=16, val=1)
    assert compare(benchmark, "compute-bound", RECIPE, source, tmp_path) < 0.85


def test_loader_bound(benchmark: Any, tmp_path: Path) -> None:
    """Files of 1,500 pixels are decoded for every batch. The network takes little time, because crops have 8 pixels."""
    recipe = dataclasses.replace(RECIPE, data=dataclasses.replace(RECIPE.data, crop=8, test_resize=8, test_crop=8))
    source = workloads.pictures(tmp_path / "set", 40, train=16, val=1, in_memory=False)
    for path in (tmp_path / "set").rglob("*.JPEG"):
        Image.open(path).resize((1500, 1500)).save(path)
    assert compare(benchmark, "loader-bound", recipe, source, tmp_path) < 0.75


def test_published_schedules(benchmark: Any) -> None:
    """Save the ratio of steps with the paper's epochs. Passes over the data are always halved."""
    shares = {}
    for row, entry in ROWS.items():
        dense, *rest = (phase.epochs for phase in entry.recipe("paper").schedule)
        shares[row] = (dense + 2 * sum(rest)) / (2 * dense + 2 * sum(rest))
    save(benchmark, "steps together / separately, at paper scale", shares)
    assert shares["imagenet_resnet18"] == 0.75
    assert shares["librispeech_deepspeech"] == 0.9
