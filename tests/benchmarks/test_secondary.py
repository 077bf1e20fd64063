"""Secondary readings, what would change the answer, how to rerun trials, and the page of superseded trials."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.analysis.groups import group_records
from benchmarks.analysis.results import results
from benchmarks.reporting import group_facts, group_names, pages, wording
from benchmarks.reporting.document import Cell, plain
from benchmarks.reporting.tables import gate, readings, records
from tests.benchmarks.test_tables import cells, headline_of, pages_of
from tests.golden import build

ROW = "imagenet_resnet18"
CLAIM = 0.041 * 59.1
"""The claim in points of the golden controls."""


def test_every_other_comparison_of_a_planned_row_stands_on_the_front() -> None:
    (text,) = map(plain, readings.secondary(results(build.planned()).rows))
    assert text.startswith(
        "**ResNet-18, width 1/4, 64 pixels**: Training D further at DSD's learning rates makes the network better."
    )
    words = (
        " The paper's text and tables give different rates for D2. With the text's rate, DSD over its control: +0.30 ["
    )
    assert words in text
    for page in (headline_of(build.planned()), pages_of(build.planned())["README.md"]):
        line = cells(page[page.index(readings.TITLE) :], "| network", "ResNet-18, width 1/4, 64 pixels")
        assert {heading: cell.split(" [")[0] for heading, cell in line.items() if " over " in heading} == {
            "DSD over D": "+1.90",
            "control over D": "+0.90",
            "LLR over D": "+0.20",
            "DSD over LLR": "+1.70",
            "control over LLR": "+0.70",
        }
        assert line["seeds"] == "5"
    assert text in pages_of(build.planned())["README.md"]
    assert f"{readings.REST} [results/README.md](results/README.md)." in headline_of(build.planned())
    assert readings.TITLE not in headline_of(build.trio())


def test_the_headline_says_only_what_an_interval_shows() -> None:
    both = " Both end better than D, and better than further training at a low rate, LLR (secondary)."
    assert both in headline_of(build.planned())
    # LLR ends as each trial's DSD, so DSD is no better than LLR, and the control is worse.
    equal = [one.model_copy(update={"arms": one.arms | {"llr": one.arms["dsd"]}}) for one in build.planned()]
    assert (
        " Both end better than D (secondary). The control ends worse than further training at a low rate, LLR (secondary)."
        in headline_of(equal)
    )
    without = [
        one.model_copy(update={"arms": {name: arm for name, arm in one.arms.items() if name != "llr"}})
        for one in build.planned()
    ]
    assert "LLR (secondary)" not in headline_of(without)


def test_one_seed_does_not_say_what_longer_training_does() -> None:
    one = build.planned()[:1]
    (text,) = map(plain, readings.secondary(results(one).rows))
    assert text.startswith(
        "**ResNet-18, width 1/4, 64 pixels** (one seed): The paper's text and tables give different rates"
    )
    assert "Training D further" not in text
    whole = pages_of(one)["README.md"].split(readings.TITLE)[1]
    line = cells(whole, "| network", "ResNet-18, width 1/4, 64 pixels")
    assert line["seeds"] == "one: no interval"
    assert readings.TITLE not in headline_of(one)
    assert readings.TITLE not in headline_of(build.planned()[:2])
    assert readings.TITLE in headline_of(build.planned()[:3])
    assert "(secondary)" not in headline_of(one)


def test_a_gain_outside_the_plan_stands_beside_the_planned_one() -> None:
    other = build.planned((0.4,))[0].model_copy(update={"id": "other", "recipe_hash": "0" * 12})
    said = "ResNet-18 outside the plan, with another recipe on the same data (seed 0): DSD over control +0.40."
    for page in (headline_of([*build.planned(), other]), pages_of([*build.planned(), other])["README.md"]):
        assert said in page
    assert "outside the plan" not in headline_of(build.planned())
    for page in (headline_of([other]), pages_of([other])["README.md"]):  # also if no planned trial is finished
        assert said in page
    data = other.data.model_copy(update={"name": "other", "fingerprint": "f" * 16})
    elsewhere = headline_of([*build.planned(), other.model_copy(update={"data": data})])
    assert said.replace("the same data", "other data, other") in elsewhere


def test_a_gate_that_fails_is_final_only_with_all_seeds() -> None:
    found = results(build.planned(train=60.0)).rows[ROW].gate
    assert gate.answer(found) == "fails: fit"
    assert gate.answer(found, so_far=True) == "fails so far: fit"


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        (
            (0.8, 1.1, 0.9, 1.2, 1.0),
            r" The one-sided upper bound is \+1\.\d\d; the claim needs \+2\.42\.$",
        ),
        (
            (9.0, 9.2, 8.8, 9.1, 8.9),
            r" The one-sided lower bound is \+7\.\d\d; the claim needs \+2\.42\.$",
        ),
        (
            (2.0, 2.8, 2.2, 2.6, 2.4),
            r" The one-sided bounds are \+\d\.\d\d and \+\d\.\d\d; the claim, \+2\.42, is between them\.$",
        ),
    ],
)
def test_what_would_change_the_answer_names_the_bound_and_the_claim(gains: tuple[float, ...], words: str) -> None:
    row = results(build.planned(gains)).rows[ROW]
    assert f"{CLAIM:+.2f}" == "+2.42"
    assert re.match(words, plain(readings.turning(row)))
    links = [one.trials for one in readings.turning(row) if isinstance(one, Cell)]
    assert len(links) > 1
    assert set(links) == {tuple(record.id for record in row.records)}
    assert readings.turning(results(build.planned(gains[:1])).rows[ROW]) == ()  # one seed has no bounds


def test_how_to_run_the_trials_again_stands_under_their_list() -> None:
    page = pages_of(build.planned())[f"tables/{ROW}.md"]
    part = page[page.index("<summary>Rerun these trials</summary>") :].split("</details>")[0]
    assert "- Check out the commit and install as in [benchmarks/README.md](../../benchmarks/README.md).\n" in part
    assert "- Set OMP_NUM_THREADS to the number of threads: " in part
    assert (
        "- Make `data/tiny-imagenet-50`: run `mkdir -p source && cd source && curl -LO -C - "
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip && unzip -q tiny-imagenet-200.zip && cd ..`, then `python -m benchmarks "
        "prepare tiny-imagenet-50 --from source`. Every commit makes the same data.\n"
    ) in part
    assert "`python -m benchmarks compare OLD NEW`" in part
    for one in build.planned():
        said = f"- Seed {one.seed}: `{one.command}`; commit f1c710f1c710, data tiny-imagenet-50 with fingerprint "
        assert (
            f"{said}{one.data.fingerprint}, threads: {one.hardware.threads}, Python {one.versions['python']}\n" in part
        )


def test_how_to_get_the_data_depends_on_the_data() -> None:
    def said(**fields: Any) -> str:
        (group,) = group_records(build.trio(**fields))
        return plain(records.rerun(group).items[1])

    assert said(data="ImageNet") == "Get ImageNet as the README of the row's domain in `tasks/` says."
    assert said(data="noisy-digits-minus5db").endswith(
        "then `python -m benchmarks prepare noisy-digits --from source --snr -5`. Every commit makes the same data."
    )
    captions = said(data="flickr8k")
    assert captions.startswith(
        "Make `data/flickr8k`: apply at https://forms.illinois.edu/sec/1713398, put the downloads"
    )
    assert "Your copy will differ from ours: the results were made with pictures resized to 128 x 128" in captions
    assert said(scale="smoke", synthetic=True).startswith("Set OMP_NUM_THREADS")


def test_how_to_get_the_frozen_network_stands_beside_the_data() -> None:
    name = "squeezenet1_0-imagenet-pruned.safetensors"
    data = build.trio()[0].data.model_copy(update={"name": "flickr8k", "features": f"squeezenet1_0 (weights {name})"})
    (group,) = group_records([one.model_copy(update={"data": data}) for one in build.trio()])
    items = [plain(item) for item in records.rerun(group).items]
    assert items[2].startswith(f"Make `data/{name}`: run `mkdir -p source && cd source && git clone")
    assert "then `python -m benchmarks prepare squeezenet1_0 --from source`." in items[2]
    assert "`--data NAME` and `--weights NAME` by the path of your copy" in items[4]


def test_a_recipes_fields_are_named_in_words() -> None:
    note = "not as published: trained 0.375 (published: 1); test crop 64 (published: 224); rate of D 0.1 (published: 1)"
    assert wording.readable(note) == (
        "not as published: share of the training pictures used for training: 0.375 (published: 1); test crop in pixels: 64 "
        "(published: 224); rate of D 0.1 (published: 1)"
    )
    assert wording.readable("epochs of D 90: the DSD paper, Table 4") == "epochs of D 90: the DSD paper, Table 4"


def test_equal_pictures_with_two_labels_are_called_wrong() -> None:
    kind = "test pictures that are there more than once, byte for byte: 1"
    assert group_facts._wrong(f"{kind} (train/n01/a_1.JPEG = val/n04/b_2.JPEG)").startswith("; their labels differ")
    assert group_facts._wrong(f"{kind} (train/n01/a_1.JPEG = val/n01/b_2.JPEG)") == ""


def test_a_network_is_named_with_the_first_part_of_its_reduction() -> None:
    assert group_names.reduced("DeepSpeech", "width 256; D 2 times as long") == "DeepSpeech, width 256"
    assert group_names.reduced("VGG-16", "") == "VGG-16"
    assert group_names.reduced("VGG-16", "x" * 99) == "VGG-16"


def test_superseded_trials_have_a_page_and_figures_that_say_so() -> None:
    found = results([*build.planned(), *build.trio(), *build.trio(custom=["sparsity=0.9"])])
    by_page = pages.groups_by_page(found)
    assert list(by_page) == [ROW, "superseded"]
    assert [group.section for group in by_page["superseded"]] == ["custom", "small"]
    current = build.trio(custom=["sparsity=0.9"], numerics="imagenet 1")
    assert list(pages.groups_by_page(results(current))) == [ROW]
