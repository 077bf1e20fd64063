from dataclasses import replace

import numpy as np
import pytest

from benchmarks import paper
from benchmarks.analysis.verdicts import FAMILY, Evidence, Reason, answers, claim_answer, direction, effects, missing
from benchmarks.paper import Claim, claim_of
from benchmarks.statistics import intervals
from benchmarks.statistics.crossed import Measured, contrast, relative
from benchmarks.statistics.random_effects import pool

FIVE = frozenset(range(5))
SPREAD = (-2.0, -1.0, 0.0, 1.0, 2.0)  # sd sqrt(2.5), so that s2/n = 0.5
BOUND = 2.131846786 * 0.5**0.5  # t table, 4 degrees, one-sided 5 %


def gains(mean: float, size: float = 0.1, seeds: int = 5) -> Measured:
    """Gains around `mean` that are equal for all examples, over controls of 40 points."""
    values = mean + size * np.resize(SPREAD, seeds)
    controls = np.full(seeds, 40.0)
    return Measured(values, controls, np.repeat(values[:, None], 20, axis=1), np.repeat(controls[:, None], 20, axis=1))


def evidence(mean: float, size: float = 0.1, gate: bool = True, seeds: frozenset[int] = FIVE) -> Evidence:
    return Evidence(gains(mean, size, len(seeds)), Claim(2.0, 0.05), gate, seeds, FIVE)


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        (2.0 + 0.1 * BOUND + 1e-6, "reached"),  # the claim: 5 % of 40 points is 2
        (2.0 + 0.1 * BOUND - 1e-6, "not excluded"),
        (2.0 - 0.1 * BOUND + 1e-6, "not excluded"),
        (2.0 - 0.1 * BOUND - 1e-6, "excluded"),
        (1.0 - 0.1 * BOUND + 1e-6, "excluded"),
        (1.0 - 0.1 * BOUND - 1e-6, "half excluded"),
        (-5.0, "half excluded"),
    ],
)
def test_claim(mean: float, expected: str) -> None:
    measured = gains(mean)
    assert claim_answer(measured, 0.05) == expected
    share = relative(measured)
    assert share is not None  # the printed bounds agree
    assert (share.lower >= 0.05) == (expected == "reached")
    assert (share.upper < 0.05) == (expected in ("excluded", "half excluded"))
    assert (share.upper < 0.025) == (expected == "half excluded")


def test_a_lower_bound_that_is_the_claim_reaches_it() -> None:
    assert claim_answer(gains(2.0, size=0.0), 0.05) == "reached"


def test_the_controls_own_noise_counts() -> None:
    sure = gains(2.0 + 0.1 * BOUND + 0.01)
    controls = 40 - 10 * np.array(SPREAD)
    unsure = replace(sure, controls=controls, control_parts=np.repeat(controls[:, None], 20, axis=1))
    assert claim_answer(sure, 0.05) == "reached"
    assert claim_answer(unsure, 0.05) == "not excluded"


def test_a_claim_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="positive share"):
        claim_answer(gains(1.0), 0.0)


@pytest.mark.parametrize(
    ("mean", "p", "expected"),
    [
        (1.0, 0.05, "DSD better"),
        (-1.0, 0.05, "DSD worse"),
        (1.0, 0.0501, "no difference shown"),
        (0.0, 0.0, "no difference shown"),
    ],
)
def test_direction(mean: float, p: float, expected: str) -> None:
    assert direction(mean, p) == expected


@pytest.mark.parametrize(
    ("gate", "seeds", "planned", "expected"),
    [
        (True, FIVE, FIVE, []),
        (False, FIVE, FIVE, [Reason("gate fails")]),
        (None, FIVE, FIVE, [Reason("gate not computed")]),
        (True, FIVE - {3, 1}, FIVE, [Reason("seeds not run", (1, 3))]),
        (True, FIVE | {9, 7}, FIVE, [Reason("seeds not planned", (7, 9))]),
        (True, (FIVE - {0}) | {5}, FIVE, [Reason("seeds not run", (0,)), Reason("seeds not planned", (5,))]),
        (True, frozenset(range(3)), frozenset(range(3)), [Reason("too few seeds planned", (0, 1, 2))]),
        (False, frozenset(), FIVE, [Reason("gate fails"), Reason("seeds not run", (0, 1, 2, 3, 4))]),
    ],
)
def test_what_is_missing(
    gate: bool | None, seeds: frozenset[int], planned: frozenset[int], expected: list[Reason]
) -> None:
    assert list(missing(gate, seeds, planned)) == expected


def test_seeds_trained_more_than_once_remove_the_verdict() -> None:
    assert missing(True, FIVE, FIVE, {4, 2}) == (Reason("seeds trained more than once", (2, 4)),)


def test_a_seed_more_or_less_removes_the_verdict_and_its_test() -> None:
    row = FAMILY[0]
    assert answers({row: evidence(1.0)})[row].direction == "DSD better"
    for seeds in (FIVE - {2}, FIVE | {5}):
        found = answers({row: evidence(1.0, seeds=frozenset(seeds))})[row]
        assert found.missing
        assert (found.claim, found.direction, found.p, found.p_holm) == (None, None, None, None)
        assert found.gain is not None  # reported also without a verdict
        assert found.share is not None


def test_rows_without_a_verdict_count_in_holm() -> None:
    gain = contrast(gains(0.5, 0.2))
    assert gain is not None
    assert len(FAMILY) == 7
    assert 0.05 / 7 < gain.p < 0.05  # significant alone, but not among seven
    found = answers({FAMILY[0]: evidence(0.5, 0.2), FAMILY[1]: evidence(9.0, gate=False)})
    assert found[FAMILY[0]].p_holm == pytest.approx(7 * gain.p)
    assert found[FAMILY[0]].direction == "no difference shown"
    assert found[FAMILY[1]].missing == (Reason("gate fails"),)
    assert found[FAMILY[2]].missing == (Reason("no trial"),)
    assert list(found) == list(FAMILY)


def test_holm_steps_down() -> None:
    rows = {name: evidence(1.0, size) for name, size in zip(FAMILY, (0.02, 0.05, 0.1), strict=False)}
    found = answers(rows)
    p_values = [found[name].p for name in rows]
    adjusted = intervals.holm([p for p in p_values if p is not None] + [1.0] * 4)
    assert [found[name].p_holm for name in rows] == pytest.approx(adjusted[:3])


def test_a_row_that_was_not_planned_is_refused() -> None:
    with pytest.raises(ValueError, match="other not among the 7 tests"):
        answers({"other": evidence(1.0)})


def test_gains_of_other_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="5 gains for seeds"):
        replace(evidence(1.0), seeds=frozenset({0, 1}))


def test_a_row_with_a_single_seed_says_what_is_missing() -> None:
    found = answers({FAMILY[0]: evidence(1.0, seeds=frozenset({0}))})[FAMILY[0]]
    assert found.missing == (Reason("seeds not run", (1, 2, 3, 4)),)
    assert (found.gain, found.share) == (None, None)


def test_claims_are_the_papers() -> None:
    found = {name: claim_of(row) for name, row in paper.ROWS.items()}
    assert found["imagenet_resnet18"] == Claim(1.26, pytest.approx(0.041))  # Tables 4 and 1
    assert found["flickr8k_neuraltalk"] == Claim(1.7, pytest.approx(0.101))
    assert found["librispeech_deepspeech"] == Claim(1.35, pytest.approx(1.35 / 33.55))  # equal budget, Table 7
    assert found["librispeech_deepspeech2"] == Claim(0.56, pytest.approx(0.56 / 14.52))


def test_the_pool_takes_rows_with_a_verdict() -> None:
    rows = {FAMILY[0]: evidence(1.0), FAMILY[1]: evidence(3.0), FAMILY[2]: evidence(9.0, gate=False)}
    found = effects(rows, answers(rows))
    assert [one.row for one in found] == list(FAMILY[:2])
    # Gains of 1 and 3 points; the claim is 2 points (5 % of 40).
    assert [one.share for one in found] == pytest.approx([0.5, 1.5])
    assert found[0].error == pytest.approx(0.1 * 0.5**0.5 / 2)
    pooled = pool(found)
    assert pooled is not None
    assert pooled.mean == pytest.approx(1.0)
