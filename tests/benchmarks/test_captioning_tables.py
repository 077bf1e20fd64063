"""The tables of a row whose metric is a corpus score (higher is better), with its variants and the choice of a checkpoint."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmarks.analysis import checkpoint_selection, metrics, summary
from benchmarks.analysis.groups import group_records
from benchmarks.analysis.results import results
from benchmarks.records.example_outcomes import unpack_outcomes
from benchmarks.records.schema import Record
from benchmarks.reporting import pages, terminal
from benchmarks.statistics.bootstrap import score
from tests.benchmarks.test_tables import cells, pages_of
from tests.golden import build, captioning

PAGE = "tables/flickr8k_neuraltalk.md"


def exported(found: list[Record]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(pages_of(found)["tables/flickr8k_neuraltalk.csv"])))


def of(quality: int) -> float:
    return score(captioning.counts(quality))


def test_the_fixtures_metric_is_the_score_of_its_outcomes() -> None:
    for record in build.captions():
        for arm in record.arms.values():
            assert arm.test["bleu4"] == pytest.approx(score(unpack_outcomes(arm.outcomes)), abs=1e-6)


def test_gains_count_upwards_with_an_interval_over_seeds_and_captions() -> None:
    # Controls end at qualities 20, 21, 22. DSD ends 4, 5, 6 above them.
    found = build.captions((4, 5, 6))
    gains = [of(20 + seed + 4 + seed) - of(20 + seed) for seed in range(3)]
    (group,) = group_records(found)
    assert list(summary.gains(group, "dsd", "control").values()) == pytest.approx(gains, abs=1e-5)
    page = pages_of(found)[PAGE]
    assert f"**DSD over control, BLEU-4 (no penalty): +{np.mean(gains):.2f} [" in page
    assert "n = 3. No verdict: not in the plan.**" in page
    lost = pages_of(build.captions((-4, -5, -4)))
    overview = next(csv.DictReader(io.StringIO(lost["tables/overview.csv"])))
    assert (overview["verdict"], overview["p_holm"]) == ("none: not in the plan", "")
    assert float(overview["gain_over_control"]) < 0


def test_the_interval_is_of_the_corpus_score() -> None:
    # Four more of 100 captions match four words: about 0.21 of the score each.
    (group,) = group_records(build.captions((4, 4, 4)))
    found = summary.crossed(group)
    assert found is not None
    assert found.mean == pytest.approx(np.mean([of(24 + s) - of(20 + s) for s in range(3)]))
    generator = np.random.default_rng(1)
    gains = []
    for _ in range(1_000):
        drawn = generator.integers(100, size=100)
        gains.append(
            np.mean(
                [score(captioning.counts(24 + s)[drawn]) - score(captioning.counts(20 + s)[drawn]) for s in range(3)]
            )
        )
    assert found.between_examples == pytest.approx(np.var(gains), rel=0.2)


def test_both_kinds_of_bleu_stand_on_the_page_and_the_papers_figures_beside_one() -> None:
    page = pages_of(build.captions((1,)))[PAGE]
    first = cells(page, "without the brevity penalty, in percent.", "DSD")
    assert first["BLEU-4"] == f"{of(21):.2f}"
    assert first["paper (Flickr-8K, full recipe): BLEU-4"] == "18.50"
    assert first["validation perplexity"] == "18.50"
    assert list(first)[1:5] == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]
    second = cells(page, "with the brevity penalty, in percent.", "DSD")
    assert (second["BLEU-4 (standard)"], second["brevity penalty"]) == (f"{0.9 * of(21):.2f}", "0.900")
    assert not any(heading.startswith("paper") for heading in second)
    third = cells(page, "beam search of width 20", "DSD")
    assert (third["BLEU-4"], third["BLEU-4 (standard)"]) == (f"{of(21) + 1:.2f}", f"{0.9 * of(21) + 1:.2f}")
    gains = cells(page, "Paired gains in BLEU-4 (no penalty):", "DSD over control, BLEU-4 (standard)")
    assert (gains["mean ± sd [95 % t interval over seeds]"], gains["verdict"]) == (
        f"{0.9 * (of(21) - of(20)):+.2f}",
        "secondary",
    )
    overview = pages_of(build.captions((1,)))["tables/overview.md"]
    assert " BLEU-4 (no penalty), Flickr-8K" in overview  # must not be confused with the standard score
    assert "(standard)" not in overview


def test_nothing_on_the_page_speaks_of_classification() -> None:
    for name, content in pages_of(build.captions(data="captions")).items():
        for word in ("top-1", "error") if "flickr8k" in name else ():  # other pages show the plan, with all rows
            assert word not in content, (name, word)


def test_the_csv_has_every_variant_with_its_unit() -> None:
    lines = {(line["quantity"], line["metric"]): line for line in exported(build.captions())}
    assert lines["DSD", "bleu4_standard"]["unit"] == lines["DSD", "beam20_bleu4"]["unit"] == "%"
    assert lines["DSD", "val_perplexity"]["unit"] == ""
    assert lines["DSD", "bleu4"]["paper"] == "18.5"
    assert lines["DSD", "bleu4_standard"]["paper"] == ""
    assert float(lines["gain of DSD over Control (equal budget)", "beam20_bleu4"]["mean"]) > 0


def test_neuraltalks_own_choice_is_the_best_validation_perplexity_of_each_arms_last_phase() -> None:
    # DSD's best checkpoint is at the end of S (quality 21, epoch 1), a sparse network. The control's best is also before its last
    # phase (19). Within the last phase, the first point is best for both (20 and 19). D is one phase; its first point is best (15).
    (group,) = group_records(build.captions((9,)))
    found = checkpoint_selection.choices(group)
    assert {label: (one.cells["bleu4"].mean, one.epoch, one.epochs) for label, one in found.items()} == {
        "D": (pytest.approx(of(15), abs=1e-5), 1.0, 2.0),
        "DSD": (pytest.approx(of(20), abs=1e-5), 1.5, 2.0),
        "Control (equal budget)": (pytest.approx(of(19), abs=1e-5), 1.5, 2.0),
    }
    assert "beam20_bleu4" not in found["DSD"].cells  # measured only at the ends of phases
    gain = found["DSD"].gain
    assert gain is not None
    assert gain.mean == pytest.approx(of(20) - of(19), abs=1e-5)  # not 29 - 20, as at the last epoch
    assert found["Control (equal budget)"].gain is None


def test_neuraltalks_own_choice_is_paired_over_seeds_and_labelled() -> None:
    found = build.captions()
    gains = [of(20 + s) - of(19 + s) for s in range(3)]
    files = pages_of(found)
    line = cells(
        files[PAGE],
        "at the best validation perplexity of the last phase (NeuralTalk's own choice) instead of the last epoch. Each "
        "arm uses its own best point, never one in S",
        "DSD",
    )
    assert line["gain over control"].startswith(f"{np.mean(gains):+.2f} ± {np.std(gains, ddof=1):.2f} [")
    assert (line["epoch, mean"], line["n"]) == ("1.5 of 2", "3")
    assert (
        "Arms at the best validation perplexity of the last phase (NeuralTalk's own choice)"
        in files["tables/flickr8k_neuraltalk.tex"]
    )
    lines = {(line["quantity"], line["metric"]): line for line in exported(found)}
    exports = lines["gain of DSD over Control (equal budget) at best val_perplexity of the last phase", "bleu4"]
    assert float(exports["mean"]) == pytest.approx(np.mean(gains), abs=1e-4)
    assert exports["verdict"] == ""


def test_of_equal_perplexities_the_first_point_is_chosen() -> None:
    record = build.captions((1,))[0]
    control = record.arms["control"]
    level = [
        point.model_copy(update={"test": (point.test or {}) | {"val_perplexity": 20.0}}) for point in control.curve
    ]
    arms = record.arms | {"control": control.model_copy(update={"curve": level})}
    (group,) = group_records([record.model_copy(update={"arms": arms})])
    assert checkpoint_selection.choices(group)["Control (equal budget)"].epoch == 1.5


def test_rows_without_validation_perplexity_have_no_such_table() -> None:
    (group,) = group_records(build.trio())
    assert checkpoint_selection.choices(group) == {}
    assert "NeuralTalk" not in pages_of(build.trio())["tables/superseded.md"]


def test_what_the_frozen_network_made_of_the_data_is_told_with_the_data() -> None:
    assert (
        "- Features: fixture network, 512 numbers a picture"
        in pages_of(build.captions())["tables/flickr8k_neuraltalk.md"]
    )
    assert "Features:" not in pages_of(build.trio())["tables/superseded.md"]


@pytest.mark.parametrize(
    ("name", "label", "short", "unit"),
    [
        ("top1_error", "top-1 error %", "top-1 error %", "%"),
        ("bleu4", "BLEU-4 (no penalty)", "BLEU-4", "%"),
        ("bleu4_standard", "BLEU-4 (standard)", "BLEU-4 (standard)", "%"),
        ("beam20_bleu2", "BLEU-2 (no penalty), beam 20", "BLEU-2", "%"),
        ("val_perplexity", "validation perplexity", "validation perplexity", ""),
        ("anything", "anything", "anything", ""),
    ],
)
def test_names_in_print(name: str, label: str, short: str, unit: str) -> None:
    assert metrics.unit(name, "other", "") == unit
    assert (metrics.with_unit(name, unit), metrics.with_unit(name, unit, short=True)) == (label, short)


def test_variants_share_the_primary_metrics_name() -> None:
    names = {"bleu4", "beam20_bleu4", "bleu4_standard", "bleu1", "val_perplexity"}
    assert metrics.variants(names, "bleu4") == ["bleu4_standard", "beam20_bleu4"]
    assert metrics.variants({"top1_error", "top5_error"}, "top1_error") == []


@pytest.mark.parametrize("changes", [{}, {"synthetic": True, "scale": "smoke"}])
def test_the_table_at_the_end_of_a_run_fits_a_terminal(changes: dict[str, Any]) -> None:
    console = Console(width=80, soft_wrap=True, record=True, file=io.StringIO())
    console.print(terminal.terminal(pages.end_of_run("flickr8k_neuraltalk", results(build.captions(**changes)))))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    dsd = next(line for line in lines if line.startswith(" DSD "))
    assert "16.86 ± 0.44" in dsd
    assert any("(no penalty)" in line for line in lines)
