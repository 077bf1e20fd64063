"""The loaders on real speech: LibriSpeech's own recordings, and spoken digits in its layout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tasks.librispeech import dataset, layout

ROOT = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "speech"

pytestmark = pytest.mark.skipif(
    not ROOT.is_dir(), reason="needs speech under ../shared/data or $DSD_SHARED_DATA, which is not distributed"
)


def quiet(what: str, done: int, total: int) -> None:
    pass


def test_connected_digits_are_read_whole() -> None:
    report = dataset.verify(dataset.scan(ROOT / "connected-digits"), quiet)
    assert report.problems == ()
    assert report.counts == {"train": 1560, "dev": 150, "test": 180, "train seconds": 3591, "speakers": 6}
    assert report.warnings == (
        "recordings that are resampled to 16,000 Hz: 1,890 at 8,000 Hz",
        "speakers of test utterances who are also in the training set: 6 (101, 102, 103, ...)",
    )
    # Computed from decoded samples. Records up to suite 0.1 have 39f6e1e8d6d4f5e4, computed from the bytes of the FLAC files.
    assert report.fingerprint == "0a645ad6303757e3"


def test_real_librispeech_is_read_and_can_be_trained_on() -> None:
    found = dataset.scan(ROOT / "LibriSpeech", train=("test-clean", "test-other"))
    report = dataset.verify(found, quiet)
    assert report.problems == ()
    assert (report.counts["train"], report.counts["test"], report.counts["train seconds"]) == (104, 104, 788)
    assert {one.rate for one in found.test} == {16_000}
    assert found.test[1].transcript == "stuff it into you his belly counselled him"
    assert layout.find(ROOT) == ROOT / "LibriSpeech"
    assert dataset.verify(dataset.scan(ROOT), quiet).problems == (
        "there is nothing to train on: no folder's name begins with train",
    )
