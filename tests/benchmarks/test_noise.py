"""The check against wrong labels: which groups are compared, and the text about D2."""

import re
from typing import Any

import pytest

from benchmarks.analysis import label_noise
from benchmarks.analysis.groups import group_records
from benchmarks.records.schema import Record
from tests.benchmarks.test_tables import line, pages_of
from tests.golden import build

ROW = "imagenet_resnet50"
PAGE = "tables/superseded.md"


def levels(found: list[Record]) -> list[label_noise.Level]:
    (one,) = label_noise.checks(group_records(found), ROW)
    return one


def changed(found: list[Record], **fields: Any) -> list[Record]:
    return [one.model_copy(update=fields) for one in found]


def test_a_noisy_group_stands_beside_the_one_that_differs_in_the_noise_alone() -> None:
    clean, noisy = levels(build.sweep() + build.noisy())
    assert (clean.share, noisy.share) == (0.0, 0.2)
    # DSD over the control at the end of S: 41.0 - 41.5 without noise, 44.5 - 44.0 with it. After D2: 0.3 and -0.6 on average.
    assert (clean.sparse.mean, noisy.sparse.mean) == (pytest.approx(-0.5), pytest.approx(0.5))
    assert (clean.redense.mean, noisy.redense.mean) == (pytest.approx(0.3), pytest.approx(-0.6))
    assert (clean.difference.mean, noisy.difference.mean) == (pytest.approx(0.8), pytest.approx(-1.1))
    dsd = noisy.courses["dsd"]
    assert [one.mean if one else None for one in dsd.train] == [23.0, 50.0, 20.0]
    assert [one.mean for one in dsd.test] == pytest.approx([46.0, 44.0, 44.6])
    assert (dsd.measure, dsd.change.mean, noisy.courses["control"].change.mean) == (
        *("top1_error", pytest.approx(-0.6)),
        pytest.approx(0.5),
    )


@pytest.mark.parametrize("other", [{"suite": "0.2"}, {"scale": "paper"}, {"recipe": {"network": "x", "data": {}}}])
def test_a_group_that_differs_in_more_is_no_counterpart(other: dict[str, Any]) -> None:
    assert [one.share for one in levels(changed(build.sweep(), **other) + build.noisy())] == [0.2]


def test_notes_are_words_and_part_no_groups() -> None:
    clean = [one.model_copy(update={"recipe": one.recipe | {"notes": ["another"]}}) for one in build.sweep()]
    assert len(levels(clean + build.noisy())) == 2


def test_without_noise_there_is_no_check() -> None:
    assert label_noise.checks(group_records(build.sweep()), ROW) == []
    assert label_noise.checks(group_records(build.noisy()), "imagenet_vgg16") == []
    assert "label noise" not in pages_of(build.sweep())[PAGE]


def test_trials_whose_control_has_other_steps_are_left_out() -> None:
    one, *rest = build.noisy()
    control = one.arms["control"]
    phases = [phase.model_copy(update={"steps": 5}) for phase in control.phases]
    uneven = one.model_copy(update={"arms": one.arms | {"control": control.model_copy(update={"phases": phases})}})
    (level,) = levels([uneven, *rest])
    assert level.redense.n == 2


def trained_to(error: float) -> list[Record]:
    """Return the noisy records, in which DSD ends with this training error instead of 20 %."""
    found = []
    for one in build.noisy():
        points = one.arms["dsd"].curve
        last = points[-1].model_copy(update={"train": {"top1_error": error}})
        arm = one.arms["dsd"].model_copy(update={"curve": [*points[:-1], last]})
        found.append(one.model_copy(update={"arms": one.arms | {"dsd": arm}}))
    return found


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        (build.noisy(), "it overfits."),
        (build.noisy(overfits=False), "it does not overfit: test improves."),
        (build.noisy(2), "no answer below 3 seeds (n = 2)."),
        (trained_to(60.0), "test gets worse, but so does training: not overfitting."),
        (
            [*build.noisy(2), *changed(build.noisy(overfits=False)[:1], seed=7)],
            "no significant change in the test metric",
        ),
    ],
)
def test_the_answer_is_what_training_and_test_say(found: list[Record], answer: str) -> None:
    assert f"With 20 % of the labels wrong: **{answer}" in pages_of(found)[PAGE]


def test_it_has_a_place_of_its_own_in_the_overview_and_under_the_row() -> None:
    files = pages_of(build.sweep() + build.noisy())
    overview = files["tables/overview.md"]
    part = overview[overview.index("## Label noise") :]
    assert line(part, "ResNet-50, label_noise=0.2")[-3:] == ["44.60 ± 0.10", "-0.60 ± 0.10 [-0.85, -0.35]", "3"]
    assert "## Custom recipes" not in overview
    for name in (PAGE,):
        section = files[name][files[name].index(f"## {ROW}: label noise") :]
        assert line(section, "none")[1:4] == [
            "-0.50 ± 0.00 [-0.50, -0.50]",
            "+0.30 ± 0.10 [+0.05, +0.55]",
            "+0.80 ± 0.10 [+0.55, +1.05]",
        ]
        assert line(section, "20 %")[3] == "-1.10 ± 0.10 [-1.35, -0.85]"
        cells = re.sub(r" +", " ", section)
        assert "| 20 % | DSD | 23.00 ± 0.00 | 50.00 ± 0.00 | 20.00 ± 0.00 |" in cells
    assert "DSD worse" not in section
