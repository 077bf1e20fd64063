"""A trial, whose arms share D and every batch, beside the two runs that one would start otherwise."""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable
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
from tasks.imagenet import task as imagenet
from tasks.recipe import Recipe

ROW = ROWS["imagenet_resnet18"]
EPOCHS = (1.0, 0.5, 0.5)  # in the paper's proportions for residual networks: 90, 45, 45


@pytest.fixture(autouse=True)
def _no_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a run they may take 2 % of the time; in these few steps the disk would be most of it, and the same either way."""
    monkeypatch.setattr(checkpoint, "save", lambda state, path: None)


def runner(recipe: Recipe, source: imagenet.Source, out: Path) -> Callable[..., None]:
    """Return a function that trains a trial of the arms it is given, to its record."""
    origin = provenance.read(workloads.CPU)
    stop = Stop()

    def run(*arms: str) -> None:
        plan = Plan(ROW, "smoke", recipe, 0, arms, (), "", out, workloads.CPU, origin)
        task = imagenet.build(recipe, source, plan.stream(), workloads.CPU, 0)
        display = Display(Console(file=io.StringIO()), 1, ROW.metric, recipe.batch_size)
        Trial(plan, task, display, stop, fresh=True).run()

    return run


def compare(benchmark: Any, name: str, recipe: Recipe, source: imagenet.Source, out: Path) -> float:
    """Return the time of a trial of both arms over that of one trial an arm."""
    run = runner(recipe, source, out)

    def separately() -> None:
        run("control")
        run("dsd")

    candidates = {"together": lambda: run("control", "dsd"), "separately": separately}
    title = f"D, control and DSD, {name}"
    return report(benchmark, title, "separately", candidates, rounds=5, clock=time.process_time)["together"]


def test_compute_bound(benchmark: Any, tmp_path: Path) -> None:
    """Pictures in memory, and a network that takes nearly all of the time."""
    recipe = workloads.shortened(ROW.recipe("smoke"), EPOCHS)
    source = workloads.pictures(tmp_path / "set", 40, train=16, val=1)
    assert compare(benchmark, "compute-bound", recipe, source, tmp_path) < 0.85


def test_loader_bound(benchmark: Any, tmp_path: Path) -> None:
    """Files of 1,500 pixels, decoded anew for every batch, and hardly any network: crops of 8 pixels."""
    recipe = workloads.shortened(ROW.recipe("smoke"), EPOCHS)
    recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, crop=8, test_resize=8, test_crop=8))
    source = workloads.pictures(tmp_path / "set", 40, train=16, val=1, in_memory=False)
    for path in (tmp_path / "set").rglob("*.JPEG"):
        Image.open(path).resize((1500, 1500)).save(path)
    assert compare(benchmark, "loader-bound", recipe, source, tmp_path) < 0.75


def test_published_schedules(benchmark: Any) -> None:
    """What the paper's epochs allow where steps are all that counts; passes over the data are half as many in every row."""
    shares = {}
    for row, entry in ROWS.items():
        dense, *rest = (phase.epochs for phase in entry.recipe("paper").schedule)
        shares[row] = (dense + 2 * sum(rest)) / (2 * dense + 2 * sum(rest))
    save(benchmark, "steps together / separately, at paper scale", shares)
    assert shares["imagenet_resnet18"] == 0.75
    assert shares["librispeech_deepspeech"] == 0.9
