"""The tables of a row with two iterations whose metric is WER (lower is better)."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from benchmarks.analysis import iterations, metrics, summary
from benchmarks.analysis.groups import Group, group_records
from benchmarks.analysis.results import results
from benchmarks.records.example_outcomes import unpack_outcomes
from benchmarks.records.schema import Record
from benchmarks.reporting import pages, terminal
from benchmarks.reporting.figures import curves
from benchmarks.statistics.bootstrap import bootstrap, score
from tests.benchmarks.test_tables import cells, headline_of, pages_of
from tests.golden import build, speech

PAGE = "tables/librispeech_deepspeech2.md"
ERROR = 100 / speech.WORDS
"""The share of one wrong word in points of WER."""


def only(found: list[Record]) -> Group:
    (group,) = group_records(found)
    return group


def test_the_fixtures_metric_is_the_score_of_its_outcomes() -> None:
    assert speech.counts(70).sum(axis=0).tolist() == [speech.WORDS - 70, speech.WORDS]
    assert speech.counts(70)[0, 0] < 0  # more errors than words in one utterance
    for record in build.utterances():
        for arm in record.arms.values():
            assert arm.test["wer"] == pytest.approx(100 - score(unpack_outcomes(arm.outcomes)), abs=1e-5)


def test_fewer_errors_are_a_gain() -> None:
    for gains in ((4, 5, 6), (-4, -5, -6)):
        group = only(build.utterances(gains))
        found = summary.gains(group, "dsd", "control")
        assert list(found.values()) == pytest.approx([ERROR * gain for gain in gains], abs=1e-5)
        over = summary.crossed(group)
        assert over is not None
        assert over.mean == pytest.approx(ERROR * np.mean(gains))
        assert over.low < over.mean < over.high


def test_the_interval_takes_the_same_utterances_for_all_seeds() -> None:
    group = only(build.utterances((4, 4, 4)))
    found = summary.crossed(group)
    assert found is not None
    generator = np.random.default_rng(1)
    gains = []
    for _ in range(2_000):
        drawn = generator.integers(speech.UTTERANCES, size=speech.UTTERANCES)
        ends = [(speech.counts(62 + s)[drawn], speech.counts(66 + s)[drawn]) for s in range(3)]
        gains.append(np.mean([score(dsd) - score(control) for dsd, control in ends]))
    assert found.between_examples == pytest.approx(np.var(gains), rel=0.15)
    one = bootstrap(speech.counts(62), speech.counts(66), scale=100, resamples=10)
    assert one.mean == pytest.approx(4 * ERROR)


def test_every_arm_stands_at_the_end_of_every_phase_with_the_gain_at_equal_epochs() -> None:
    found = iterations.stages(only(build.utterances((1, 2, 3))))
    assert [(s.name, s.epochs, s.last) for s in found] == [
        ("D", 2.0, False),
        ("S, iteration 1", 3.0, False),
        ("D2, iteration 1", 4.0, False),
        ("S, iteration 2", 5.0, False),
        ("D2, iteration 2", 6.0, True),
    ]
    assert [list(s.tests) for s in found] == [["dsd", "control", "llr", "random"]] * 5
    # Wrong words of seeds 0, 1, 2. After iteration 1: DSD 73, 75, 77, control 75, 76, 77. At the end: DSD 65, control 66, 67, 68.
    assert found[0].gain is None
    assert [cell.mean for cell in found[0].tests.values()] == [pytest.approx(ERROR * 92, abs=1e-5)] * 4
    assert found[2].tests["dsd"].mean == pytest.approx(ERROR * 75, abs=1e-5)
    assert found[2].tests["random"].mean == pytest.approx(ERROR * 78, abs=1e-5)
    means = [stage.gain.mean / ERROR for stage in found if stage.gain]
    assert means == pytest.approx([-5, 1, -1, 2], abs=1e-4)
    assert found[4].gain == summary.primary(only(build.utterances((1, 2, 3))))


def test_the_papers_comparison_is_of_unequal_budgets_and_says_so() -> None:
    group = only(build.utterances((1, 2, 3)))
    found = iterations.unequal(group)
    assert found is not None
    assert (found.epochs, found.iteration, found.gain.n) == ((6.0, 4.0), 1, 3)
    assert found.gains == pytest.approx([ERROR * (75 + s - 65) for s in range(3)], abs=1e-5)
    assert (found.dsd.mean, found.control.mean) == (
        pytest.approx(65 * ERROR, abs=1e-5),
        pytest.approx(76 * ERROR, abs=1e-5),
    )
    for name in (PAGE,):
        page = pages_of(build.utterances())[name]
        line = cells(page, "All arms at the end of every phase", "the paper's comparison")
        assert line["total epochs"] == "6 against 4"
        assert line["standing"] == "secondary, UNEQUAL budgets"
        assert line["gain over control, equal epochs"].startswith("UNEQUAL epochs: +4.23 ± 0.38 [")
        assert line["the paper's, on WSJ'93"] == "13.44 (100 epochs) against 14.52 (60): +1.08"
        assert line["the paper's, on WSJ'92"] == "9.02 (100 epochs) against 9.55 (60): +0.53"
        assert "The paper's figures are on other data, WSJ'93 and WSJ'92, and not comparable." in page


def test_the_papers_figures_stand_beside_the_like_stages() -> None:
    page = pages_of(build.utterances())[PAGE]
    table = "All arms at the end of every phase"
    published = {
        name: cells(page, table, name)["the paper's, on WSJ'93"] for name in ("D", "S, iteration 1", "D2, iteration 2")
    }
    assert published == {
        "D": "17.42 (20 epochs)",
        "S, iteration 1": "14.84 (40 epochs)",
        "D2, iteration 2": "13.44 (100 epochs)",
    }
    one = cells(page, table, "D2, iteration 1")
    assert one["the paper's, on WSJ'93"] == "13.96 (60 epochs) against 14.52 (60): +0.56"
    assert (one["standing"], cells(page, table, "D2, iteration 2")["standing"]) == ("secondary", "primary")
    assert one["gain over control, equal epochs"].startswith("+0.38 ± 0.38 [-0.57, +1.34]")
    assert (one["DSD"], one["Control (equal budget)"], one["LLR"]) == ("28.85 ± 0.77", "29.23 ± 0.38", "30.77 ± 0.00")
    arms = {
        name: cells(page, "| arm ", name)["the paper's, on WSJ'93: WER %"]
        for name in ("D", "Control, iteration 1", "DSD")
    }
    assert arms == {"D": "17.42", "Control, iteration 1": "14.52", "DSD": "13.44"}
    assert (
        "At equal budget (one iteration) the paper's gain was 0.56; that is the claim. Our primary figure is after two iterations"
        in page
    )


def test_the_overview_says_that_the_papers_budgets_were_unequal() -> None:
    files = pages_of(build.utterances())
    words = "| 14.5 to 13.4 WER %, WSJ'93: +1.1 (+7.4 %), UNEQUAL budgets |"
    assert words in files["tables/overview.md"]
    assert (
        "So the claim is its gain after one iteration, at equal epochs. Our gain is after two iterations, also at equal epochs."
        in headline_of(build.utterances())
    )
    lines = list(csv.DictReader(io.StringIO(files["tables/librispeech_deepspeech2.csv"])))
    with_paper = [line["quantity"] for line in lines if line["paper"] == "1.1"]
    assert with_paper == [
        "gain of DSD over Control (equal budget) after 6 against 4 epochs (UNEQUAL budgets, the paper's comparison)"
    ]
    assert {line["paper_comparable"] for line in lines if line["paper"]} == {"False"}


def test_trials_that_lack_an_arm_or_a_phase_are_left_out_of_its_cells() -> None:
    whole, other = build.utterances((1, 2))
    short = other.arms["control"]
    short = short.model_copy(update={"phases": short.phases[:1]})
    arms = {name: arm for name, arm in other.arms.items() if name != "random"} | {"control": short}
    group = only([whole, other.model_copy(update={"arms": arms})])
    found = iterations.stages(group)
    assert [stage.gain.n for stage in found if stage.gain] == [2, 1, 1, 1]
    assert [stage.tests["random"].n for stage in found[1:]] == [1, 1, 1, 1]
    unequal = iterations.unequal(group)
    assert unequal is not None
    assert unequal.gain.n == unequal.dsd.n == 1


def test_arms_of_another_length_are_never_set_against_each_other() -> None:
    (record,) = build.utterances((1,))
    control = record.arms["control"]
    longer = [control.phases[0].model_copy(update={"steps": 11}), *control.phases[1:]]
    arms = record.arms | {"control": control.model_copy(update={"phases": longer})}
    found = iterations.stages(only([record.model_copy(update={"arms": arms})]))
    assert {stage.gain for stage in found} == {None}
    assert "control" not in found[1].tests


def test_one_iteration_and_no_dsd_arm_have_no_such_table() -> None:
    assert iterations.stages(only(build.trio())) == []
    assert iterations.unequal(only(build.trio())) is None
    (record,) = build.utterances((1,))
    alone = record.model_copy(update={"arms": {"control": record.arms["control"]}})
    assert iterations.stages(only([alone])) == []
    page = pages_of([alone])[PAGE]
    assert "All arms at the end of every phase" not in page
    assert "by iteration" not in pages_of(build.trio())["tables/superseded.tex"].lower()
    assert "By iteration, WER \\%" in pages_of(build.utterances())["tables/librispeech_deepspeech2.tex"]


def test_the_page_tells_what_clipping_did_in_every_phase_of_every_arm() -> None:
    (line,) = [line for line in pages_of(build.utterances())[PAGE].splitlines() if "norm clipping" in line]
    arm = "0.88 (25 %), 0.75 (50 %), 0.88 (25 %), 0.75 (50 %)"
    assert "clipping: at 400, by phase" in line
    assert "D 0.75 (50 %); " in line
    assert f"DSD {arm}; " in line
    assert "norm clipping" not in "".join(pages_of(build.trio()).values())


def test_a_smoke_test_of_two_iterations_quotes_nothing() -> None:
    page = pages_of(build.utterances(scale="smoke", data="synthetic", synthetic=True))["tables/smoke.md"]
    line = cells(page, "All arms at the end of every phase", "D2, iteration 2")
    assert line["gain over control, equal epochs"] == "+0.77 ± 0.38"
    assert "p" not in line
    assert not any("WSJ" in heading for heading in line)
    assert "the paper's comparison" not in page


def test_a_given_dense_start_counts_epochs_after_it() -> None:
    found = []
    for record in build.utterances():
        assert record.dense is not None
        dense = record.dense.model_copy(
            update={"source": "d.safetensors", "sha256": "ab" * 32, "phases": [], "curve": []}
        )
        found.append(record.model_copy(update={"dense": dense}))
    assert [stage.epochs for stage in iterations.stages(only(found))] == [0, 1, 2, 3, 4]
    assert "Epochs count from the given dense start." in pages_of(found)[PAGE]


def test_wer_and_cer_of_all_and_of_every_folder_stand_on_the_page() -> None:
    page = pages_of(build.utterances((1,)))[PAGE]
    first = cells(page, "| arm ", "DSD")
    assert list(first)[1:3] == ["WER %", "CER %"]
    assert (first["WER %"], first["CER %"]) == (f"{65 * ERROR:.2f}", f"{65 * ERROR / 3:.2f}")
    second = cells(page, "by folder of the test set", "DSD")
    assert list(second)[1:5] == ["WER test-clean %", "WER test-other %", "CER test-clean %", "CER test-other %"]
    halves = [100 - score(half) for half in np.split(speech.counts(65), 2)]
    assert [second[f"WER {name} %"] for name in ("test-clean", "test-other")] == [f"{half:.2f}" for half in halves]
    gains = cells(page, "Paired gains in WER %:", "DSD over control, WER test-clean")
    before = 100 - score(speech.counts(66)[: speech.UTTERANCES // 2])
    assert (gains["mean ± sd [95 % t interval over seeds]"], gains["verdict"]) == (
        f"{before - halves[0]:+.2f}",
        "secondary",
    )


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("wer", "WER %"),
        ("cer", "CER %"),
        ("wer_test-other", "WER test-other %"),
        ("cer_connected_digits", "CER connected_digits %"),
        ("beam16_wer", "WER, beam 16 %"),
        ("beam16_wer_test-other", "WER test-other, beam 16 %"),
    ],
)
def test_names_in_print(name: str, label: str) -> None:
    assert metrics.with_unit(name, metrics.unit(name, "other", "")) == label


def test_families_and_variants_of_the_word_error_rate() -> None:
    names = {"wer", "cer", "wer_test-other", "cer_test-other", "beam16_wer", "test_loss"}
    assert metrics.families(names) == ["", "beam16", "folders"]
    assert metrics.variants(names, "wer") == ["wer_test-other", "beam16_wer"]
    assert [name for name in metrics.ordered(names) if metrics.family(name) == ""] == ["wer", "cer", "test_loss"]
    assert "BLEU" not in metrics.sentence("beam16", "wer")


def test_nothing_on_the_page_speaks_of_captions_or_classification() -> None:
    for name, content in pages_of(build.utterances()).items():
        if "librispeech" not in name:
            continue  # other pages show the plan, with all rows
        for word in ("top-1", "BLEU", "aption", "icture"):
            assert word not in content.replace(r"\caption", ""), (name, word)


def test_transcripts_are_shown_with_their_errors() -> None:
    page = pages_of(build.utterances())[PAGE]
    assert "seed 0; against the reference, words are **substituted**, ***inserted***, ~~left out~~:" in page
    line = cells(page, "Transcripts of a few test utterances", "11-12-0000")
    assert line == {
        "utterance": "11-12-0000",
        "reference": "seven red birds sat on a fence",
        "D": "seven ~~red~~ birds sat on a ~~fence~~",
        "Control (equal budget)": "seven red birds sat on a fence",
        "DSD": "seven red birds sat on **the** fence ***today***",
    }
    assert r"| it's \| a pipe " in page


def test_the_table_at_the_end_of_a_run_fits_a_terminal() -> None:
    console = Console(width=80, soft_wrap=True, record=True, file=io.StringIO())
    console.print(terminal.terminal(pages.end_of_run("librispeech_deepspeech2", results(build.utterances()))))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    one = next(line for line in lines if line.startswith(" DSD, it. 1 "))
    assert ("+0.38 ± 0.38" in one, "secondary" in one) == (True, True)
    assert any(line.startswith(" Control, it. 1 ") for line in lines)


def test_the_curves_name_every_phase() -> None:
    for found, names in ((build.utterances(), ["D", "S", "D2", "S", "D2"]),
                         (build.trio(), ["D", "S", "D2"])):  # fmt: skip
        ax = Figure().subplots()
        ax.set_xlim(0, 6)
        curves._boundaries(ax, found[0])
        assert [text.get_text() for text in ax.texts] == names
