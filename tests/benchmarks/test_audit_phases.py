"""Records contain the scores on training examples for every phase, and phases that two arms share are equal."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.audit import checks, curves
from benchmarks.records.schema import Record
from tests.benchmarks import toy
from tests.benchmarks.test_forks import ARMS, RECIPE
from tests.benchmarks.test_trial import run


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    found, _ = run(toy.ToyTask(RECIPE), tmp_path_factory.mktemp("trial"), arms=ARMS)
    return found


def changed(record: Record, arm: str, phase: int | None = None, **fields: Any) -> Record:
    """Return the record with replaced fields of an arm, or of one of its phases."""
    one = record.arms[arm]
    if phase is not None:
        phases = [p.model_copy(update=fields) if k == phase else p for k, p in enumerate(one.phases)]
        fields = {"phases": phases}
    return record.model_copy(update={"arms": record.arms | {arm: one.model_copy(update=fields)}})


def test_a_record_of_ours_agrees(record: Record) -> None:
    assert curves.phase_problems(record) == []
    assert [(one.check, one.detail) for one in checks.audit(record) if one.status == "fails"] == []


@pytest.mark.parametrize(
    ("arm", "phase", "fields", "problem"),
    [
        ("dsd", 1, {"train": None}, "dsd, phase 2: no scores on training examples"),
        ("dsd", 1, {"train": {"other": 1.0}}, "dsd, phase 2: its scores on training examples lack top1_error"),
        ("dsd", 0, {"pruned": None}, "dsd, phase 1: no scores right after pruning"),
        (
            "dsd-text",
            None,
            {"forked_from": "swap"},
            "dsd-text shares phases with swap, which is not an arm of the record",
        ),
        ("dsd-text", None, {"shared_phases": 2}, "dsd-text shares 2 of its 2 phases with dsd"),
        ("dsd-text", None, {"forked_from": "control"}, "dsd-text shares 1 phases with control, and they differ"),
        ("dsd", None, {"shared_phases": 1}, "dsd shares 1 phases with no arm"),
    ],
)
def test_what_does_not_agree_is_named(
    record: Record, arm: str, phase: int | None, fields: dict[str, Any], problem: str
) -> None:
    metric = record.metric
    found = curves.phase_problems(changed(record, arm, phase, **fields))
    assert problem.replace("top1_error", metric) in found


def test_costs_count_a_shared_phase_once(record: Record) -> None:
    (cost,) = [one for one in checks.audit(record) if one.check == "cost"]
    assert cost.status == "holds"
    twice = changed(record, "dsd-text", None, forked_from="", shared_phases=0)
    (cost,) = [one for one in checks.audit(twice) if one.check == "cost"]
    assert cost.status == "fails"


def test_records_of_suite_0_1_are_not_asked(record: Record) -> None:
    assert curves.phase_problems(changed(record, "dsd", 1, train=None).model_copy(update={"numerics": ""})) == []
