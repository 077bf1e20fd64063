"""Sensitivity arms: their gains, their table and their figure."""

import csv
import io
from pathlib import Path

import pytest

from benchmarks.analysis import sensitivity
from benchmarks.analysis.groups import Group, group_records
from benchmarks.arms import registry
from benchmarks.arms.registry import SENSITIVITY
from benchmarks.records.schema import Record
from benchmarks.reporting.figures import sensitivity as sensitivity_figure
from benchmarks.reporting.figures.names import figure_names
from tests.benchmarks.test_tables import line, pages_of, terminal
from tests.golden import build

PAGE = "tables/superseded.md"


def only(found: list[Record]) -> Group:
    (group,) = group_records(found)
    return group


def test_gains_are_over_the_arms_own_control_paired_by_seed() -> None:
    found = {one.arm: one for one in sensitivity.choices(only(build.sweep(2)))}
    assert list(found) == [
        *("dsd-0", "dsd-10", "dsd-25", "dsd", "dsd-50", "dsd-70", "dsd-80", "dsd-90"),
        *("random", "llr", "dsd-twice", "control-keep", "dsd-keep", "swa", "sam"),
    ]
    for name, gain in build.SWEPT.items():  # the gain of arm k is 0.1 (k + 1) higher in seed 1
        k = list({"dsd": 0, **build.SWEPT}).index(name)
        assert found[name].gains == pytest.approx((gain, gain + 0.1 * (k + 1)))
        assert (found[name].over, found[name].sparsity) == ("control", float(name[4:]))
    # Over control, control-keep gains 0.1 in seed 0 and 1.2 more in seed 1; dsd-keep gains 0.3, and 1.3 more.
    assert found["dsd-keep"].over == "control-keep"
    assert found["dsd-keep"].gains == pytest.approx((0.2, 0.3))
    assert found["control-keep"].gains == pytest.approx((0.1, 1.3))
    assert found["dsd"].sparsity == 30.0


def test_they_have_a_table_of_their_own_and_stand_in_no_other() -> None:
    page = pages_of(build.sweep())[PAGE]
    parts = page.split("\n\n")
    (table,) = (parts[k + 1] for k, part in enumerate(parts) if part.startswith("Sensitivity: gains in top-1 error %"))
    # Seeds gain 0.6, 2.0, -0.8: sd 1.4, half-width 4.302653 * 1.4 / sqrt(3) = 3.4778.
    assert line(table, "Control, averaged") == [
        "Control, averaged",
        "39.60 ± 1.51",
        "+0.60 ± 1.40 [-2.88, +4.08]",
        "3",
        "10",
        "equal budget",
    ]
    assert line(table, "DSD, optimizer state kept")[-1] == "state kept"
    assert line(table, "DSD (the recipe's 30 %)")[2] == "+0.30 ± 0.10 [+0.05, +0.55]"
    labels = {registry.label(name) for name in build.sweep(1)[0].arms if name in SENSITIVITY} - {"DSD at 30 %"}
    rest = page.replace(table, "")
    assert [label for label in labels if f"| {label} " not in table] == []
    assert [label for label in labels if f"| {label} " in rest] == []
    whole = build.sweep()
    plain = [
        one.model_copy(update={"arms": {k: v for k, v in one.arms.items() if k not in SENSITIVITY}}) for one in whole
    ]
    assert pages_of(whole)["tables/overview.md"] == pages_of(plain)["tables/overview.md"]
    assert "Sensitivity" not in pages_of(plain)[PAGE]


def test_an_arm_without_the_control_it_is_compared_with_is_left_out() -> None:
    one = build.sweep(1)[0]

    def without(name: str) -> list[str]:
        arms = {key: arm for key, arm in one.arms.items() if key != name}
        return [choice.arm for choice in sensitivity.choices(only([one.model_copy(update={"arms": arms})]))]

    assert "dsd-keep" not in without("control-keep")
    assert without("control") == ["dsd-keep"]  # dsd-keep has its own control


def test_iterations_of_their_own_sparsity_are_told() -> None:
    group = only(build.utterances())
    assert sensitivity.own_sparsities(group) == [50.0, 25.0]
    assert sensitivity.choices(group) == []


def test_they_are_exported_with_n_and_interval() -> None:
    content = pages_of(build.sweep())["tables/superseded.csv"]
    rows = {row["quantity"]: row for row in csv.DictReader(io.StringIO(content))}
    gain = rows["gain of Control, averaged over Control (equal budget)"]
    assert (gain["n"], float(gain["mean"]), float(gain["low"])) == ("3", pytest.approx(0.6), pytest.approx(-2.87779))
    assert gain["verdict"] == ""
    assert float(rows["Control, averaged"]["mean"]) == pytest.approx(39.6)
    assert "gain of DSD, optimizer state kept over Control, optimizer state kept" in rows


def test_the_table_at_the_end_of_a_run_has_them_too() -> None:
    lines = terminal([one.model_copy(update={"row": "imagenet_resnet18"}) for one in build.sweep()])
    assert max(map(len, lines)) <= 80
    swa = next(line for line in lines if "39.60" in line)
    assert swa.split()[:5] == ["Control,", "39.60", "±", "1.51", "3"]
    assert swa.split()[-1] == "secondary"


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_the_picture_holds_every_seed_whatever_their_number(tmp_path: Path, seeds: int) -> None:
    sensitivity_figure.draw(group_records(build.sweep(seeds))[0], tmp_path / "a.png")
    sensitivity_figure.draw(group_records(build.sweep(seeds))[0], tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_such_an_arm_there_is_no_picture(tmp_path: Path) -> None:
    names = figure_names(group_records(build.sweep()))
    assert "imagenet_resnet50-small-sensitivity.png" in names
    with pytest.raises(ValueError, match="no record of imagenet_resnet18 has both a sensitivity arm and the control"):
        sensitivity_figure.draw(group_records(build.trio())[0], tmp_path / "sensitivity.png")
