"""A speech trial of five phases that is stopped many times ends with the same numbers and weights as an uninterrupted one."""

from __future__ import annotations

import dataclasses
import io
import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from benchmarks.cli.display import Display
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.rows import row
from benchmarks.training.interruption import InterruptedTrial, Stop
from benchmarks.training.plan import Plan
from benchmarks.training.trial import Trial
from tasks.librispeech import synthetic, task
from tasks.librispeech.recipes import DEEPSPEECH, DEEPSPEECH2, WER, small
from tasks.librispeech.settings import DeepSpeech1Settings, DeepSpeech2Settings
from tasks.recipe import Recipe
from tests.benchmarks import toy
from tests.benchmarks.test_trial import StopAt, comparable

pytestmark = pytest.mark.promise(2)

CPU = torch.device("cpu")
ARMS = ("control", "dsd", "random")
STEPS_PER_EPOCH = 4  # 37 utterances: four batches of 8; every epoch leaves out five others
# Ends of D, S1, D1, S2 and D2: 1, 2, 3, 4 (a whole epoch) and 1 steps into an epoch.
ENDS = (5, 10, 15, 20, 25)
# In D and on its end, in S1 and on its end, in D1 and on its end, in S2 and on its end, and before the last step.
STOPS = (3, 5, 7, 10, 12, 15, 17, 20, 24)


def tiny_recipe(paper: Recipe, model: DeepSpeech1Settings | DeepSpeech2Settings) -> Recipe:
    short = small(paper, model, dense_epochs=1.25, lr=1e-2, momentum=0.9, clip_norm=10)
    return dataclasses.replace(short, batch_size=8, evaluate_every=0.75)


# DeepSpeech has dropout, whose noise a resumed run must draw again. DeepSpeech 2 has running averages in batch norm.
RECIPES = {
    "librispeech_deepspeech": tiny_recipe(DEEPSPEECH, DeepSpeech1Settings(width=24)),
    "librispeech_deepspeech2": tiny_recipe(DEEPSPEECH2, DeepSpeech2Settings(width=16, layers=2, channels=2)),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("speech") / "set"
    synthetic.generate(root, train=37, dev=1, test=6)
    return root


def run(name: str, root: Path, out: Path, stop: Stop) -> tuple[Record, dict[str, dict[str, torch.Tensor]]]:
    """Return the record of the trial and every arm's final weights, or raise at the step of `stop`. All objects are new."""
    recipe = RECIPES[name]
    plan = Plan(
        row=row(name),
        scale="smoke",
        recipe=recipe,
        seed=0,
        arms=ARMS,
        custom=(),
        command="",
        out=out,
        device=CPU,
        provenance=toy.ORIGIN,
        save_weights=True,
    )
    opened = task.open_data(recipe, root, 1.0, lambda *_: None)
    one = task.build(recipe, opened, plan.stream(), CPU, None)
    assert one.steps_per_epoch() == STEPS_PER_EPOCH
    display = Display(Console(file=io.StringIO()), 100, WER, recipe.batch_size)
    record = store.read(Trial(plan, one, display, stop).run())
    return record, {arm: load_file(plan.weights(one, arm)) for arm in ARMS}


@pytest.mark.parametrize("name", RECIPES)
def test_a_trial_stopped_in_every_phase_and_on_every_boundary_ends_as_one_that_never_was(
    name: str, root: Path, tmp_path: Path
) -> None:
    assert RECIPES[name].schedule.boundaries(STEPS_PER_EPOCH) == ENDS
    whole, expected = run(name, root, tmp_path / "whole", Stop())
    for before, after in pairwise((0, *STOPS)):
        with pytest.raises(InterruptedTrial):
            run(name, root, tmp_path / "cut", StopAt(after - before))
        assert not (tmp_path / "cut" / "records").exists()
    resumed, weights = run(name, root, tmp_path / "cut", Stop())
    assert (whole.interruptions, resumed.interruptions) == (0, len(STOPS))
    assert comparable(resumed) == comparable(whole)
    for arm in ARMS:
        assert weights[arm].keys() == expected[arm].keys()
        for key, value in expected[arm].items():
            assert torch.equal(weights[arm][key], value), f"{key} of {arm}"
    # The compared trials had five phases with masks, and the losses of their arms differ.
    for arm in ("dsd", "random"):
        phases = resumed.arms[arm].phases
        assert [(phase.kind, phase.steps) for phase in phases] == [("sparse", 5), ("redense", 5)] * 2
        kept = [sum(m.kept for m in p.mask) / sum(m.weights for m in p.mask) for p in phases if p.mask]
        assert kept == pytest.approx([0.50, 0.75], abs=1e-3)
    losses = {json.dumps([point.train for point in resumed.arms[arm].curve]) for arm in ARMS}
    assert len(losses) == len(ARMS)
