from typing import Any

import pytest

from benchmarks.analysis.groups import group_records
from benchmarks.records.schema import Record
from tests.golden import build


def test_the_newest_record_of_a_seed_wins_across_time_zones() -> None:
    older = build.record(id="z", finished="2030-01-01T10:30:00+02:00", arms={"dsd": (1.0, 1.0), "control": (9.0, 9.0)})
    newer = build.record(id="a", finished="2030-01-01T09:00:00Z")
    (group,) = group_records([newer, older])
    assert [r.id for r in group.records] == ["a"]
    assert [r.id for r in group.replaced] == ["z"]


@pytest.mark.parametrize(
    "other",
    [
        {"recipe_hash": "another"},
        {"suite": "0.2"},
        {"scale": "paper"},
        {"custom": ["sparsity=0.5"]},
        {"source": "resnet18.safetensors"},
        {"row": "imagenet_resnet50"},
    ],
)
def test_unlike_records_are_never_averaged(other: dict[str, Any]) -> None:
    found = group_records([build.record(seed=0), build.record(seed=1, **other)])
    assert [len(group.records) for group in found] == [1, 1]


@pytest.mark.parametrize("change", [{"fingerprint": "ff"}, {"subset": 0.5}])
def test_unlike_data_are_never_averaged(change: dict[str, Any]) -> None:
    one = build.record(seed=0)
    two = build.record(seed=1)
    two = two.model_copy(update={"data": two.data.model_copy(update=change)})
    assert len(group_records([one, two])) == 2


def by_another_rule(record: Record, **fields: Any) -> Record:
    data = record.data.model_copy(update={"fingerprint": "by another rule"})
    return record.model_copy(update={"data": data, **fields})


def test_runs_that_differ_in_one_loss_or_outcome_do_not_make_data_one() -> None:
    old = build.record(id="old")
    again = by_another_rule(old, id="again", finished="2030-01-02T10:00:00Z")
    assert len(group_records([old, again])) == 1
    dsd = again.arms["dsd"]
    (point, *rest) = dsd.curve
    loss = {**point.train, "loss": point.train.get("loss", 1.0) + 1e-15}
    for change in (
        {"curve": [point.model_copy(update={"train": loss}), *rest]},
        {"outcomes": build.record(arms={"dsd": (9.0, 9.0)}).arms["dsd"].outcomes},
    ):
        other = again.model_copy(update={"arms": {**again.arms, "dsd": dsd.model_copy(update=change)}})
        assert other.arms["dsd"] != dsd
        assert len(group_records([old, other])) == 2
    assert again.dense is not None
    other = again.model_copy(update={"dense": again.dense.model_copy(update={"curve": []})})
    assert len(group_records([old, other])) == 2
    assert len(group_records([old, again.model_copy(update={"arms": {}})])) == 2
