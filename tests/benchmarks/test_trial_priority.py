"""Which planned trials are missing, and which is run first."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.analysis.trial_priority import Standing, following, stand
from benchmarks.arms.registry import arm_plan
from benchmarks.evidence_plan import SECONDARY, WANTED
from benchmarks.records.schema import Record
from benchmarks.rows import BFLOAT16
from benchmarks.statistics.intervals import paired
from tests.benchmarks.test_evidence import RESNET18, SMALL, trial


def standing(have: int, gains: list[float], hours: float, target: float = 0.5, spread: float = 0.3) -> Standing:
    found = paired(gains) if gains else None
    wanted = dataclasses.replace(RESNET18, spread=spread)
    none: frozenset[int] = frozenset()
    return Standing(wanted, frozenset(range(have)), none, none, found, target, hours, None)


@pytest.fixture
def trials() -> list[Record]:
    return [trial(seed) for seed in range(3)]


def test_what_is_there_is_counted_by_recipe_data_and_arms(trials: list[Record]) -> None:
    (one,) = stand(trials, [SMALL])
    assert (one.have, one.failed, one.running, one.next_seed) == ({0, 1, 2}, set(), set(), 3)
    assert one.hours == pytest.approx(sum(of.cost.seconds for of in trials) / 3 / 3600)
    control = sum(of.arms["control"].test["top1_error"] for of in trials) / 3
    assert one.target == pytest.approx(0.041 * control / 2)  # half the paper's relative gain, Table 1
    (more,) = stand(trials, [RESNET18])
    assert (more.have, more.next_seed, more.hours) == (set(), 0, RESNET18.hours)
    (elsewhere,) = stand(trials, [dataclasses.replace(SMALL, data="other")])
    assert (elsewhere.have, elsewhere.found, elsewhere.gate) == (set(), None, None)
    assert elsewhere.target == pytest.approx(1.2 / 2)  # without our own control: half the paper's gain in points


def test_other_hardware_and_interrupted_trials_tell_nothing_of_the_time_it_takes_here(trials: list[Record]) -> None:
    on_gpu = [of.model_copy(update={"hardware": of.hardware.model_copy(update={"gpu": "H200"})}) for of in trials]
    assert stand(on_gpu, [SMALL])[0].hours == SMALL.hours
    assert stand(on_gpu, [SMALL], gpu="H200")[0].hours == stand(trials, [SMALL])[0].hours
    assert stand([of.model_copy(update={"interruptions": 1}) for of in trials], [SMALL])[0].hours == SMALL.hours


def test_a_seed_left_out_is_run_before_a_higher_one(trials: list[Record]) -> None:
    (one,) = stand([of for of in trials if of.seed != 1], [SMALL])
    assert (one.have, one.next_seed) == ({0, 2}, 1)


def test_seeds_beyond_the_plan_neither_count_nor_are_run(trials: list[Record]) -> None:
    (one,) = stand([*trials, trial(3), trial(4), trial(7)], [SMALL])
    assert (one.have, one.next_seed) == ({0, 1, 2, 3, 4}, None)
    assert following([one]) is None


def test_secondary_groups_come_last() -> None:
    dear = standing(4, [0.0, 0.1, 0.2, 0.3], 9.0)
    cheap = standing(0, [], 0.1)
    secondary = dataclasses.replace(cheap, wanted=dataclasses.replace(cheap.wanted, secondary=True))
    assert secondary.narrowing > dear.narrowing
    assert following([secondary, dear]) is dear
    assert following([secondary]) is secondary


def test_every_planned_arm_is_possible_with_its_recipe() -> None:
    for wanted in (*WANTED, *SECONDARY):
        assert [arm_plan(wanted.recipe, name, 100).name for name in wanted.arms] == list(wanted.arms)


def test_sensitivity_has_the_arms_of_the_answer_so_that_its_trials_may_replace_the_answers() -> None:
    for wanted in SECONDARY:
        main = next(one for one in WANTED if one.row == wanted.row)
        assert wanted.label_noise or set(wanted.arms) > set(main.arms)


def test_first_comes_what_narrows_most_per_hour_in_units_of_its_target() -> None:
    cheap, dear = standing(0, [], 0.5), standing(0, [], 2.0)
    assert following([dear, cheap]) is cheap
    assert following([standing(3, [1.0, -1.0, 0.5], 0.5), cheap]) is cheap  # the first trial of a row narrows most
    wide, narrow = standing(3, [2.0, -2.0, 1.0], 1.0), standing(3, [1.0, -1.0, 0.5], 1.0)
    assert following([narrow, wide]) is wide
    assert following([narrow, dataclasses.replace(wide, hours=10.0)]) is narrow
    assert following([narrow, dataclasses.replace(wide, target=5.0)]) is narrow
    # With fewer than three gains, the plan's spread is used: 1.96 x 0.3 x (1 - 1 / sqrt(2)) / 0.5 after the first trial.
    assert standing(1, [9.0], 1.0).narrowing == pytest.approx(1.96 * 0.3 * (1 - 0.5**0.5) / 0.5)
    # Without any, the gain is as uncertain as the claim: 1.0 - 1.96 x 0.3, in targets of 0.5.
    assert standing(0, [], 1.0).narrowing == pytest.approx((1.0 - 1.96 * 0.3) / 0.5)


def test_an_interval_that_excludes_zero_does_not_end_the_search() -> None:
    away = standing(3, [9.0, 10.0, 11.0], 0.1)
    assert away.found is not None
    assert away.found.interval is not None
    assert away.found.interval[0] > 0
    assert following([away]) is away


def test_trials_that_are_not_of_the_table_cell_do_not_count(trials: list[Record]) -> None:
    def have(changed: dict[str, object]) -> int:
        (one,) = stand([trials[0].model_copy(update=changed), *trials[1:]], [SMALL])
        return len(one.have)

    data = trials[0].data
    assert have({}) == 3
    assert have({"numerics": ""}) == have({"numerics": "imagenet 0"}) == 2
    assert have({"precision": BFLOAT16}) == 2
    assert have({"hardware": trials[0].hardware.model_copy(update={"processes": 2})}) == 2
    assert have({"data": data.model_copy(update={"name": "copy"})}) == 2
    assert have({"data": data.model_copy(update={"subset": 0.5})}) == 2
    assert have({"data": data.model_copy(update={"fingerprint": "0" * 16})}) == 2  # the same name, but other data
    fewer = trials[0].model_copy(update={"arms": {k: v for k, v in trials[0].arms.items() if k != "llr"}})
    (one,) = stand([fewer, *trials[1:]], [SMALL])
    assert one.have == {1, 2}


def test_a_trial_that_broke_down_is_not_run_again(trials: list[Record]) -> None:
    broken = trials[0].model_copy(update={"status": "failed", "arms": {}})
    (one,) = stand([broken, *trials[1:]], [SMALL])
    assert (one.have, one.failed, one.next_seed) == ({1, 2}, {0}, 3)
