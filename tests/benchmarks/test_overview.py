"""How pages distinguish groups of one network, and show arms and features that not all trials have."""

import csv
import io
from typing import Any

import pytest

from benchmarks.analysis import summary
from benchmarks.analysis.groups import group_records
from benchmarks.records.schema import Record
from benchmarks.reporting import group_names
from tests.benchmarks.test_tables import cells, pages_of
from tests.golden import build


def of_recipe(recipe_hash: str, crop: int, found: list[Record] | None = None, **fields: Any) -> list[Record]:
    """Return records (a trio, if `found` is not given) changed to a recipe with pictures of `crop` pixels."""
    return [
        one.model_copy(
            update={
                "recipe": one.recipe | {"data": {"crop": crop}},
                "recipe_hash": recipe_hash,
                "id": f"{one.id}-{recipe_hash}",
            }
            | fields
        )
        for one in (found or build.trio())
    ]


def words(found: list[Record]) -> list[str]:
    groups = group_records(found)
    return [group_names.where(group, groups) for group in groups]


def test_relative_gain_is_in_percent_of_the_baseline() -> None:
    (group,) = group_records(build.trio())  # baselines 42.0, 42.2, 42.4; DSD 39.9, 40.0, 40.1
    assert summary.relative(group) == pytest.approx(100 * 2.2 / 42.2)
    (captions,) = group_records(build.captions())
    baseline = summary.stages(captions)["D"]["bleu4"].mean
    over = summary.compare(captions, "dsd", "dense")
    assert over is not None
    assert over.mean > 0
    assert summary.relative(captions) == pytest.approx(100 * over.mean / baseline)


def test_two_recipes_of_one_network_are_told_apart_by_what_differs() -> None:
    assert words(build.trio()) == ["fixture-pictures"]
    assert words(of_recipe("a" * 12, 64) + of_recipe("b" * 12, 56)) == [
        "fixture-pictures, 64 px",
        "fixture-pictures, 56 px",
    ]
    half = build.trio()[0].data.model_copy(update={"subset": 0.5})
    assert words(of_recipe("a" * 12, 64) + of_recipe("b" * 12, 56, data=half)) == [
        "50 % of fixture-pictures",
        "fixture-pictures",
    ]
    assert words(of_recipe("a" * 12, 64) + of_recipe("b" * 12, 64)) == [
        "fixture-pictures, recipe aaaaaa",
        "fixture-pictures, recipe bbbbbb",
    ]


@pytest.mark.parametrize(
    "change", [{"suite": "0.2"}, {"scale": "paper"}, {"recipe_hash": "c" * 12}, {"hardware": "4"}, {"data": "x"}]
)
def test_no_two_groups_have_the_same_name(change: dict[str, Any]) -> None:
    one, others = build.trio(), build.trio()
    if "hardware" in change:
        change = {"hardware": one[0].hardware.model_copy(update={"processes": 4})}
    if "data" in change:  # on other data the same seed gives other results
        change, others = {"data": one[0].data.model_copy(update={"fingerprint": "e" * 12})}, build.trio((0.5, 0.3, 0.1))
    found = words([*one, *(other.model_copy(update=change) for other in others)])
    assert len(found) == len(set(found)) == 2


@pytest.mark.parametrize(
    ("count", "train", "expected"),
    [(5, 30.0, "holds"), (3, 30.0, "holds so far"), (5, 60.0, "fails: fit"), (3, 60.0, "fails so far: fit")],
)
def test_the_gate_has_the_same_words_in_markdown_and_csv(count: int, train: float, expected: str) -> None:
    files = pages_of(build.planned(train=train)[:count])
    lines = csv.DictReader(io.StringIO(files["tables/overview.csv"]))
    (exported,) = [one["gate"] for one in lines if (one["row"], one["section"]) == ("imagenet_resnet18", "regime")]
    name = "ResNet-18, width 1/4, 64 pixels"
    assert exported == cells(files["README.md"], "| network", name)["gate"] == expected


def test_arms_that_not_all_trials_have_are_compared_and_counted_by_those_that_do() -> None:
    four = build.record(seed=3, baseline=44.0, arms={"dsd": (41.0, 39.0), "control": (41.0, 40.0), "llr": (39.8,)})
    page = pages_of([*build.trio(), four])["tables/superseded.md"]
    assert cells(page, "| arm ", "LLR")["gain over control, paired"] == "+0.20"
    assert cells(page, "| arm ", "Control (equal budget)")["gain over control, paired"] == "-"
    costs = [text for text in page.splitlines() if text.startswith("- Cost, mean over trials")]
    assert "LLR 5 s in 1 of 4 trials" in costs[0] or "LLR 10 s in 1 of 4 trials" in costs[0]
    assert "DSD 10 s," in costs[0]


def test_features_of_which_a_newer_record_tells_more_are_told_once() -> None:
    first, second, third = build.trio()
    told = ("net, short side 224", "net, short side 224; files 0a0a", "net, short side 22")
    found = [
        one.model_copy(update={"data": one.data.model_copy(update={"features": features})})
        for one, features in zip((first, second, third), told, strict=True)
    ]
    page = pages_of(found)["tables/superseded.md"]
    assert "- Features: net, short side 22, net, short side 224; files 0a0a\n" in page
