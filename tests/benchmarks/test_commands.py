"""How a run treats trials that ended before, failures and interruptions."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.cli import run
from benchmarks.cli.display import Display
from benchmarks.cli.options import Run
from benchmarks.cli.run import _trials
from benchmarks.records import store
from benchmarks.training.interruption import Stop
from benchmarks.training.plan import Plan
from tests.benchmarks import toy
from tests.benchmarks.test_trial import StopAt


def trials(
    out: Path, tasks: list[toy.ToyTask], fresh: bool = False, stop: Stop | None = None, save_weights: bool = False
) -> tuple[int, list[Path], str]:
    """Run a trial per task with seeds 0, 1, ...; return the exit status, the paths of the records and the printed text."""
    console = Console(file=io.StringIO(), width=500)
    plans = [toy.plan(out, seed, ("control", "dsd")) for seed in range(len(tasks))]
    pairs: list[tuple[Plan, toy.ToyTask]] = [
        (dataclasses.replace(plan, save_weights=save_weights), task) for plan, task in zip(plans, tasks, strict=True)
    ]
    written: list[Path] = []
    display = Display(console, 100, toy.ERROR, toy.BATCH)
    status = _trials(pairs, fresh, 34, display, stop or Stop(), set(), written)  # type: ignore[arg-type]
    return status, written, console.file.getvalue()  # type: ignore[attr-defined]


def test_a_seed_that_fails_does_not_stop_the_others_and_is_recorded_once(tmp_path: Path) -> None:
    def tasks() -> list[toy.ToyTask]:
        return [toy.ToyTask(seed=0, poison=12), toy.ToyTask(seed=1)]

    status, written, said = trials(tmp_path, tasks())
    assert status == 1
    assert [store.read(path).seed for path in written] == [1]
    assert "seed 0 failed: loss is nan in arm 'control'" in said
    status, written, said = trials(tmp_path, tasks())
    assert status == 1
    assert "seed 0: already failed" in said
    assert "seed 1: already finished" in said
    assert len(list((tmp_path / "records").iterdir())) == 2


def test_an_interrupted_fresh_run_goes_on_without_fresh(tmp_path: Path) -> None:
    trials(tmp_path, [toy.ToyTask()])
    status, written, said = trials(tmp_path, [toy.ToyTask()], fresh=True, stop=StopAt(14))
    assert (status, written) == (130, [])
    assert "the same command, without --fresh, resumes from there" in said
    task = toy.ToyTask()
    status, written, _ = trials(tmp_path, [task])
    assert task.served == list(range(14, 22))
    assert store.read(written[0]).interruptions == 1


def test_weights_of_a_trial_that_finished_without_them_are_not_promised(tmp_path: Path) -> None:
    trials(tmp_path, [toy.ToyTask()])
    with pytest.raises(ValueError, match=r"without --save-weights, .*; add --fresh"):
        trials(tmp_path, [toy.ToyTask()], save_weights=True)
    trials(tmp_path / "with", [toy.ToyTask()], save_weights=True)
    assert trials(tmp_path / "with", [toy.ToyTask()], save_weights=True)[0] == 0
    assert len(list((tmp_path / "with" / "weights").glob("*.safetensors"))) == 4  # D, the end of S, two arms


def test_fresh_is_refused_where_torchrun_would_start_it_again_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    with pytest.raises(ValueError, match="leave out --fresh or --max-restarts"):
        run.run(Run("imagenet_resnet18", fresh=True))
