import math

import pytest

from benchmarks.statistics.random_effects import Effect, pool


def effects(shares: list[float], errors: list[float]) -> list[Effect]:
    return [Effect(f"row{index}", *one) for index, one in enumerate(zip(shares, errors, strict=True))]


def test_it_is_what_statsmodels_says() -> None:
    # statsmodels 0.15, combine_effects(method_re="iterated", use_t=True): "random effect wls".
    found = pool(effects([0.1, -0.4, 0.3, 0.8, -0.2], [0.2, 0.3, 0.25, 0.3, 0.15]))
    assert found is not None
    assert found.mean == pytest.approx(0.100251, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.448855, 0.649358), abs=1e-6)
    assert found.tau == pytest.approx(0.371905, abs=1e-6)


def test_two_equal_rows_by_hand() -> None:
    # Squared deviations of 2 over variance v equal 1 degree of freedom at v = 2.
    found = pool(effects([0.0, 2.0], [1.0, 1.0]))
    assert found is not None
    assert found.mean == pytest.approx(1)
    assert found.tau == pytest.approx(1)
    assert found.high == pytest.approx(1 + 12.706205)  # t, 1 degree; sqrt(2 / 2) = 1


def test_rows_that_agree_are_no_narrower_than_their_errors() -> None:
    found = pool(effects([0.5, 0.5, 0.5], [0.3, 0.3, 0.3]))
    assert found is not None
    assert found.tau == 0
    assert found.high - found.mean == pytest.approx(4.302653 * 0.3 / math.sqrt(3), abs=1e-6)


def test_one_row_is_no_pool() -> None:
    assert pool([]) is None
    assert pool(effects([1.0], [1.0])) is None


@pytest.mark.parametrize(("share", "error"), [(math.nan, 1.0), (0.0, 0.0), (0.0, math.inf), (0.0, -1.0)])
def test_what_is_no_effect_is_refused(share: float, error: float) -> None:
    with pytest.raises(ValueError, match="pool needs finite shares"):
        pool(effects([0.0, share], [1.0, error]))
