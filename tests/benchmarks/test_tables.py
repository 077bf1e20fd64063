import csv
import io
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.analysis.groups import group_records
from benchmarks.analysis.results import results
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.reporting import pages, results_folder, wording
from benchmarks.reporting import terminal as reporting_terminal
from benchmarks.reporting.figures import files as figure_files
from tests.benchmarks.test_groups import by_another_rule
from tests.golden import build

GOLDEN = build.FOLDER


def golden() -> list[Record]:
    return store.read_all(GOLDEN / "records")


KINDS = ("csv", "md", "tex")
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\([^()]*(?:#t\d+|overview\.md)\)")
"""A link from a number to its trials."""


def unlinked(files: dict[str, str]) -> dict[str, str]:
    """Return pages without the links from numbers to trials, and without the targets of these links."""
    return {name: re.sub(r'<a id="t\d+"></a>\n\n', "", LINK.sub(r"\1", text)) for name, text in files.items()}


def pages_of(found: Sequence[Record]) -> dict[str, str]:
    """Return the files of a results folder, without the links from numbers."""
    return unlinked(results_folder.render(found))


def headline_of(found: Sequence[Record]) -> str:
    """Return the headline, without the links from numbers."""
    return unlinked({"": results_folder.headline(found)})[""]


def line(text: str, start: str) -> list[str]:
    """Return the cells of the first Markdown table row whose first cell is `start`."""
    found = next(row for row in text.splitlines() if row.startswith(f"| {start} "))
    return [cell.strip() for cell in found.strip("|").split("|")]


def cells(page: str, table: str, first: str) -> dict[str, str]:
    """Return the cells of a line, by heading, in the first table after the words `table`."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page[page.index(table) :].splitlines()
        if line.startswith("|")
    ]
    found = next(row for row in rows if row[0] == first)
    return dict(zip(rows[0], found, strict=True))


def overview(found: list[Record], row: int = 0) -> dict[str, str]:
    return list(csv.DictReader(io.StringIO(pages_of(found)["tables/overview.csv"])))[row]


@pytest.mark.promise(10)
def test_golden_records_give_the_golden_tables_byte_for_byte() -> None:
    files = results_folder.render(golden())
    assert len(files) == 23
    for name, content in files.items():
        assert (GOLDEN / name).read_bytes() == content.encode(), f"{name}: see tests/golden/build.py"


def test_golden_records_are_what_the_script_builds() -> None:
    assert sorted(golden(), key=lambda r: r.id) == sorted(build.everything(), key=lambda r: r.id)


@pytest.mark.promise(10)
def test_the_order_of_records_does_not_matter() -> None:
    shuffled = golden()
    random.Random(0).shuffle(shuffled)  # noqa: S311
    assert results_folder.render(shuffled) == results_folder.render(golden())


def test_a_group_of_three_by_hand() -> None:
    # Gains 0.1, 0.5, 0.3 over controls 40.0, 40.5, 40.4; baselines 42.0, 42.4, 42.2.
    page = pages_of(golden())["tables/overview.md"]
    old = page[page.index(f"## {wording.SUPERSEDED}") :]
    assert line(old, "ResNet-18") == [
        *("ResNet-18", "fixture-pictures", "top-1 error %", "42.20 ± 0.20", "40.30 ± 0.26", "40.00 ± 0.10"),
        *("+0.30 ± 0.20 [-0.20, +0.80]", "3"),
    ]
    own = pages_of(golden())["tables/superseded.md"]
    own = own[own.index("## imagenet_resnet18: small scale, fixture-pictures, recipe 50a1150a1150, suite 0.1") :]
    assert line(own, "DSD over D")[:3] == ["DSD over D", "+2.20 ± 0.17 [+1.77, +2.63]", "3"]
    assert "DSD over control, top-1 error %: +0.30 ± 0.20 [-0.20, +0.80], n = 3. No verdict: superseded." in own
    assert (
        "mean 95 % interval of one trial's gain over other test sets (bootstrap) [+0.00, +0.60]; standard deviation of the gain "
        "0.15 over test sets, within a trial, and 0.20 between trials\n" in own
    )


def test_the_paper_scale_has_the_papers_figures_and_no_verdict() -> None:
    files = pages_of(golden())
    page = files["tables/overview.md"]
    assert line(page[page.index("## Paper scale") :], "VGG-16") == [
        *("VGG-16", "ImageNet", "31.60", "28.80", "27.30", "+1.50", "1", "+4.30", "+2.80"),
        "31.5 to 27.2 top-1 error %, ImageNet: +4.3 (+13.7 %)",
    ]
    verdict = "**DSD over control, top-1 error %: +1.50, n = 1. No verdict: not in the plan.**"
    assert verdict in files["tables/imagenet_vgg16.md"]


def test_every_record_is_listed_and_the_rule_stands_in_the_header() -> None:
    files = pages_of(golden())
    for record in golden():
        old = record.scale == "small" and not record.numerics and record.status == "finished"
        page = "smoke" if record.scale == "smoke" else "superseded" if old else record.row
        assert f"(../records/{record.id}.json)" in files[f"tables/{page}.md"]
    for name, content in files.items():
        if not name.endswith(".csv"):
            assert "last epoch, never best on test" in content, name


def test_replaced_and_failed_records_are_counted_and_change_no_mean() -> None:
    page = pages_of(golden())["README.md"]
    counts = "23 in the tables, 1 replaced by a newer trial of the same seed with the same arms, 1 failed and left out"
    assert f"25 records: {counts}." in page
    assert (
        "small, seed 3, dsd, sparse, step 17: the loss is nan in batch 3"
        in pages_of(golden())["tables/imagenet_resnet18.md"]
    )
    kept = [r for r in golden() if r.status == "finished" and not r.finished.startswith("2029")]
    assert pages_of(kept)["tables/overview.md"] == pages_of(golden())["tables/overview.md"]


def test_data_are_one_whatever_the_rule_of_fingerprints_where_a_run_of_both_is_the_same(tmp_path: Path) -> None:
    old = [build.record(seed=seed, id=f"old{seed}") for seed in (0, 1)]
    again = by_another_rule(old[0], id="again", finished="2030-01-02T10:00:00Z")
    further = by_another_rule(build.record(seed=2), id="further", finished="2030-01-03T10:00:00Z")
    assert sorted(len(group.records) for group in group_records([*old, further])) == [1, 2]  # no seed is in both
    (group,) = group_records([*old, again, further])
    assert [r.id for r in group.records] == ["again", "old1", "further"]
    assert [r.id for r in group.replaced] == ["old0"]
    assert (group.key.fingerprint, group.other_fingerprints) == ("by another rule", [old[0].data.fingerprint])
    assert len(figure_files.write(tmp_path, [*old, again, further])) == 1  # curves
    page = pages_of([*old, again, further])["tables/superseded.md"]
    assert f"; under an older rule {old[0].data.fingerprint}, the same data: the same trial gave" in page


def test_a_later_trial_with_fewer_arms_hides_no_evidence() -> None:
    full = build.record(id="full")
    later = build.record(
        id="later", finished="2030-01-02T10:00:00Z", arms={"control": (41.0, 30.0), "llr": (41.0, 30.0)}
    )
    (group,) = group_records([later, full])
    assert [r.id for r in group.records] == ["full"]
    assert (group.replaced, [r.id for r, _ in group.unused]) == ((), ["later"])
    files = pages_of([later, full])
    assert "1 not used, because an older trial of the same seed has more arms" in files["README.md"]
    assert "not used: lacks dsd, which the trial of 2030-01-01T10:00:00Z has |" in files["tables/superseded.md"]
    whole = {"dsd": (41.0, 39.0), "control": (41.0, 40.0), "llr": (41.0, 40.0)}
    newest = build.record(id="newest", finished="2030-01-03T10:00:00Z", arms=whole)
    (group,) = group_records([later, newest, full])
    assert [r.id for r in group.records] == ["newest"]
    assert ([r.id for r in group.replaced], group.unused) == (["full", "later"], ())


def test_the_verdict_names_the_arm_that_is_missing() -> None:
    found = [build.record(seed=s, arms={"control": (41.0, 40.0), "llr": (41.0, 40.5)}) for s in range(3)]
    assert "DSD over control: no DSD arm, so neither a gain nor a verdict." in pages_of(found)["tables/superseded.md"]
    nothing = [build.record(seed=s, arms={"llr": (41.0, 40.5)}) for s in range(3)]
    assert "DSD over control: no DSD or control arm" in pages_of(nothing)["tables/superseded.md"]


def test_the_name_of_the_data_folder_is_a_label() -> None:
    found = [build.record(seed=0, data="tiny"), build.record(seed=1, data="elsewhere")]
    (group,) = group_records(found)
    assert [record.seed for record in group.records] == [0, 1]
    assert group.key.data == group_records(found[::-1])[0].key.data == "elsewhere or tiny"


def test_suite_and_earlier_processes_are_shown() -> None:
    changed = "commit 0123456789ab, torch 2.11.0, Other CPU, 4 threads, float32"
    found = [build.record(suite="0.7", earlier=[changed]), build.record(seed=1, suite="0.7")]
    page = pages_of(found)["tables/superseded.md"]
    assert "- Software: suite 0.7, torch 2.12.0, float32; commit f1c710f1c710, f1c710f1c710 (before an inter" in page
    # The facts, the record's line and how to rerun it.
    assert page.count(f"f1c710f1c710 (before an interruption: {changed})") == 3


def test_synthetic_results_have_no_paper_cells_and_nothing_to_quote() -> None:
    found = [build.record(scale="smoke", seed=s, synthetic=True, baseline=50 + s) for s in range(3)]
    files = pages_of(found)
    for name, content in files.items():
        without_rule = content.replace(wording.RULE, "")
        assert not any(
            word in without_rule for word in ("excluded", "DSD better", "no difference", "30.4", "29.17", "[+")
        ), name
    assert set(files) == {
        "README.md",
        "tables/arms.md",
        *(f"tables/{n}.{s}" for n in ("overview", "smoke") for s in KINDS),
    }
    assert "SYNTHETIC" in files["tables/smoke.md"]
    assert "smoke test only" in files["tables/smoke.md"]
    cells = overview(found)
    assert {cells[name] for name in ("crossed_p", "p_holm", "crossed_low", "seeds_low", "paper_dsd")} == {""}
    assert headline_of(found).startswith("No result on real data yet")


def test_one_seed_has_no_interval_and_no_verdict() -> None:
    cells = overview([build.record()])
    assert (cells["n"], cells["verdict"]) == ("1", "none: superseded")
    assert cells["gain_over_control"] == "0.1"
    assert cells["seeds_low"] == cells["gain_over_control_sd"] == cells["crossed_p"] == cells["crossed_low"] == ""


def test_a_gain_counts_upwards_where_higher_is_better() -> None:
    found = [
        build.record("flickr8k_neuraltalk", seed=s, metric="bleu4", lower_is_better=False, baseline=16.0,
                     arms={"dsd": (16.5, 18.0 + s), "control": (16.5, 17.0 + 0.9 * s)})
        for s in range(3)
    ]  # fmt: skip
    cells = overview(found)  # gains 1.0, 1.1, 1.2: half-width 4.302653 * 0.1 / sqrt(3) = 0.2484
    assert float(cells["gain_over_control"]) == pytest.approx(1.1)
    assert float(cells["seeds_low"]) == pytest.approx(0.8516, abs=1e-4)


def test_the_papers_cells_are_comparable_at_paper_scale_on_the_papers_data_alone() -> None:
    rows = list(csv.DictReader(io.StringIO(pages_of(golden())["tables/overview.csv"])))
    assert {(r["row"], r["scale"]) for r in rows if r["paper_comparable"] == "True"} == {("imagenet_vgg16", "paper")}
    vgg = pages_of(golden())["tables/imagenet_vgg16.md"]
    assert line(vgg, "LLR")[5:] == ["29.33 *from memory*", "10.00 *from memory*"]
    planned = pages_of(build.planned())["tables/imagenet_resnet18.md"]
    assert "paper (ImageNet, full recipe): top-1 error %" in planned
    assert "A verdict applies to DSD on this data and at this size" in planned


def test_a_group_without_control_has_no_verdict() -> None:
    found = [build.record(seed=s, arms={"dsd": (41.0, 40.0)}) for s in range(3)]
    assert (
        "DSD over control: no control arm, so neither a gain nor a verdict." in pages_of(found)["tables/superseded.md"]
    )


def test_a_custom_recipe_enters_no_comparison() -> None:
    files = pages_of(build.trio(custom=["sparsity=0.9"]))
    assert "No verdict: custom recipe." in files["tables/superseded.md"]
    assert "paper (ImageNet" not in files["tables/superseded.md"]
    assert headline_of(build.trio(custom=["sparsity=0.9"])).startswith("No result")


def test_a_row_that_the_paper_does_not_have() -> None:
    files = pages_of(build.trio(row="cifar_resnet20", scale="paper"))
    assert "This row is not in the paper." in files["tables/cifar_resnet20.md"]
    assert "cifar_resnet20" in {one["row"] for one in csv.DictReader(io.StringIO(files["tables/overview.csv"]))}


def test_records_of_one_group_must_agree_about_the_metric() -> None:
    other = build.record(seed=1, id="other").model_copy(update={"unit": "share"})
    with pytest.raises(ValueError, match="other"):
        group_records([build.record(seed=0), other])
    with pytest.raises(ValueError, match="'dense' lacks the metric 'loss'"):
        group_records([build.record(metric="top1_error").model_copy(update={"metric": "loss"})])


def test_no_records_at_all() -> None:
    files = pages_of([])
    assert list(files) == ["README.md"]
    assert "nox -s imagenet_resnet18" in files["README.md"]


def test_only_failed_records() -> None:
    files = pages_of([build.failed()])
    assert "1 record: 0 in the tables, 1 failed and left out." in files["README.md"]
    assert "Failed trials, left out: 1" in files["tables/imagenet_resnet18.md"]


def test_a_pipe_in_a_cell_does_not_break_the_table() -> None:
    page = pages_of([build.record(data="a|b")])["tables/overview.md"]
    assert r"| a\|b" in page


def terminal(found: list[Record]) -> list[str]:
    """Return what a terminal of 80 columns shows, printed as the command does."""
    console = Console(width=80, soft_wrap=True, record=True, file=io.StringIO())
    console.print(reporting_terminal.terminal(pages.end_of_run("imagenet_resnet18", results(found))))
    return console.export_text().splitlines()


def test_the_table_at_the_end_of_a_run_has_every_number_under_its_heading() -> None:
    lines = terminal(build.trio((-0.1, -0.5, -0.3)))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "small scale, fixture-pictures, recipe 50a1150a1150, suite 0.1" in text
    heads = next(line for line in lines if " arm " in line)
    over = lines[lines.index(heads) - 1]
    dsd = next(line for line in lines if line.startswith(" DSD "))
    # Baselines 42.0, 42.2, 42.4; DSD 40.1, 41.0, 40.7. Every number ends where its heading ends.
    for numbers, heading, end in (
        ("40.60 ± 0.46", "top-1 error %", heads),
        ("+1.60 ± 0.36", "D", heads),
        ("-0.30 ± 0.20", "control", heads),
        ("-0.30 ± 0.20", "gain over", over),
    ):
        assert dsd.rindex(numbers) + len(numbers) == end.rindex(heading) + len(heading), heading
    assert "none: superseded" in dsd
    assert lines[lines.index(dsd) + 1].split() == ["[-0.80,", "+0.20]"]
    assert not any(line.startswith(" DSD over control") for line in lines)


def test_the_table_at_the_end_of_a_run_is_readable_at_80_columns_whatever_the_names() -> None:
    name = "[bold]pictures[/bold] [/] " + "of a folder with a long name " * 3
    lines = terminal(build.trio((0.1, 0.1, 0.1), data=name))
    assert max(map(len, lines)) <= 80
    assert "[bold]pictures[/bold] [/] of a folder" in "\n".join(lines)
    assert "suite 0.1" in "\n".join(lines)
    for numbers in ("40.20 ± 0.26", "+2.00 ± 0.17", "+0.10 ± 0.00", "[+0.10, +0.10]", "none: superseded"):
        assert any(numbers in line for line in lines), numbers


def test_every_group_of_a_row_has_a_table_of_its_own_in_the_terminal() -> None:
    lines = terminal(build.trio() + build.trio((0.1, 0.2, 0.3), custom=["sparsity=0.9"]))
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert text.count("small scale, fixture-pictures, recipe 50a1150a1150") == 2
    assert "custom: sparsity=0.9" in text
    assert ("none: superseded" in text, "none: custom recipe" in text) == (True, True)
    assert text.count("Selection rule: last epoch") == 1


def test_the_masks_of_every_sparse_phase_are_told() -> None:
    page = pages_of(golden())["tables/imagenet_vgg16.md"]
    assert "- Masks keep: 70.0 % of 10 weights in S1 (tensors: 1)\n" in page
    page = pages_of(build.utterances())["tables/librispeech_deepspeech2.md"]
    assert "- Masks keep: 50.0 % of 600 weights in S1 (tensors: 2); 75.0 % of 600 weights in S2 (tensors: 2)\n" in page
    assert "Masks" not in pages_of([build.record(arms={"control": (41.0, 40.0)})])["tables/superseded.md"]
