"""Verdicts in words: the same reasons in a cell, in a short cell and in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest

from benchmarks.analysis import answers
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import group_records
from benchmarks.analysis.verdicts import LEAST_SEEDS, Answer, ClaimAnswer, Direction, Lack, Reason
from benchmarks.records.schema import Record
from benchmarks.reporting import verdict_words
from tests.golden import build, regime

ROW = "imagenet_resnet18"


def said(found: Sequence[Record]) -> tuple[str, str, str]:
    """Return the words for the planned trials: in a cell, in a cell beside gate and n, and in a sentence."""
    groups = group_records(found)
    rows = answers.rows(groups)
    short = verdict_words.verdict(rows[ROW], ("no trial", "gate fails", "seeds not run"))
    return verdict_words.standing(groups[0], rows), short, verdict_words.sentence(groups[0], rows)


def test_a_verdict_and_each_reason_for_none() -> None:
    both = "claim excluded; DSD better"
    assert said(build.planned()) == (both, both, f"Verdict: {both}")
    assert said(build.planned()[:4]) == ("none yet (seed 4 not run)", "none yet", "No verdict yet: seed 4 not run")
    gate = "gate does not hold"
    assert said(build.planned(train=60.0)) == (f"none: {gate}", "none", f"No verdict: {gate}")
    more = "gate does not hold so far; seeds 3 and 4 not run"
    assert said(build.planned(train=60.0)[:3]) == (f"none yet ({more})", "none yet", f"No verdict yet: {more}")
    extra = "seeds not planned: 5"
    assert said(build.planned((*regime.GAINS, 1.0))) == (f"none: {extra}", f"none: {extra}", f"No verdict: {extra}")


def test_without_a_plan_there_is_no_verdict() -> None:
    assert said(build.trio())[::2] == ("none: superseded", "No verdict: superseded")
    assert said(build.trio(custom=["sparsity=0.9"]))[::2] == ("none: custom recipe", "No verdict: custom recipe")
    smoke = [build.record(scale="smoke", data="stripes", synthetic=True)]
    assert said(smoke)[::2] == ("smoke test only", "No verdict: smoke test only")


def test_every_answer_has_words() -> None:
    assert set(verdict_words.CLAIMS) == set(get_args(ClaimAnswer))
    assert set(verdict_words.DIRECTIONS) == set(get_args(Direction))


@pytest.mark.parametrize("lack", get_args(Lack))
def test_every_reason_has_words(lack: Lack) -> None:
    row: Row = answers.rows(group_records(build.planned()))[ROW]
    words = verdict_words.reasons(replace(row, answer=Answer((Reason(lack, (0, 1, 2)),))))
    told = {"gate fails": "gate does not hold", "no gain": "no trial with DSD and control arm"}
    told |= {"too few seeds planned": f"3 seeds planned, {LEAST_SEEDS} needed", "seeds not run": "seeds 0 to 2 not run"}
    told |= {name: f"{name}: 0, 1, 2" for name in ("seeds not planned", "seeds trained more than once")}
    assert words == told.get(lack, lack)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((3,), "seed 3"),
        ((1, 2), "seeds 1 and 2"),
        ((0, 1, 2, 3, 4), "seeds 0 to 4"),
        ((0, 2, 3, 4, 6), "seeds 0, 2 to 4 and 6"),
    ],
)
def test_seeds_in_words(numbers: tuple[int, ...], expected: str) -> None:
    assert verdict_words.seeds(numbers) == expected
