import dataclasses

import pytest

from benchmarks import paper, render, summary, tables
from benchmarks.group import group_records
from tests.golden import build

NAMES = [
    "imagenet_googlenet",
    "imagenet_vgg16",
    "imagenet_resnet18",
    "imagenet_resnet50",
    "flickr8k_neuraltalk",
    "librispeech_deepspeech",
    "librispeech_deepspeech2",
]


def test_the_seven_rows_stand_in_the_papers_order() -> None:
    assert list(paper.ROWS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_detailed_tables_agree_with_table_1_to_rounding(name: str) -> None:
    row = paper.ROWS[name]
    baseline, dsd = (row.stages[stage][row.metric].value for stage in ("Baseline", "DSD"))
    gain = baseline - dsd if row.lower_is_better else dsd - baseline
    # Table 1 rounds 33.55 up to 33.6, and prints 1.2 for 1.26, being 30.4 - 29.2.
    assert row.overview.baseline == pytest.approx(baseline, abs=0.0501)
    assert row.overview.dsd == pytest.approx(dsd, abs=0.0501)
    assert row.overview.absolute == pytest.approx(gain, abs=0.0601)
    assert row.overview.relative == pytest.approx(100 * gain / baseline, abs=0.1)


def test_figures_read_in_the_paper() -> None:
    assert paper.ROWS["imagenet_googlenet"].figure("DSD", "top1_error") == paper.Figure(30.02, "P", "Tables 2-4")
    assert paper.ROWS["imagenet_resnet50"].figure("Sparse", "top5_error") == paper.Figure(6.88, "P", "Tables 2-4")
    assert paper.ROWS["flickr8k_neuraltalk"].figure("Baseline", "bleu1") == paper.Figure(57.2, "P", "Table 5")


def test_only_the_llr_cells_are_unverified() -> None:
    unverified = {(r.name, stage) for r in paper.ROWS.values() for stage, cells in r.stages.items()
                  for figure in cells.values() if not figure.verified}  # fmt: skip
    assert unverified == {(name, "LLR") for name in NAMES[:4]}


def test_one_iteration_of_ours_stands_beside_one_of_the_papers() -> None:
    row = paper.ROWS["librispeech_deepspeech"]
    one, two = row.figure("DSD", "wer", iterations=1), row.figure("DSD", "wer", iterations=2)
    assert one is not None
    assert two is not None
    assert (one.value, two.value) == (32.20, 31.59)
    assert row.equal_budget is not None
    assert row.equal_budget.value == pytest.approx(33.55 - 32.20)
    assert row.equal_budget.mark == "D"


def test_what_the_paper_lacks_is_none() -> None:
    assert paper.ROWS["imagenet_vgg16"].figure("Random mask", "top1_error") is None


def test_nothing_rests_on_an_unverified_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    group = group_records(build.trio())[0]
    assert summary.needed(group) is not None
    assert render.published(group) == "30.4 to 29.2 (ImageNet, full recipe)"
    row = paper.ROWS["imagenet_resnet18"]
    remembered = dataclasses.replace(row, overview=dataclasses.replace(row.overview, mark="M"))
    monkeypatch.setattr(paper, "ROWS", {**paper.ROWS, row.name: remembered})
    assert summary.needed(group) is None
    assert render.published(group).endswith("*unverified*")


def test_the_paper_recipe_on_other_pictures_is_not_comparable() -> None:
    (group,) = group_records([build.record("imagenet_vgg16", "paper", data="other pictures")])
    assert group.section == "paper"
    assert not group.comparable


def test_a_recipe_without_a_reduction_claims_no_likeness() -> None:
    page = tables.render([build.record(scale="paper")])["README.md"]
    assert "Differs from the paper" not in page
    assert "- Recipe: a fixture: every number is made up" in page


def test_the_overview_fits_a_page() -> None:
    for block in render.overview(group_records(build.everything())):
        # A browser breaks cells at spaces: a column is at least as wide as its longest word, and its padding.
        cells = [block.frame.columns, *block.frame.to_numpy()]
        words = [max(len(word) for cell in column for word in cell.split()) for column in zip(*cells, strict=True)]
        assert sum(words) + 3 * len(words) <= 130, block.heading
