"""Secondary readings, what would change the answer, how to rerun trials, and the page of superseded trials."""

from __future__ import annotations

import re

import pytest

from benchmarks.analysis.results import results
from benchmarks.reporting import group_facts, group_names, pages
from benchmarks.reporting.document import plain
from benchmarks.reporting.tables import gate, readings
from tests.benchmarks.test_tables import headline_of, pages_of
from tests.golden import build

ROW = "imagenet_resnet18"
CLAIM = 0.041 * 59.1
"""The claim in points of the golden controls."""


def test_every_other_comparison_of_a_planned_row_stands_on_the_front() -> None:
    (text,) = map(plain, readings.secondary(results(build.planned()).rows))
    start = (
        "**ResNet-18, width 1/4, 64 pixels**: training on after D at DSD's learning rates helps: control over D +0.90 ["
    )
    assert text.startswith(start)
    for words in (
        ", DSD over D +1.90 [",
        ". Training on at a tenth of D's last rate (LLR, which the paper reports too): LLR over D +0.20 [",
        ", DSD over LLR +1.70 [",
        ". With D2 at the rate of the paper's text instead of its tables, DSD over its control: +0.30 [",
    ):
        assert words in text
    for page in (headline_of(build.planned()), pages_of(build.planned())["README.md"]):
        assert readings.TITLE in page
        assert text in page
    assert readings.TITLE not in headline_of(build.trio())


def test_one_seed_does_not_say_what_longer_training_does() -> None:
    (text,) = map(plain, readings.secondary(results(build.planned()[:1]).rows))
    start = (
        "**ResNet-18, width 1/4, 64 pixels**: training on after D at DSD's learning rates (one seed): control over D +"
    )
    assert text.startswith(start)


def test_a_gate_that_fails_is_final_only_with_all_seeds() -> None:
    found = results(build.planned(train=60.0)).rows[ROW].gate
    assert gate.answer(found) == "fails: fit"
    assert gate.answer(found, so_far=True) == "fails so far: fit"


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        (
            (0.8, 1.1, 0.9, 1.2, 1.0),
            r"The one-sided upper bound, \+1\.\d\d, would have to rise above \+2\.42 for the claim not to be excluded\.",
        ),
        (
            (9.0, 9.2, 8.8, 9.1, 8.9),
            r"The one-sided lower bound, \+7\.\d\d, would have to fall below \+2\.42 for the claim not to be reached\.",
        ),
        (
            (2.0, 2.8, 2.2, 2.6, 2.4),
            r"The one-sided lower bound, \S+, would have to rise above \+2\.42 to reach the claim, or the upper bound, ",
        ),
    ],
)
def test_what_would_change_the_answer_names_the_bound_and_the_claim(gains: tuple[float, ...], words: str) -> None:
    row = results(build.planned(gains)).rows[ROW]
    assert f"{CLAIM:+.2f}" == "+2.42"
    assert re.match(words, readings.turning(row))
    assert readings.turning(results(build.planned(gains[:1])).rows[ROW]) == ""  # one seed has no bounds


def test_how_to_run_the_trials_again_stands_under_their_list() -> None:
    page = pages_of(build.planned())[f"tables/{ROW}.md"]
    part = page[page.index("<summary>Rerun these trials</summary>") :].split("</details>")[0]
    assert "- Check out the commit, and set OMP_NUM_THREADS to the number of threads: " in part
    for one in build.planned():
        said = f"- Seed {one.seed}: `{one.command}`; commit f1c710f1c710, data tiny-imagenet-50 with fingerprint "
        assert f"{said}{one.data.fingerprint}, threads: {one.hardware.threads}\n" in part


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
