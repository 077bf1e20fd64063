"""Answers about the planned rows: only from their own trials, with exactly the planned seeds, and if the gate holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import paper
from benchmarks.analysis import answers, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import group_records
from benchmarks.analysis.verdicts import Reason
from benchmarks.paper import claim_of
from benchmarks.records.schema import Record
from benchmarks.reporting import verdict_words
from benchmarks.rows import BFLOAT16
from tests.golden import build, regime

ROW = "imagenet_resnet18"


def row(found: Sequence[Record], name: str = ROW) -> Row:
    return answers.rows(group_records(found))[name]


def with_data(found: Sequence[Record], **fields: Any) -> list[Record]:
    return [one.model_copy(update={"data": one.data.model_copy(update=fields)}) for one in found]


def test_a_row_with_its_planned_seeds_and_a_gate_that_holds_has_both_answers() -> None:
    one = row(build.planned())
    assert (one.lacks, one.answer.claim, one.answer.direction) == ((), "excluded", "DSD better")
    assert one.gate is not None
    assert one.gate.holds
    assert one.have == 5
    assert one.answer.gain is not None
    assert one.answer.gain.mean == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_record_less_removes_the_verdict(seed: int) -> None:
    one = row([of for of in build.planned() if of.seed != seed])
    assert one.lacks == (Reason("seeds not run", (seed,)),)
    assert (one.answer.claim, one.answer.direction, one.answer.p_holm) == (None, None, None)
    assert one.answer.gain is not None  # reported also without a verdict


def test_a_record_more_removes_the_verdict() -> None:
    sixth = build.planned((*regime.GAINS, 1.0))
    assert row(sixth).lacks == (Reason("seeds not planned", (5,)),)
    again = build.planned((2.0,), finished="2030-02-01T10:00:00Z")[0].model_copy(update={"id": "again"})
    assert row([*build.planned(), again]).lacks == (Reason("seeds trained more than once", (0,)),)
    assert row([*build.planned(), again]).answer.claim is None
    earlier = again.model_copy(update={"finished": "2029-02-01T10:00:00Z"})
    assert row([*build.planned(), earlier]).lacks == (Reason("seeds trained more than once", (0,)),)
    fewer = again.model_copy(update={"arms": {name: again.arms[name] for name in ("dsd", "control")}})
    assert row([*build.planned(), fewer]).lacks == (Reason("seeds trained more than once", (0,)),)


def test_the_same_trial_once_more_is_no_other_result() -> None:
    again = build.planned()[2].model_copy(update={"id": "again", "finished": "2030-02-01T10:00:00Z"})
    assert row([*build.planned(), again]).lacks == ()


def test_a_failed_gate_or_none_gives_no_verdict() -> None:
    assert row(build.planned(train=60.0)).lacks == (Reason("gate fails"),)
    untold = [
        one.model_copy(update={"dense": one.dense.model_copy(update={"curve": []}) if one.dense else None})
        for one in build.planned()
    ]
    assert row(untold).lacks == (Reason("gate not computed"),)


def test_the_gate_is_of_the_planned_seeds() -> None:
    spoilt = build.planned((*regime.GAINS, 1.0), train=500.0)[5]
    assert row([*build.planned(), spoilt]).gate == row(build.planned()).gate


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"recipe_hash": "0" * 12}, "no trial; 5 outside the plan"),
        ({"numerics": "imagenet 0"}, "no trial; 5 outside the plan"),
        ({"numerics": ""}, "no trial"),
        ({"custom": ["sparsity=0.9"]}, "no trial"),
        ({"scale": "paper"}, "no trial"),
        ({"precision": BFLOAT16}, "no trial; 5 outside the plan"),
    ],
)
def test_other_trials_are_not_of_the_plan(changed: dict[str, Any], why: str) -> None:
    one = row([of.model_copy(update=changed) for of in build.planned()])
    assert (one.group, one.lacks, verdict_words.reasons(one)) == (None, (Reason("no trial"),), why)
    (group,) = group_records([of.model_copy(update=changed) for of in build.planned()])
    assert answers.row_of(group, answers.rows([group])) is None
    assert verdict_words.standing(group, answers.rows([group])).startswith("none: ")


def test_other_data_are_not_of_the_plan() -> None:
    assert row(with_data(build.planned(), name="other")).group is None
    assert row(with_data(build.planned(), subset=0.5)).group is None


def test_of_two_states_of_the_data_the_one_with_more_trials_counts() -> None:
    other = with_data(build.planned((5.0, 5.1)), fingerprint="0" * 12)
    other = [one.model_copy(update={"id": f"{one.id}-other"}) for one in other]
    assert row([*other, *build.planned()]).lacks == ()


def test_all_seven_rows_are_there_whatever_the_trials() -> None:
    found = answers.rows([])
    assert list(found) == list(paper.ROWS)
    for name, one in found.items():
        assert one.lacks == (Reason("no trial"),)
        assert (one.group, one.gate, one.answer.gain, one.text, one.beam) == (None, None, None, None, None)
        assert one.claim == claim_of(paper.ROWS[name])
        assert one.wanted.claim == one.claim.share


def test_a_row_lacking_an_arm_says_so() -> None:
    without = [
        one.model_copy(update={"arms": {name: arm for name, arm in one.arms.items() if name != "dsd"}})
        for one in build.planned()
    ]
    assert row(without).lacks == (Reason("no gain"),)
    assert verdict_words.reasons(row(without)) == "no DSD arm"
    assert (
        verdict_words.standing(group_records(without)[0], answers.rows(group_records(without)))
        == "none: not in the plan"
    )


def test_the_texts_reading_is_over_its_own_control_and_gets_no_verdict() -> None:
    one = row(build.planned())
    assert one.text is not None
    assert one.text.mean == pytest.approx(0.3)


def test_rows_of_one_plan_share_one_correction() -> None:
    both = [*build.planned(), *build.planned((0.1, 0.3, -0.2, 0.2, 0.1), row="imagenet_resnet50")]
    alone, found = row(build.planned()), answers.rows(group_records(both))
    assert alone.answer.p is not None
    assert alone.answer.p_holm == pytest.approx(7 * alone.answer.p)
    assert found[ROW].answer.p_holm == alone.answer.p_holm  # the smallest of seven p-values in both cases
    assert found["imagenet_resnet50"].answer.direction == "no difference shown"
    pooled = answers.pooled(found)
    assert pooled is not None
    assert pooled.rows == (ROW, "imagenet_resnet50")
    assert answers.pooled(answers.rows(group_records(build.planned()))) is None


def test_trials_of_suite_0_1_have_no_part_in_it() -> None:
    old = build.trio() + build.trio((1.0, 1.1, 1.2), row="imagenet_resnet50")
    assert all(one.group is None for one in answers.rows(group_records(old)).values())
    with_them, without = row([*build.planned(), *old]), row(build.planned())
    assert with_them.answer == without.answer
    assert {verdict_words.standing(group, answers.rows(group_records(old))) for group in group_records(old)} == {
        "none: superseded"
    }


def test_utterances_cluster_by_speaker_where_the_samples_name_them_all() -> None:
    (group,) = group_records(build.utterances())
    assert summary.measured(group).gain_parts.shape[1] == 40  # type: ignore[union-attr]
    named = []
    for one in build.utterances():
        samples = [{"utterance": f"{k % 4}-1-{k}", "reference": "a", "transcript": "a"} for k in range(40)]
        arms = {name: arm.model_copy(update={"samples": samples}) for name, arm in one.arms.items()}
        named.append(one.model_copy(update={"arms": arms}))
    measured = summary.measured(group_records(named)[0])
    assert measured is not None
    assert measured.gain_parts.shape == (3, 4)
