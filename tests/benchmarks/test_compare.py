"""Differences between two records or sets of records: by hand on made-up records, and bit for bit on trained ones."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy import stats

from benchmarks.analysis.comparison import GAIN, Comparison, Line, compare, pair
from benchmarks.analysis.groups import Group, group_records
from benchmarks.analysis.record_differences import facts
from benchmarks.cli.compare import sentences
from benchmarks.cli.display import Display
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.statistics.intervals import pooled, welch
from benchmarks.training.interruption import Stop
from benchmarks.training.trial import Trial
from tests.benchmarks import toy
from tests.golden import build

T2 = 4.302653  # t table, 95 %, 2 degrees of freedom

CLIPPING = {"share": 0.5, "factor": 0.9}


def group(*trials: Record) -> Group:
    (found,) = group_records(trials)
    return found


def controls(*errors: float, first_seed: int = 0, **fields: Any) -> Group:
    """One record per seed. The control ends at these errors, and DSD one point below; `other_metrics` are equal in all arms."""
    arms = [{"control": (45.0, error), "dsd": (44.0, error - 1)} for error in errors]
    return group(*(build.record(seed=first_seed + i, arms=one, **fields) for i, one in enumerate(arms)))


def line(found: Comparison, arm: str = "control", metric: str = "top1_error") -> Line:
    (one,) = [line for line in found.lines if (line.arm, line.metric) == (arm, metric)]
    return one


def flat(hash_of: str = "50a1150a1150", **recipe: Any) -> Group:
    return group(build.record(recipe=recipe, recipe_hash=hash_of))


def test_the_same_seeds_are_paired() -> None:
    found = compare(controls(40.0, 40.5, 40.4), controls(40.1, 41.0, 40.7))
    one = line(found)  # differences 0.1, 0.5, 0.3: mean 0.3, standard deviation 0.2
    assert (one.yardstick, one.a.n, one.b.n) == ("paired seeds", 3, 3)
    assert (one.a.mean, one.b.mean, one.difference) == pytest.approx((40.3, 40.6, 0.3))
    assert one.a.sd == pytest.approx(math.sqrt((0.09 + 0.04 + 0.01) / 2))
    half = T2 * 0.2 / math.sqrt(3)
    assert one.interval == pytest.approx((0.3 - half, 0.3 + half), abs=1e-6)
    assert one.within is True
    assert (found.seeds, found.identical, found.alike, found.agree) == ((0, 1, 2), (), True, True)


def test_without_the_spread_of_seeds_a_smaller_difference_is_found() -> None:
    found = compare(controls(40.0, 42.0, 44.0), controls(40.5, 42.5, 44.51))
    assert line(found).within is False  # every seed is 0.5 points worse; seeds differ by 2 points
    assert not found.agree
    unpaired = compare(controls(40.0, 42.0, 44.0), controls(40.5, 42.5, 44.51, first_seed=3))
    assert line(unpaired).within is True


def test_other_seeds_are_compared_by_welchs_t() -> None:
    one = line(compare(controls(40.0, 41.0, 42.0), controls(50.0, 52.0, first_seed=3)))
    assert (one.yardstick, one.difference) == ("Welch", pytest.approx(10.0))
    freedom = (1 / 3 + 2 / 2) ** 2 / ((1 / 3) ** 2 / 2 + (2 / 2) ** 2 / 1)  # variance 1 over three seeds, 2 over two
    half = stats.t.ppf(0.975, freedom) * math.sqrt(1 / 3 + 1)
    assert one.interval == pytest.approx((10 - half, 10 + half))


def test_seeds_of_another_scale_are_no_pairs() -> None:
    small, paper = controls(40.0, 41.0), controls(40.0, 41.0, scale="paper")
    assert line(compare(small, paper)).yardstick == "Welch"


def test_a_single_record_is_judged_by_the_spread_of_those_beside_it() -> None:
    known = controls(40.0, 41.0, 42.0)  # variance 1, two degrees of freedom
    one, other = controls(41.0), controls(43.0, first_seed=7)
    found = line(compare(one, other, [known]))
    half = T2 * math.sqrt(2)
    assert found.yardstick == "other records"
    assert found.interval == pytest.approx((2 - half, 2 + half), abs=1e-5)
    assert found.within is True
    # Naming the same records twice adds no evidence. Records of another recipe do not count.
    assert line(compare(one, other, [known, known])) == found
    assert line(compare(one, other, [controls(40.0, 41.0, 42.0, recipe_hash="c0" * 6)])).yardstick == "test set"


def test_a_single_record_against_several_has_their_spread() -> None:
    found = line(compare(controls(44.0, first_seed=9), controls(40.0, 41.0, 42.0)))
    half = T2 * math.sqrt(1 + 1 / 3)
    assert found.yardstick == "other records"
    assert found.interval == pytest.approx((-3 - half, -3 + half), abs=1e-5)


@pytest.mark.parametrize(("error", "within"), [(40.1, True), (42.0, False)])
def test_alone_a_side_only_the_noise_of_the_test_set_is_known(error: float, within: bool) -> None:
    found = compare(controls(40.0), controls(error))  # 1 or 20 more of 1,000 examples are wrong, and no others right
    one = line(found)
    assert (one.yardstick, one.within, found.agree) == ("test set", within, within)
    assert one.interval is not None
    share = (error - 40) / 100
    half = 1.96 * 100 * math.sqrt(share * (1 - share) / 1000)
    assert one.interval == pytest.approx((100 * share - half, 100 * share + half), abs=0.15)
    assert line(found, GAIN).within is True  # DSD gains one point on both sides
    assert "one record per side: no seed spread to compare with" in sentences(found)


def test_on_other_data_nothing_tells_the_spread_of_one_record() -> None:
    other = build.record().data.model_copy(update={"fingerprint": "0" * 12})
    moved = build.record(arms={"control": (45.0, 44.0)}).model_copy(update={"data": other})
    found = compare(controls(40.0), group(moved))
    assert (line(found).yardstick, line(found).within, line(found).interval) == ("none", None, None)
    assert (found.alike, found.agree) == (False, False)
    assert sentences(found)[-1] == "the spread is unknown, so it is unclear whether the results agree"


def test_a_metric_outside_its_own_interval_may_be_so_by_chance() -> None:
    """0.05 / 10 < p < 0.05 / 3: the metric differs after Holm's correction over 3 lines, but not over 12."""
    values = [({"top5_error": 20.0 + s}, {"top5_error": 20.1 + s + 0.02 * s}) for s in range(3)]
    a, b = (
        group(*(build.record(seed=s, other_metrics=pair[side]) for s, pair in enumerate(values))) for side in (0, 1)
    )
    one = line(compare(a, b), "dsd", "top5_error")  # differences 0.10, 0.12, 0.14: t = 0.12 / (0.02 / sqrt(3)) = 10.4
    assert one.interval is not None
    assert one.interval[0] > 0
    p = 2 * stats.t.sf(0.12 / (0.02 / math.sqrt(3)), 2)
    assert 0.05 / 3 > p > 0.05 / 10
    assert one.within is False  # three lines have this metric with equal p-values: 3 p < 0.05
    wide = {f"wer_{name}": 10.0 for name in "abc"}
    a, b = (
        group(*(build.record(seed=s, other_metrics=pair[side] | wide) for s, pair in enumerate(values)))
        for side in (0, 1)
    )
    assert line(compare(a, b), "dsd", "top5_error").within is True  # twelve lines: 12 p > 0.05
    assert any(sentence.startswith("* ") for sentence in sentences(compare(a, b)))


def test_rounding_is_no_difference_however_regular_it_is() -> None:
    one = line(compare(controls(40.0, 41.0, 42.0), controls(40.00001, 41.00001, 42.00001)))
    assert one.difference == pytest.approx(1e-5)
    assert one.within is True
    assert line(compare(controls(40.0, 41.0, 42.0), controls(40.001, 41.001, 42.001))).within is False


def test_what_one_side_lacks_is_named() -> None:
    arms = {"control": (45.0, 40.0), "dsd": (44.0, 39.0), "llr": (45.0, 43.0)}
    a = group(build.record(arms=arms, other_metrics={"top5_error": 1.0}))
    b = group(build.record(arms={name: arms[name] for name in ("control", "llr")}))
    found = compare(a, b)
    assert [(one.arm, one.metric) for one in found.lines] == [
        ("dense", "top1_error"), ("control", "top1_error"), ("llr", "top1_error")
    ]  # fmt: skip
    assert found.alone == (
        f"{GAIN} (only A)", "dense top5_error (only A)", "dsd (only A)", "control top5_error (only A)",
        "llr top5_error (only A)",
    )  # fmt: skip


def test_recipes_are_compared_field_by_field_and_phases_by_name() -> None:
    phases = [*toy.RECIPE.schedule.phases, *toy.RECIPE.schedule.phases[1:]]
    changed = [*phases[:3], dataclasses.replace(phases[3], sparsity=0.8), dataclasses.replace(phases[4], epochs=3)]
    ours, theirs = (
        dataclasses.replace(toy.RECIPE, schedule=dataclasses.replace(toy.RECIPE.schedule, phases=tuple(one)))
        for one in (phases, changed)
    )
    theirs = dataclasses.replace(theirs, clip_norm=5.0, skip=("0", "5"), notes=("prose",))
    found = facts(flat(**ours.as_dict()), flat("0" * 12, **theirs.as_dict()))
    assert [(one.area, one.name, one.a, one.b) for one in found] == [
        ("recipe", "sparse 2.sparsity", "0.5", "0.8"),
        ("recipe", "redense 2.epochs", "1", "3"),
        ("recipe", "skip", "0", "0, 5"),
        ("recipe", "clip_norm", "none", "5.0"),
        ("recipe", "hash", "50a1150a1150", "0" * 12),
    ]


def test_data_versions_hardware_and_run_are_compared_and_time_is_not() -> None:
    plain = build.record()
    other = build.record(
        seed=3,
        started="2031-01-01T09:00:00Z",
        interruptions=2,
        commit="a" * 40,
        versions={"python": "3.11.0", "torch": "2.13.0", "cuda": "13"},
        hardware=plain.hardware.model_copy(update={"gpu": "H100", "processes": 4}),
        precision="float32 (TF32 in convolutions)",
    ).model_copy(update={"data": plain.data.model_copy(update={"subset": 0.5, "counts": {"train": 500, "test": 1000}})})
    found = {(one.area, one.name): (one.a, one.b) for one in facts(group(plain), group(other))}
    assert found == {
        ("data", "counts.train"): ("1000", "500"),
        ("data", "subset"): ("1.0", "0.5"),
        ("versions", "torch"): ("2.12.0", "2.13.0"),
        ("versions", "cuda"): ("-", "13"),
        ("hardware", "gpu"): ("none", "H100"),
        ("hardware", "processes"): ("1", "4"),
        ("run", "commit"): (plain.commit, "a" * 40),
        ("run", "precision"): ("float32", "float32 (TF32 in convolutions)"),
    }


def test_a_side_tells_every_value_that_its_records_have() -> None:
    both = group(build.record(seed=0, commit="a" * 40), build.record(seed=1, commit="b" * 40))
    (fact,) = facts(both, group(build.record(commit="b" * 40)))
    assert (fact.name, fact.a, fact.b) == ("commit", f"{'a' * 40} | {'b' * 40}", "b" * 40)


def test_groups_are_paired_by_what_they_are() -> None:
    resnet, vgg, custom = (
        group(one) for one in (build.record(), build.record("imagenet_vgg16"), build.record(custom=["sparsity=0.9"]))
    )
    newer = group(build.record(recipe_hash="0" * 12))
    pairs, left, right = pair([resnet, vgg, custom], [custom, newer])
    assert pairs == [(custom, custom), (resnet, newer)]
    assert (left, right) == ([vgg], [])
    assert pair([resnet], [custom])[0] == [(resnet, custom)]  # one group per side: paired even if they differ
    # With two changed recipes, the counterpart is ambiguous.
    another = group(build.record(recipe_hash="1" * 12))
    with pytest.raises(ValueError, match=r"no group of A \(imagenet_resnet18 small\) has exactly one counterpart in B"):
        pair([resnet], [newer, another])


def test_unlike_rows_and_metrics_are_refused() -> None:
    one, other = controls(40.0), group(build.record("imagenet_vgg16"))
    with pytest.raises(ValueError, match=r"A is of row imagenet_resnet18, B of imagenet_vgg16"):
        pair([one], [other])
    with pytest.raises(ValueError, match=r"'imagenet_resnet18', 'top1_error', '%', True.*'imagenet_vgg16'"):
        compare(one, other)
    with pytest.raises(ValueError, match=r"'top1_error', '%', True.*'wer', '%', True"):
        compare(one, group(build.record(metric="wer")))


@pytest.mark.parametrize("known", [[3.0, 5.0, 4.0], [1.0, 4.0]])
def test_welch_and_pooled_are_scipys(known: list[float]) -> None:
    a, b = [1.0, 2.0, 4.0], known
    for found, equal in ((welch(a, b), False), (pooled(a, b, [a, b]), True)):
        expected = stats.ttest_ind(b, a, equal_var=equal)
        assert found.p == pytest.approx(expected.pvalue)
        interval = expected.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (welch([1.0, 1.0], [1.0, 1.0]).p, welch([1.0, 1.0], [2.0, 2.0]).p) == (1.0, 0.0)


def test_a_spread_needs_two_numbers() -> None:
    with pytest.raises(ValueError, match="welch needs at least two numbers per side, got 1 and 2"):
        welch([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"pooled needs a sample of at least two numbers, got \[1, 0\]"):
        pooled([1.0], [2.0], [[1.0], []])


def train(out: Path, seed: int = 0, arms: tuple[str, ...] = ("control", "dsd")) -> Path:
    display = Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH)
    return Trial(toy.plan(out, seed, arms), toy.ToyTask(seed=seed), display, Stop()).run()


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The records of the same trial run twice, the second time with one more arm."""
    folders = [tmp_path_factory.mktemp(name) for name in ("once", "again")]
    return train(folders[0]), train(folders[1], arms=("control", "dsd", "llr"))


def edited(path: Path, edit: Callable[[dict[str, Any]], object]) -> Group:
    content = store.read(path).model_dump()
    edit(content)
    return group(Record.model_validate(content).sealed())


@pytest.mark.promise(1)
def test_the_same_seed_gives_the_same_bits(twice: tuple[Path, Path]) -> None:
    one, two = (group(store.read(path)) for path in twice)
    found = compare(one, two)
    assert (found.identical, found.alike, found.agree) == ((0,), True, True)
    assert [fact.name for fact in found.facts] == ["arms"]
    assert sentences(found) == [
        "not compared: llr (only B)",
        "identical bit for bit: 1 of 1 seed on both sides",
        "the results are identical",
    ]


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (lambda r: r["arms"]["dsd"]["cost"].update(seconds=9e9), True),
        (lambda r: r.update(started="2000-01-01T00:00:00Z"), True),
        # The other record may be older than this field.
        (lambda r: r["arms"]["dsd"]["phases"][0].update(clipping=CLIPPING), True),
        (lambda r: r["arms"]["dsd"]["curve"][-1].update(test=None), False),
        (lambda r: r["arms"]["dsd"]["curve"][-1]["test"].update(more=0.0), False),
        (lambda r: r["arms"]["dsd"]["curve"][0]["train"].update(loss=0.1), False),
        (lambda r: r["arms"]["control"].update(outcomes="bits:8:AA=="), False),
        (lambda r: r["dense"]["first_step_in_lr"].__setitem__(0, 1.5), False),
        (lambda r: r.update(dense=None), False),
    ],
)
def test_bit_for_bit_leaves_out_time_alone(
    twice: tuple[Path, Path], edit: Callable[[dict[str, Any]], object], same: bool
) -> None:
    assert compare(group(store.read(twice[0])), edited(twice[0], edit)).identical == ((0,) if same else ())


def test_what_both_records_have_a_field_for_is_compared(twice: tuple[Path, Path]) -> None:
    ours, theirs = (
        edited(twice[0], lambda r, s=s: r["arms"]["dsd"]["phases"][0].update(clipping=CLIPPING | {"share": s}))
        for s in (0.0, -0.0)
    )
    assert compare(ours, ours).identical == (0,)
    assert compare(ours, theirs).identical == ()


def test_outputs_of_one_and_the_same_name_are_results_too(twice: tuple[Path, Path]) -> None:
    ours, theirs = (edited(twice[0], lambda r, c=c: r.update(outputs=c * 64)) for c in "ab")
    assert compare(ours, ours).identical == (0,)
    assert compare(ours, theirs).identical == ()
