import math

import numpy as np
import pytest
from scipy import special

from benchmarks.statistics import bootstrap, intervals
from benchmarks.statistics.crossed import (
    Crossed,
    Measured,
    components,
    contrast,
    degrees_of_freedom,
    half_width,
    measure,
    relative,
)
from tests.trust.worlds import Binary, Corpus, World

Outcomes = list[np.ndarray]


def hits(n: int, examples: int, seed: int = 0) -> tuple[Outcomes, Outcomes]:
    generator = np.random.default_rng(seed)
    drawn = (generator.random((2, n, examples)) < 0.6).astype(float)
    return list(drawn[0]), list(drawn[1])


def counts(n: int, examples: int, k: int, seed: int = 0) -> tuple[Outcomes, Outcomes]:
    generator = np.random.default_rng(seed)
    totals = generator.integers(4, 12, (examples, 1)) - np.arange(k)
    arms = [[np.hstack([generator.binomial(totals, 0.6), totals]).astype(float) for _ in range(n)] for _ in range(2)]
    return arms[0], arms[1]


def interval(measured: Measured, share: float = 0.0) -> Crossed:
    found = contrast(measured, share)
    assert found is not None
    return found


def test_two_seeds_and_two_examples_by_hand() -> None:
    found = interval(measure([np.array([1, 1]), np.array([1, 0])], [np.array([0, 1]), np.array([0, 0])], True))
    # Both seeds gain 1 on the first example and 0 on the second. Mean gains by seed are 50 and 50, by example 100 and 0.
    assert found.mean == 50
    assert found.between_seeds == 0
    assert found.between_examples == pytest.approx(5000 / 2)
    assert found.interaction == pytest.approx(0)
    assert found.high == pytest.approx(50 + 12.7062 * 50, abs=1e-3)  # t table, 1 degree of freedom; sqrt(2500) = 50


def test_components_by_hand() -> None:
    parts = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 7.0]])  # means of the seeds: 2 and 4; of the examples: 2, 2 and 5
    seeds, examples, interaction = components(parts.mean(axis=1), parts)
    assert seeds == pytest.approx(2 / 2)
    assert examples == pytest.approx(3 / 3)
    # Residuals are +-(0, 1, -1). Their squares sum to 4, divided by (2 - 1)(3 - 1) and by 2 x 3.
    assert interaction == pytest.approx(4 / 2 / 6)


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("clustered", [False, True])
def test_the_jackknife_leaves_out_one_by_one(k: int, clustered: bool) -> None:
    dsd, control = counts(4, 30, k)
    clusters = [index % 7 if clustered else index for index in range(30)]
    found = interval(measure(dsd, control, True, clusters if clustered else None))
    groups = sorted(set(clusters))

    def gains(kept: list[int]) -> list[float]:
        return [bootstrap.score(a[kept]) - bootstrap.score(b[kept]) for a, b in zip(dsd, control, strict=True)]

    without = np.array([gains([i for i in range(30) if clusters[i] != group]) for group in groups])  # (groups, seeds)
    g = len(groups)
    jackknife = (g - 1) / g * ((without.mean(axis=1) - without.mean()) ** 2).sum()
    residuals = without - without.mean(axis=0) - without.mean(axis=1, keepdims=True) + without.mean()
    interaction = (g - 1) ** 2 * (residuals**2).sum() / ((4 - 1) * (g - 1)) / (4 * g)
    assert found.groups == g
    assert found.mean == pytest.approx(np.mean(gains(list(range(30)))))
    assert found.between_seeds == pytest.approx(np.var(gains(list(range(30))), ddof=1) / 4)
    assert found.between_examples == pytest.approx(jackknife)
    assert found.interaction == pytest.approx(interaction)
    assert found.variance == pytest.approx(found.between_seeds + jackknife - interaction)


def test_hits_are_counts_out_of_one() -> None:
    dsd, control = hits(3, 40)
    as_counts = [[np.column_stack([one, np.ones(40)]) for one in arm] for arm in (dsd, control)]
    found, again = interval(measure(dsd, control, True)), interval(measure(*as_counts, True))
    assert [getattr(found, name) for name in found.__dataclass_fields__] == pytest.approx(
        [getattr(again, name) for name in again.__dataclass_fields__]
    )
    assert interval(measure(dsd, control, True, clusters=range(40))).high == pytest.approx(found.high)


def test_clusters_may_be_of_any_size_and_order() -> None:
    dsd, control = hits(3, 6)
    names = ["b", "a", "b", "c", "c", "b"]
    order = [4, 2, 0, 5, 1, 3]
    found = interval(measure(dsd, control, True, names))
    again = interval(
        measure([a[order] for a in dsd], [b[order] for b in control], True, [names[index] for index in order])
    )
    assert found.groups == 3
    assert again.high == pytest.approx(found.high)


def test_without_noise_of_examples_it_is_the_t_interval_over_seeds() -> None:
    found = Measured(*_constant([0.1, 0.5, 0.3, 0.2, 0.9], 1000))
    summary = intervals.paired([0.1, 0.5, 0.3, 0.2, 0.9])
    told = interval(found)
    assert told.interaction == pytest.approx(0)
    assert (told.low, told.high) == pytest.approx(summary.interval)
    assert told.p == pytest.approx(summary.p)


def test_many_examples_bring_it_to_the_t_interval_over_seeds() -> None:
    generator = np.random.default_rng(0)
    effects = np.array([-0.1, 0.0, 0.05, 0.1, 0.2])
    dsd = [(generator.random(400_000) < 0.5 + effect).astype(float) for effect in effects]
    control = [(generator.random(400_000) < 0.5).astype(float) for _ in effects]
    found = interval(measure(dsd, control, True))
    summary = intervals.paired([bootstrap.score(a) - bootstrap.score(b) for a, b in zip(dsd, control, strict=True)])
    assert summary.interval is not None
    assert (found.low, found.high) == pytest.approx(summary.interval, rel=2e-3)


def test_without_noise_of_seeds_it_is_the_interval_over_examples() -> None:
    (dsd, *_), (control, *_) = hits(1, 500)
    found = interval(measure([dsd] * 5, [control] * 5, False))
    error = 100 * np.std(dsd - control, ddof=1) / math.sqrt(500)
    assert (found.between_seeds, found.interaction) == (0, pytest.approx(0))
    assert found.high - found.mean == pytest.approx(-special.stdtrit(499, 0.025) * error)


def test_the_control_gains_nothing_over_itself() -> None:
    _, control = hits(5, 100)
    found = interval(measure(control, control, True))
    assert (found.mean, found.low, found.high, found.lower, found.upper, found.p, found.variance) == (
        0,
        0,
        0,
        0,
        0,
        1,
        0,
    )


def test_a_gain_that_no_seed_and_no_example_alters_is_known_exactly() -> None:
    found = interval(measure([np.ones(10)] * 5, [np.zeros(10)] * 5, True))
    assert (found.mean, found.low, found.high, found.p) == (100, 100, 100, 0)


def test_seeds_that_agree_by_chance_do_not_make_it_narrower_than_half_of_what_examples_give() -> None:
    found = half_width(0.0, 1.0, 0.9, 5, 1001, 0.05)
    assert found == pytest.approx(-special.stdtrit(1000, 0.025) / 2)


def test_one_seed_has_no_interval() -> None:
    measured = measure(*hits(1, 100), True)
    assert contrast(measured) is None
    assert relative(measured) is None


@pytest.mark.parametrize(
    ("seeds", "interaction", "n", "expected"),
    [
        (1.0, 0.0, 5, 4),
        (1.0, 0.05, 5, 4 / 0.95),
        (1.0, 0.5, 5, 4.4),
        (1.0, 2.0, 5, 4.4),
        (0.0, 0.0, 5, 4),
        (1.0, 0.5, 10, 9.4),
        (1.0, 0.5, 3, 2),
    ],
)
def test_degrees_of_freedom(seeds: float, interaction: float, n: int, expected: float) -> None:
    assert degrees_of_freedom(seeds, interaction, n) == pytest.approx(expected)


def test_p_is_where_the_interval_ends_at_zero() -> None:
    found = interval(measure(*hits(5, 300, seed=3), True))
    again = half_width(found.between_seeds, found.between_examples, found.interaction, 5, 300, found.p)
    assert again == pytest.approx(abs(found.mean))
    assert found.lower > found.low
    assert found.upper < found.high


def test_a_share_of_the_control_is_tested_with_its_own_noise() -> None:
    dsd, control = hits(5, 300)
    measured = measure(dsd, control, True)
    errors = [100 - bootstrap.score(one) for one in control]
    gains = [bootstrap.score(a) - bootstrap.score(b) for a, b in zip(dsd, control, strict=True)]
    found = interval(measured, 0.1)
    assert found.mean == pytest.approx(np.mean(gains) - 0.1 * np.mean(errors))
    by_hand = [100 * (a - b) - 0.1 * 100 * (1 - b) for a, b in zip(dsd, control, strict=True)]
    assert found.between_examples == pytest.approx(np.var(np.mean(by_hand, axis=0), ddof=1) / 300)
    assert measure(dsd, control, False).controls == pytest.approx([bootstrap.score(one) for one in control])


def test_fiellers_ends_are_where_the_contrast_ends_at_zero() -> None:
    measured = measure(*counts(5, 200, 4, seed=2), False)
    found = relative(measured)
    assert found is not None
    assert found.low < found.lower < found.share < found.upper < found.high
    for name in ("low", "lower"):
        assert getattr(interval(measured, getattr(found, name)), name) == pytest.approx(0, abs=1e-9)
    for name in ("high", "upper"):
        assert getattr(interval(measured, getattr(found, name)), name) == pytest.approx(0, abs=1e-9)


def test_a_control_without_errors_has_no_share() -> None:
    assert relative(measure([np.zeros(10), np.ones(10)], [np.ones(10)] * 2, True)) is None


def test_a_control_near_zero_leaves_an_end_open() -> None:
    generator = np.random.default_rng(0)
    control = [(generator.random(200) < 0.997).astype(float) for _ in range(5)]
    dsd = [(generator.random(200) < 0.98).astype(float) for _ in range(5)]
    found = relative(measure(dsd, control, True))
    assert found is not None
    assert found.low == -math.inf
    assert found.high < 0


@pytest.mark.parametrize(
    ("dsd", "control", "clusters", "said"),
    [
        ([], [], None, "same seeds"),
        ([np.ones(3)], [np.ones(3), np.ones(3)], None, "same seeds"),
        ([np.ones(3)], [np.ones(4)], None, "same seeds"),
        ([np.ones(1)], [np.ones(1)], None, "two test examples"),
        ([np.ones(3)], [np.ones(3)], "aaa", "two test examples"),
        ([np.ones(3)], [np.ones(3)], "ab", "a cluster for each of 3 examples, got 2"),
        ([np.ones((3, 3))], [np.ones((3, 3))], None, "k hits and k totals"),
    ],
)
def test_what_does_not_fit_is_refused(dsd: Outcomes, control: Outcomes, clusters: str | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        measure(dsd, control, True, clusters)


@pytest.mark.parametrize(
    ("world", "ratio"),
    [
        (Binary("light", 1.0), 0.0),
        (Binary("heavy", 0.1), 1.0),
        (Corpus(1, "light", 0.5), 1.0),
        (Corpus(4, "heavy", 1.0), 0.0),
    ],
)
def test_it_covers_the_true_gain(world: World, ratio: float) -> None:
    generator = np.random.default_rng(0)
    drawn = world.draw(300, generator)
    _, parts = world.gains(drawn, np.zeros((300, 10)))
    error = math.sqrt(parts.var(axis=-1, ddof=1).mean() / world.examples)
    values, parts = world.gains(drawn, ratio * error * generator.standard_normal((300, 10)))
    off = np.abs(values[:, :5].mean(axis=1) - world.truth)
    width = half_width(*components(values[:, :5], parts[:, :5]), 5, world.examples, 0.05)
    assert (off <= width).mean() > 0.91  # 0.945 minus 2.7 standard errors of 300 replications


def _constant(gains: list[float], examples: int) -> tuple[np.ndarray, ...]:
    """Return gains that are the same for all examples, over controls of 50 points."""
    values = np.array(gains)
    return values, np.full(5, 50.0), np.repeat(values[:, None], examples, axis=1), np.full((5, examples), 50.0)
