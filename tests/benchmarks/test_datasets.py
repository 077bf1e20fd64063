"""The facts about the data sets: each has a source, and every subset that the plan trains on has a fingerprint."""

from __future__ import annotations

import re
from typing import get_args

from benchmarks.datasets import DATASETS, PLANNED, Name
from benchmarks.evidence_plan import WANTED
from benchmarks.rows import ROWS


def test_every_data_set_has_a_source_and_planned_fingerprints() -> None:
    assert set(DATASETS) == set(get_args(Name))
    made = {one.name(snr) for one in DATASETS.values() for snr in (0, 5, 10)}
    assert set(PLANNED) == made
    for one in DATASETS.values():
        assert one.row in ("", *ROWS)
        assert bool(one.note) is not one.exact
        for source in one.sources:
            assert source.url.startswith("http")
            assert source.licence
            assert source.get
            assert re.fullmatch(r"([0-9a-f]{64})?", source.measured)
            assert re.fullmatch(r"([0-9a-f]{8})?", source.commit)


def test_everything_that_is_trained_on_has_a_planned_fingerprint() -> None:
    for wanted in WANTED:
        assert re.fullmatch(r"[0-9a-f]{16}", PLANNED[wanted.data]["small", 1.0]), wanted
        if wanted.weights:
            assert re.fullmatch(r"[0-9a-f]{64}", PLANNED[wanted.weights]["small", 1.0])


def test_a_ratio_below_zero_has_a_name_too() -> None:
    names = [DATASETS["noisy-digits"].name(snr) for snr in (-5, 0, 10)]
    assert names == ["noisy-digits-minus5db", "noisy-digits-0db", "noisy-digits-10db"]
