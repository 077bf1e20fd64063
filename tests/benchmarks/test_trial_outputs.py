"""Outcomes and outputs for every test example, and saved weights."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from torch import nn

from benchmarks.cli.display import Display
from benchmarks.records.schema import Record
from benchmarks.training.interruption import InterruptedTrial, Stop
from benchmarks.training.trial import Trial
from tasks import pretrained
from tasks.task import Evaluation
from tests.benchmarks import toy
from tests.benchmarks.test_trial import StopAt, run


class Speaking(toy.ToyTask):
    """Outputs the predicted class of every test example."""

    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        result = super().evaluate(model, thorough)
        said = model(self.x[toy.N :]).argmax(1).tolist()
        samples = [
            {"utterance": f"u{i}", "reference": f"class {int(y)}", "transcript": f"class {c}"}
            for i, (y, c) in enumerate(zip(self.y[toy.N :], said, strict=True))
        ]
        return dataclasses.replace(result, samples=samples)


def outputs_of(out: Path, record: Record) -> pd.DataFrame:
    return pd.read_csv(out / "outputs" / f"{record.id}.csv.gz", keep_default_na=False)


def test_the_outputs_tell_what_d_and_every_arm_said_also_after_an_interruption(tmp_path: Path) -> None:
    arms = ("control", "dsd")
    whole, _ = run(Speaking(), tmp_path / "whole", arms=arms)
    table = outputs_of(tmp_path / "whole", whole)
    assert list(table) == ["utterance", "reference", "dense", "control", "dsd"]
    assert whole.dense is not None
    for name, arm in {"dense": whole.dense, **whole.arms}.items():
        assert 100 * (table[name] != table["reference"]).mean() == pytest.approx(arm.test["error"])
    for step in (5, 10, 14):  # in D, at its end, in S
        out = tmp_path / str(step)
        with pytest.raises(InterruptedTrial):
            run(Speaking(), out, StopAt(step), arms=arms)
        assert run(Speaking(), out, arms=arms)[0].outputs == whole.outputs != ""


@pytest.mark.parametrize("frozen", [False, True])
def test_saved_weights_tell_the_data_whose_features_they_were_trained_on(tmp_path: Path, frozen: bool) -> None:
    row = dataclasses.replace(toy.ROW, frozen=frozen)
    plan = dataclasses.replace(toy.plan(tmp_path, arms=("control",)), row=row, save_weights=True)
    task = toy.ToyTask()
    Trial(plan, task, Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH), Stop()).run()
    assert pretrained.read(str(plan.weights(task, "control"))).data == ("f" * 16 if frozen else "")


def test_the_bootstrap_mean_is_the_gain_over_control(tmp_path: Path) -> None:
    record, _ = run(toy.ToyTask(), tmp_path)
    for name in ("dsd", "llr", "random"):
        gain = record.arms["control"].test["error"] - record.arms[name].test["error"]
        assert record.bootstrap[name].mean == pytest.approx(gain)
