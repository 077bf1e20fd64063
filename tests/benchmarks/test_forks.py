"""Arms with equal first phases train these phases once, with the same numbers as arms that train alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks.arms.arm import ArmPlan
from benchmarks.arms.paper_text_rate import has_text_reading
from benchmarks.arms.registry import arm_plan
from benchmarks.records.schema import Arm, Record
from benchmarks.rows import ROWS
from benchmarks.training import trial
from benchmarks.training.interruption import InterruptedTrial
from dsd.schedule import Phase, Schedule, StepDecay
from tests.benchmarks import toy
from tests.benchmarks.test_trial import StopAt, comparable, run

# S has a tenth and D2 a hundredth of D's learning rate, so that the arms with the text's D2 differ from the other arms.
RECIPE = dataclasses.replace(
    toy.RECIPE,
    schedule=Schedule(
        (
            Phase("dense", epochs=2, lr=0.1, decay=StepDecay(every=1)),
            Phase("sparse", epochs=1.4, lr=0.01, sparsity=0.5),
            Phase("redense", epochs=1, lr=0.001),
        )
    ),
)
ARMS = ("control", "dsd", "llr", "control-text", "dsd-text", "random", "swa")


def plans() -> dict[str, ArmPlan]:
    return {name: arm_plan(RECIPE, name, 5) for name in ARMS}


def outcome(arm: Arm) -> dict[str, object]:
    """Everything in the arm except its cost and the arm with which it shared phases."""
    shown = arm.model_dump(exclude={"cost", "forked_from", "shared_phases"})
    return shown | {"phases": [{k: v for k, v in phase.items() if k != "cost"} for phase in shown["phases"]]}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Record:
    record, _ = run(toy.ToyTask(RECIPE), tmp_path_factory.mktemp("together"), arms=ARMS)
    return record


def test_the_texts_d2_starts_at_a_tenth_of_ds_rate_and_s_is_the_tables() -> None:
    found = {name: [phase.lr for phase in plan.schedule] for name, plan in plans().items()}
    assert found["dsd"] == found["control"] == [0.01, 0.001]
    assert found["dsd-text"] == found["control-text"] == [0.01, 0.01]
    assert [phase.kind for phase in plans()["dsd-text"].schedule] == ["sparse", "redense"]
    assert [phase.kind for phase in plans()["control-text"].schedule] == ["dense", "dense"]


def test_the_texts_reading_is_one_of_the_cnns_but_vgg16() -> None:
    rows = {name for name, row in ROWS.items() if has_text_reading(row.recipe("paper"))}
    assert rows >= {"imagenet_googlenet", "imagenet_resnet18", "imagenet_resnet50"}
    assert not rows & {"imagenet_vgg16", "librispeech_deepspeech", "librispeech_deepspeech2"}
    with pytest.raises(
        ValueError, match=r"arm 'dsd-text': D2 at a tenth of D's rate is the recipe itself, or above the rate of S"
    ):
        arm_plan(ROWS["imagenet_vgg16"].recipe("paper"), "dsd-text", 100)


def test_arms_with_equal_s_share_it_and_no_others_do() -> None:
    found = trial.forks(list(plans().values()), 5)
    # swa averages weights over the last quarter of its 12 steps. S ends at step 7, before that.
    assert found == {"control-text": ("control", 1), "dsd-text": ("dsd", 1), "swa": ("control", 1)}


def test_an_average_that_begins_within_a_phase_shares_it_with_nobody() -> None:
    swa = plans()["swa"]
    assert swa.shared_phases(plans()["control"], 5) == 1
    assert dataclasses.replace(swa, own_from=6).shared_phases(plans()["control"], 5) == 0


def test_a_shared_phase_changes_no_number_of_any_arm(
    together: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "forks", lambda *_: {})
    alone, _ = run(toy.ToyTask(RECIPE), tmp_path, arms=ARMS)
    assert {arm.forked_from for arm in alone.arms.values()} == {""}
    for name in ARMS:
        assert outcome(together.arms[name]) == outcome(alone.arms[name])
    assert together.arms["dsd-text"].test != together.arms["dsd"].test or (
        together.arms["dsd-text"].curve != together.arms["dsd"].curve
    )


def test_a_shared_phase_is_paid_once(together: Record) -> None:
    told = {name: (arm.forked_from, arm.shared_phases, arm.cost.steps) for name, arm in together.arms.items()}
    assert told["control-text"] == ("control", 1, 12)
    assert told["dsd-text"] == ("dsd", 1, 12)
    assert told["dsd"] == ("", 0, 12)
    assert together.arms["dsd-text"].shared.steps == 7
    assert together.cost.steps == 10 + 12 * len(ARMS) - 3 * 7


@pytest.mark.promise(2)
@pytest.mark.parametrize("step", [13, 17, 18, 19, 21])  # within S, around its end at step 17, in D2
def test_a_trial_stopped_before_and_after_the_fork_ends_as_one_left_alone(
    together: Record, tmp_path: Path, step: int
) -> None:
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(RECIPE), tmp_path, StopAt(step), arms=ARMS)
    again, _ = run(toy.ToyTask(RECIPE), tmp_path, arms=ARMS)
    assert again.interruptions == 1
    assert comparable(again) == comparable(together)


def test_scores_are_told_before_and_right_after_pruning_and_at_every_phase_end(together: Record) -> None:
    assert together.dense is not None
    for run_ in (together.dense, *together.arms.values()):
        assert all(phase.train is not None and toy.ERROR.name in phase.train for phase in run_.phases)
    sparse, redense = together.arms["dsd"].phases
    assert sparse.pruned is not None
    assert set(sparse.pruned.test) == set(sparse.pruned.train) == {toy.ERROR.name}
    assert (redense.pruned, together.arms["control"].phases[0].pruned) == (None, None)
