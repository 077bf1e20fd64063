"""The overview: which group speaks for a row, how groups of one network are told apart, and what would resolve the rest."""

from typing import Any

import pytest

from benchmarks import overview, prospects, statistics, summary, tables
from benchmarks.group import group_records
from benchmarks.record import Record
from tests.benchmarks.test_tables import cells, line
from tests.golden import build


def of_recipe(recipe_hash: str, crop: int, found: list[Record] | None = None, **fields: Any) -> list[Record]:
    """Return the records of a trio as of a recipe with pictures of `crop` pixels."""
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
    return [overview.where(group, groups) for group in groups]


def test_relative_gain_is_in_percent_of_the_baseline() -> None:
    (group,) = group_records(build.trio())  # baselines 42.0, 42.2, 42.4; DSD 39.9, 40.0, 40.1
    assert summary.relative(group) == pytest.approx(100 * 2.2 / 42.2)
    (captions,) = group_records(build.captions())
    baseline = summary.stages(captions)["Baseline"]["bleu4"].mean
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
        "50 % of fixture-pictures, 56 px",
        "fixture-pictures, 64 px",
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
    if "data" in change:  # on other data a seed trains otherwise
        change, others = {"data": one[0].data.model_copy(update={"fingerprint": "e" * 12})}, build.trio((0.5, 0.3, 0.1))
    found = words([*one, *(other.model_copy(update=change) for other in others)])
    assert len(found) == len(set(found)) == 2


def with_longer_phases(record: Record) -> Record:
    content = record.model_dump()
    for run in (content["dense"], *content["arms"].values()):
        for phase in run["phases"]:
            phase["epochs"] *= 9
    return Record.model_validate(content)


def test_a_row_is_spoken_for_by_enough_seeds_then_length_then_arms_then_the_newest() -> None:
    arms = {"dsd": (41.0, 39.9), "control": (41.2, 40.0), "llr": (41.0, 41.0)}
    trio = of_recipe("a" * 12, 64)
    pair = of_recipe("b" * 12, 56, [build.record(seed=s, arms=arms) for s in range(2)])
    more = of_recipe("c" * 12, 48, [build.record(seed=s, arms=arms) for s in range(3)])
    late = of_recipe("d" * 12, 32, finished="2030-02-01T10:00:00Z")
    longer = of_recipe("f" * 12, 24, [with_longer_phases(one) for one in build.trio()])

    def spoken(*found: list[Record]) -> list[str]:
        groups = group_records(one for records in found for one in records)
        return [group.key.recipe_hash[0] for group in overview.chosen(groups)]

    assert spoken(trio, pair) == ["a"]
    assert spoken(trio, more, late) == ["c"]
    assert spoken(trio, late) == spoken(late, trio) == ["d"]
    assert spoken(longer, more) == ["f"]
    assert spoken(longer[:2], trio) == ["a"]
    assert spoken(trio, build.trio(scale="paper", recipe_hash="e" * 12)) == ["e", "a"]
    text = overview.headline(group_records(trio + late))
    assert text.count("| ResNet-18 ") == 1
    assert "Not in this table: 1 other recipe of the same rows" in text
    assert "Of 1 network measured on real data" in text


def test_the_row_is_compared_by_time_not_by_text() -> None:
    early = of_recipe("a" * 12, 64, finished="2030-01-01T12:00:00+05:00")
    late = of_recipe("b" * 12, 56, finished="2030-01-01T08:00:00Z")  # an hour after the other
    (group,) = overview.chosen(group_records(early + late))
    assert group.key.recipe_hash == "b" * 12


def sentences(found: list[Record]) -> list[str]:
    return prospects.sentences(group_records(found))


def test_what_would_resolve_a_row() -> None:
    # Gains -0.9, 1.5, 0.3: sd 1.2, half-width 2.98; half of 1.2 takes n = 18 (t of 17 is 2.1098: 0.5967), 17 do not.
    assert statistics.needed(1.2, 0.6) == 18
    first, missing = sentences(build.trio((-0.9, 1.5, 0.3)))
    assert first.startswith(
        "**ResNet-18 (fixture-pictures)**: the gain over the control is known to ± 2.98; half the paper's "
    )
    assert "gain (0.60) would take n = 18 seeds of this spread, 15 more trials (about 0.1 h one after another" in first
    assert missing == ("Not measured on real data: GoogLeNet, VGG-16, ResNet-50, NeuralTalk, DeepSpeech, DeepSpeech-2.")


def test_a_row_that_is_known_closely_enough_says_so() -> None:
    text = sentences(build.trio())[0]  # gains 0.1, 0.5, 0.3
    assert "known to ± 0.50, within half the paper's gain (0.60), and the interval excludes the paper's 1.20" in text
    assert "the one seen (+0.30) from none in 80 % of experiments would take n = 6." in text
    assert statistics.needed_to_find(0.2, 0.3) == 6
    assert "would take over 1,000 seeds" in sentences(build.trio((-0.2, 0.2, 0.0)))[0]


def test_a_gain_that_the_control_leaves_no_room_for_says_so() -> None:
    near_zero = [
        build.record(seed=seed, baseline=2.0, arms={"dsd": (1.0, 0.6 - gain), "control": (1.0, 0.6)})
        for seed, gain in enumerate((0.1, -0.1, 0.1))
    ]
    assert (
        "excludes the paper's 1.20 (as it must: the control's 0.60 leaves no more to gain);" in sentences(near_zero)[0]
    )
    assert "as it must" not in sentences(build.trio())[0]  # its control is wrong in 40 % of cases


def test_arms_that_not_all_trials_have_are_compared_and_counted_by_those_that_do() -> None:
    four = build.record(seed=3, baseline=44.0, arms={"dsd": (41.0, 39.0), "control": (41.0, 40.0), "llr": (39.8,)})
    page = tables.render([*build.trio(), four])["README.md"]
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
    page = tables.render(found)["README.md"]
    assert "- Features: net, short side 22, net, short side 224; files 0a0a\n" in page


def test_a_row_with_few_seeds_or_lacking_an_arm_says_so() -> None:
    assert "n = 1; a verdict takes 3 seeds, 2 more trials (about 1 min" in sentences([build.record()])[0]
    alone = build.record(arms={"control": (41.0, 40.0)})
    assert "no DSD arm: a trial needs both." in sentences([alone])[0]


def test_a_verdict_within_the_noise_of_the_test_set_wants_test_examples() -> None:
    text = sentences(build.trio((0.1, 0.1, 0.1)))[0]
    assert "confirmed over seeds, the interval over test examples is [" in text
    assert "more test examples than 1,000 would." in text


def test_what_is_resolved_or_no_result_is_not_listed() -> None:
    assert len(sentences(build.trio((1.0, 1.1, 1.2)))) == 1  # the rows that are missing
    assert sentences(build.trio(custom=["sparsity=0.9"])) == []


def test_the_headline_counts_verdicts() -> None:
    text = tables.headline(build.trio() + build.trio((1.0, 1.1, 1.2), row="imagenet_vgg16"))
    assert "1 confirmed, 1 not resolved" in text
    assert "not of the paper's figure" in text
    # p of gains 1.0, 1.1, 1.2 is 0.0027, twice that by Holm; the other has p = 0.38.
    assert "p is below 0.05 in 1 of these 1." in text
    worse = tables.headline(build.trio((0.5, 1.1, 1.7), row="imagenet_vgg16"))  # p = 0.086
    assert "Holm" not in worse
    # Baselines 42.0, 42.2, 42.4; DSD 39.0, 39.4, 39.2: 3.0 of 42.2 is 7.1 %.
    assert line(text, "VGG-16")[3:7] == ["+4.3 (+13.7 %)", "42.20", "+3.00 (+7.1 %)", "+1.10 [+0.85, +1.35]"]
