"""The gate depends only on D, control and LLR, and excludes networks that have not converged."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from benchmarks import ROOT
from benchmarks.analysis import gate
from benchmarks.evidence_plan import WANTED, Wanted
from benchmarks.records import store
from benchmarks.records.schema import Record
from tests.golden import build

RECORDS = ROOT / "results" / "records"
OF = {one.row: one for one in WANTED}
RESNET18 = OF["imagenet_resnet18"]


def first_suite(row: str) -> list[Record]:
    """The trials of suite 0.1 with the row's own recipe."""
    found = store.read_all(RECORDS)
    return [
        one
        for one in found
        if (one.row, one.scale, one.status, one.numerics, one.custom) == (row, "small", "finished", "", [])
    ]


def made(
    train: float = 30.0, at_three_quarters: float = 60.2, dense: float = 60.0, llr: float = 59.5, control: float = 59.0
) -> Record:
    """A trial of ResNet-18 whose D is tested at 75 % and 100 % of its 90 epochs. Arguments are errors in percent."""
    one = build.record(baseline=dense, arms={"dsd": (70.0, 99.0), "control": (58.0, control), "llr": (58.0, llr)})
    assert one.dense is not None
    last = one.dense.curve[-1]
    points = [
        last.model_copy(update={"step": step, "test": test}) for step, test in ((75, at_three_quarters), (100, dense))
    ]
    curve = [point.model_copy(update={"test": {**last.test, "top1_error": point.test}}) for point in points]  # type: ignore[dict-item]
    phases = [one.dense.phases[-1].model_copy(update={"train": {"top1_error": train}})]
    return one.model_copy(update={"dense": one.dense.model_copy(update={"curve": curve, "phases": phases})})


@pytest.mark.parametrize("row", ["imagenet_googlenet", "imagenet_vgg16", "imagenet_resnet18", "imagenet_resnet50"])
def test_the_networks_of_suite_0_1_had_not_converged(row: str) -> None:
    records = first_suite(row)
    assert len(records) >= 3
    found = gate.check(records, OF[row])
    assert not found.holds
    assert "fit" in found.failed
    assert all(not gate.check([one], OF[row]).holds for one in records)


def test_a_network_that_fits_has_levelled_off_and_gains_little_from_llr_passes() -> None:
    found = gate.check([made()], RESNET18)
    assert found.holds
    assert [one.name for one in found.conditions] == ["fit", "plateau", "trained", "not saturated"]
    assert (
        found.conditions[0].detail
        == "training top-1 error after D 30.00, must be at most 49.00 and below the test's 60.00"
    )


# The claim is 4.1 % of the control's error of 59 %: 2.42 points, and half of it 1.21.
@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({"train": 49.1}, ("fit",)),
        ({"train": 49.0}, ()),
        # Below chance, but above the test error.
        ({"train": 48.0, "dense": 47.0, "at_three_quarters": 47.0, "llr": 46.0}, ("fit",)),
        ({"at_three_quarters": 61.3}, ("plateau",)),
        ({"at_three_quarters": 61.1}, ()),
        ({"at_three_quarters": 58.7}, ("plateau",)),
        ({"llr": 57.5}, ("trained",)),
        ({"llr": 57.7}, ()),
        ({"train": 0.1, "dense": 1.9, "at_three_quarters": 1.9, "llr": 1.9, "control": 1.9}, ("not saturated",)),
    ],
)
def test_each_condition_fails_where_its_threshold_is_crossed(
    changed: dict[str, float], failed: tuple[str, ...]
) -> None:
    assert gate.check([made(**changed)], RESNET18).failed == failed


def test_no_masked_arm_enters() -> None:
    record_of = made()
    worse = record_of.model_copy(update={"arms": {k: v for k, v in record_of.arms.items() if k != "dsd"}})
    assert gate.check([worse], RESNET18) == gate.check([record_of], RESNET18)


def test_what_is_not_told_does_not_pass() -> None:
    one = made()
    assert one.dense is not None
    early = [one.dense.curve[0].model_copy(update={"step": 50}), one.dense.curve[1]]
    without_point = one.model_copy(update={"dense": one.dense.model_copy(update={"curve": early})})
    assert gate.check([without_point], RESNET18).failed == ("plateau",)
    without_llr = one.model_copy(update={"arms": {k: v for k, v in one.arms.items() if k != "llr"}})
    assert gate.check([without_llr], RESNET18).failed == ("trained",)
    other = dataclasses.replace(RESNET18, gate=dataclasses.replace(RESNET18.gate, fit="perplexity"))
    assert gate.check([one], other).failed == ("fit",)
    with pytest.raises(ValueError, match="the gate of imagenet_resnet18 needs a trial"):
        gate.check([], RESNET18)
    with pytest.raises(ValueError, match="needs a trained D and the control"):
        gate.check([one.model_copy(update={"arms": {}})], RESNET18)


def test_a_row_is_judged_by_the_mean_of_its_trials() -> None:
    found = gate.check([made(train=40.0), made(train=60.0)], RESNET18)
    assert found.failed == ("fit",)
    assert gate.check([made(train=40.0), made(train=56.0)], RESNET18).holds


def test_what_the_other_seeds_must_average() -> None:
    fit, plateau, trained, saturated = gate.check([made(train=60.0), made(train=58.0)], RESNET18).conditions
    assert fit.values == (60.0, 58.0)
    assert fit.others(5) == (-math.inf, pytest.approx((5 * 49 - 118) / 3))
    claim = 0.041 * 59
    assert plateau.others(4) == pytest.approx(((-4 * claim / 2 - 0.4) / 2, (4 * claim / 2 - 0.4) / 2))
    assert trained.others(3) == (-math.inf, pytest.approx(3 * claim - 1))
    assert saturated.others(3) == (pytest.approx(6 - 118), math.inf)
    assert fit.quantity == "training top-1 error after D"
    for planned in (1, 2):
        with pytest.raises(ValueError, match=f"fit: 2 of {planned} seeds have run"):
            fit.others(planned)


def test_speech_tells_of_undertraining_and_does_not_gate_on_it() -> None:
    speech: Any = OF["librispeech_deepspeech2"]
    assert [one.gate.undertrained for one in WANTED if one.row.startswith("librispeech")] == [False, False]
    assert all(one.gate.undertrained for one in WANTED if not one.row.startswith("librispeech"))
    assert speech.gate.chance == 100.0


# Relative gains of the paper as fractions: from Table 1; for speech, those of one iteration at equal epochs (Tables 7 and 9).
CLAIMS = {
    "imagenet_googlenet": 0.036,
    "imagenet_vgg16": 0.137,
    "imagenet_resnet18": 0.041,
    "imagenet_resnet50": 0.046,
    "flickr8k_neuraltalk": 0.101,
    "librispeech_deepspeech": 1.35 / 33.55,
    "librispeech_deepspeech2": 0.56 / 14.52,
}


@pytest.mark.parametrize("wanted", WANTED, ids=lambda one: one.row)
def test_the_plan_has_every_row_once_with_its_claim_llr_and_five_seeds_or_more(wanted: Wanted) -> None:
    assert {one.row for one in WANTED} == set(CLAIMS)
    assert wanted.claim == pytest.approx(CLAIMS[wanted.row], rel=1e-6)
    assert {"control", "dsd", "llr"} <= set(wanted.arms)
    assert wanted.seeds >= 5
