import math
import time

import numpy as np
import pytest

from benchmarks.analysis import summary
from benchmarks.analysis.groups import group_records
from benchmarks.reporting import formatting
from benchmarks.statistics.bootstrap import Bootstrap, between_and_within, bootstrap, score
from benchmarks.statistics.intervals import holm, paired
from tests.benchmarks.test_tables import pages_of
from tests.golden import build


def test_three_gains_by_hand() -> None:
    found = paired([0.1, 0.5, 0.3])
    assert found.n == 3
    assert found.mean == pytest.approx(0.3)
    assert found.sd == pytest.approx(0.2)  # sqrt((0.04 + 0.04 + 0) / 2), not / 3
    assert found.half_width == pytest.approx(4.302653 * 0.2 / math.sqrt(3), abs=1e-6)  # t table, 2 degrees of freedom
    assert found.interval == pytest.approx((-0.196827, 0.796827), abs=1e-6)
    assert found.p == pytest.approx(1 - math.sqrt(6.75 / 8.75), abs=1e-9)  # closed form for 2 degrees, t^2 = 6.75


def test_two_gains_give_a_wide_interval() -> None:
    found = paired([1.0, 3.0])
    assert found.half_width == pytest.approx(12.7062, abs=1e-4)
    assert found.p == pytest.approx(1 - 2 / math.pi * math.atan(2), abs=1e-9)


def test_one_gain_gives_neither_spread_nor_interval() -> None:
    found = paired([1.5])
    assert (found.n, found.mean) == (1, 1.5)
    assert (found.sd, found.half_width, found.interval, found.p) == (None, None, None, None)


@pytest.mark.parametrize(("gain", "p"), [(0.4, 0.0), (0.0, 1.0)])
def test_identical_gains_have_no_spread(gain: float, p: float) -> None:
    found = paired([gain] * 3)
    assert (found.sd, found.half_width, found.p) == (0.0, 0.0, p)


@pytest.mark.parametrize("gains", [[], [math.nan, 1.0], [math.inf]])
def test_gains_that_are_none_or_not_finite_are_refused(gains: list[float]) -> None:
    with pytest.raises(ValueError, match="paired needs"):
        paired(gains)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])  # 3 x 0.01; 2 x 0.03; then at least 0.06
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
    with pytest.raises(ValueError, match=r"1\.5"):
        holm([0.1, 1.5])


def _outcomes(n: int, only_a: int, only_b: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.zeros(n), np.zeros(n)
    a[:only_a] = 1
    b[only_a : only_a + only_b] = 1
    a[only_a + only_b :: 2] = b[only_a + only_b :: 2] = 1  # right in both
    return a, b


def test_the_bootstrap_has_the_width_that_the_central_limit_theorem_gives() -> None:
    found = bootstrap(*_outcomes(10_000, 600, 400), seed=1, scale=100)
    # Differences: 600 times +1, 400 times -1: mean 0.02, variance 0.1 - 0.0004.
    half = 1.959964 * 100 * math.sqrt(0.0996 / 10_000)
    assert found.mean == pytest.approx(2.0)
    assert found.low == pytest.approx(2.0 - half, abs=0.03)
    assert found.high == pytest.approx(2.0 + half, abs=0.03)
    assert found.resamples == 10_000


def test_the_bootstrap_is_paired_and_repeatable() -> None:
    a, b = _outcomes(200, 20, 10)
    assert bootstrap(a, b, 500, seed=3) == bootstrap(a, b, 500, seed=3)
    assert bootstrap(a, b, 500, seed=3) != bootstrap(a, b, 500, seed=4)
    same = bootstrap(a, a, 500, seed=3)  # a network compared with itself has no noise
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)


def test_the_bootstrap_takes_outcomes_of_many_values_in_bounded_memory() -> None:
    differences = np.linspace(-1, 2, 3_000)
    found = bootstrap(differences, np.zeros(3_000), resamples=3_000, seed=0)
    half = 1.959964 * 3 / math.sqrt(12 * 3_000)  # uniform on [-1, 2]
    assert (found.low, found.high) == (pytest.approx(0.5 - half, abs=0.005), pytest.approx(0.5 + half, abs=0.005))


def test_the_bootstrap_over_imagenets_test_set_takes_no_time() -> None:
    a, b = _outcomes(50_000, 3_000, 2_500)
    started = time.perf_counter()
    bootstrap(a, b, 10_000)
    assert time.perf_counter() - started < 5  # an index-by-index resampling of 5e8 takes longer


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0], [1.0, 0.0]), ([], []), ([math.nan], [0.0]), ([[1.0]], [[0.0]]), ([[-1.0, 0, 2, 2]], [[0.0] * 4])],
)
def test_the_bootstrap_refuses_what_cannot_be_paired(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match="bootstrap needs"):
        bootstrap(a, b)


def _counts(seed: int, n: int = 60, rate: float = 0.5) -> np.ndarray:
    """Return made-up counts (n, 8) of n captions: matching n-grams of one to four words, then all n-grams."""
    generator = np.random.default_rng(seed)
    totals = np.maximum(generator.integers(3, 15, n)[:, None] - np.arange(4), 0)
    return np.hstack([generator.binomial(totals, [rate, rate * 0.8, rate * 0.7, rate * 0.6]), totals]).astype(float)


def _brute_force(a: np.ndarray, b: np.ndarray, resamples: int) -> np.ndarray:
    """Return the gains of resamples, computed one by one from outcomes (n, 2k)."""
    generator = np.random.default_rng(99)
    drawn = (generator.integers(len(a), size=len(a)) for _ in range(resamples))
    return np.array([score(a[chosen]) - score(b[chosen]) for chosen in drawn])


def test_the_score_of_counts_by_hand() -> None:
    # Hits 1 + 5 of 4 + 8, 1 + 1 of 3 + 7, 0 + 1 of 2 + 6, 0 + 1 of 1 + 5: rates 1/2, 1/5, 1/8, 1/6.
    two = [[1, 1, 0, 0, 4, 3, 2, 1], [5, 1, 1, 1, 8, 7, 6, 5]]
    assert score(two) == pytest.approx(100 * (1 / 2 / 5 / 8 / 6) ** 0.25)
    assert score(two[:1]) == 0.0  # no trigram was hit
    assert score([[0, 0, 0, 0, 2, 1, 0, 0]]) == 0.0  # there is no trigram
    assert score([[3, 4], [-1, 2]]) == pytest.approx(100 * 2 / 6)  # 4 + 2 words, 1 + 3 errors
    assert score([[-1, 2]]) == pytest.approx(-50.0)  # more errors than words: a word error rate of 150 %
    assert score([1.0, 0, 0, 1]) == 50.0
    with pytest.raises(ValueError, match=r"shape \(1, 3\)"):
        score([[1, 2, 3]])


def test_the_bootstrap_of_counts_agrees_with_brute_force() -> None:
    a, b = _counts(0, rate=0.55), _counts(10)
    found = bootstrap(a, b, 4_000, seed=5, scale=100)
    assert found.mean == pytest.approx(score(a) - score(b))
    slow = _brute_force(a, b, 2_000)
    low, high = np.quantile(slow, (0.025, 0.975))
    assert high - low > 3
    assert (found.low, found.high) == (
        pytest.approx(low, abs=0.08 * (high - low)),
        pytest.approx(high, abs=0.08 * (high - low)),
    )


def test_the_bootstrap_of_counts_is_paired_and_repeatable() -> None:
    a, b = _counts(0), _counts(1)
    assert bootstrap(a, b, 300, seed=3) == bootstrap(a, b, 300, seed=3)
    assert bootstrap(a, b, 300, seed=3) != bootstrap(a, b, 300, seed=4)
    same = bootstrap(a, a, 300, seed=3)
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)


def test_a_resample_without_hits_scores_zero() -> None:
    a = np.array([[1.0, 1, 1, 1, 4, 3, 2, 1], *([[1.0, 0, 0, 0, 4, 3, 2, 1]] * 5)])  # one caption has all the matches
    found = bootstrap(a, np.zeros_like(a), 4_000, scale=100)
    assert found.low == 0.0  # a third of the resamples leave it out: (5 / 6) ** 6
    assert found.mean == pytest.approx(score(a))


def test_one_rate_is_the_mean_of_outcomes_of_one() -> None:
    a, b = _outcomes(1_000, 200, 150)
    ones = np.ones(1_000)
    vector, matrix = (
        bootstrap(x, y, seed=2, scale=100) for x, y in ((a, b), (np.stack([a, ones], 1), np.stack([b, ones], 1)))
    )
    assert matrix.mean == pytest.approx(vector.mean)
    assert (matrix.low, matrix.high) == (pytest.approx(vector.low, abs=0.15), pytest.approx(vector.high, abs=0.15))


def test_the_bootstrap_of_a_thousand_captions_takes_seconds() -> None:
    a, b = _counts(0, 1_000), _counts(1, 1_000)
    started = time.perf_counter()
    bootstrap(a, b, 10_000)
    assert time.perf_counter() - started < 10  # an index-by-index loop of 10,000 resamples takes minutes


def test_the_bootstrap_of_right_and_wrong_gives_the_numbers_it_always_gave() -> None:
    found = bootstrap(*_outcomes(1_000, 60, 45), 1_000, seed=7, scale=100)
    assert (found.mean, found.low, found.high) == (1.5, -0.6, 3.5)


def test_the_spread_from_seeds_and_from_the_test_set_by_hand() -> None:
    boots = [Bootstrap(mean=gain, low=gain - 0.3, high=gain + 0.3, resamples=100) for gain in (0.1, 0.5, 0.3)]
    spread = between_and_within([0.1, 0.5, 0.3], boots)
    assert spread.between == pytest.approx(0.2)
    assert spread.within == pytest.approx(0.3 / 1.959964)


def test_the_test_sets_spread_may_be_the_larger_one_and_one_seed_has_none() -> None:
    wide = Bootstrap(mean=0.0, low=-9.0, high=9.0, resamples=100)
    spread = between_and_within([0.1, 0.2, 0.3], [wide] * 3)
    assert (spread.between, spread.within) == (pytest.approx(0.1), pytest.approx(9 / 1.959964))
    assert between_and_within([0.1], [wide]).between is None
    assert between_and_within([0.1, 0.1], [wide] * 2).between == 0
    with pytest.raises(ValueError, match="2 and 1"):
        between_and_within([0.1, 0.2], [wide])


def test_without_spread_between_seeds_test_examples_alone_make_the_interval() -> None:
    # In every seed, DSD is right on the same 20 more of 1,000 examples: mean 2 %, standard error sqrt(0.02 * 0.98 / 999).
    (group,) = group_records(
        [build.record(seed=s, arms={"dsd": (41.0, 38.0), "control": (41.0, 40.0)}) for s in (0, 1)]
    )
    found = summary.crossed(group)
    assert found is not None
    assert found.mean == pytest.approx(2.0)
    half = 1.962341 * 100 * math.sqrt(0.02 * 0.98 / 999)  # t table, 999 degrees
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), abs=1e-5)
    for other in ([build.record()], build.trio(scale="smoke"), build.trio(synthetic=True)):
        assert summary.crossed(group_records(other)[0]) is None


def test_trials_of_one_group_are_tested_on_the_same_examples() -> None:
    other = build.record(seed=1, id="other")
    short = {name: arm.model_copy(update={"outcomes": "bits:4:8A=="}) for name, arm in other.arms.items()}
    with pytest.raises(ValueError, match="'other': 4"):
        pages_of([build.record(), other.model_copy(update={"arms": short})])


def test_an_end_of_an_interval_never_hides_its_side_of_zero() -> None:
    assert formatting.ends(-0.39, -0.0016) == "[-0.39, -0.002]"
    assert formatting.ends(-1e-16, 0.0) == "[+0.00, +0.00]"


def test_what_decides_the_width_of_the_interval_is_said_beside_the_two_spreads() -> None:
    # Standard deviation over test sets: 0.3 / 1.96.
    page = pages_of(build.trio((0.1, 0.12, 0.11)))["tables/superseded.md"]
    # The value between trials is over seeds only.
    assert "standard deviation of the gain 0.15 over test sets, within a trial, and 0.01 between trials\n" in page
    near, far = ((0.99, 1.0, 1.01, 1.0, 1.0), (-5.0, 7.0, 1.0, -3.0, 5.0))
    said = "; the gain's interval over seeds (n = 5) also covers the choice of the test set, which "
    for gains, words in ((near, "widens it"), (far, "does not widen it")):
        assert f"{said}{words}\n" in pages_of(build.planned(gains))["tables/imagenet_resnet18.md"]


def test_the_fit_at_the_end_of_d_is_shown() -> None:
    # Baselines are 42.0, 42.2, 42.4. The golden training loss is a twentieth of them, the training error half of them.
    page = pages_of(build.trio())["tables/superseded.md"]
    assert "Fit at the end of D: mean of n = 3; training loss 2.11, top-1 error 21.10 % (over its last 2 epochs" in page
    assert "; test top-1 error 42.20 %" in page
    given = build.record(source="resnet18.safetensors")
    assert given.dense is not None
    given = given.model_copy(update={"dense": given.dense.model_copy(update={"phases": [], "curve": []})})
    assert "Fit at the end of D" not in pages_of([given])["tables/superseded.md"]


def test_beside_the_fit_stands_what_a_guess_would_be_wrong() -> None:
    known = [
        one.model_copy(update={"data": one.data.model_copy(update={"counts": {"classes": 8}})}) for one in build.trio()
    ]
    assert "test top-1 error 42.20 %; chance 87.50 %" in pages_of(known)["tables/superseded.md"]
    assert "; chance" not in "".join(
        fact for fact in pages_of(build.trio())["tables/superseded.md"].splitlines() if "Fit" in fact
    )
