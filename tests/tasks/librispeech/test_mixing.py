"""Mixing in integers: the same samples everywhere, each digit at the requested ratio to the noise, nothing clipped."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from scipy.signal import firwin, freqz

from tasks.librispeech import mixing
from tasks.librispeech.mixing import Samples

PAUSES = (400, 700, 500)


def sound(name: str, length: int, loudness: int = 32_768) -> Samples:
    """Return `length` samples in [-loudness, loudness), which depend only on the name."""
    drawn = np.frombuffer(hashlib.shake_256(name.encode()).digest(2 * length), "<i2").astype(np.int64)
    return drawn * loudness >> 15


SPEECH = [sound("one", 3000), sound("two", 2000, 100)]
NOISE = sound("noise", 6600, 1000)


def test_the_filter_is_that_of_scipy_and_does_what_it_says() -> None:
    designed = np.round(firwin(95, 3650, window=("kaiser", 6), fs=16_000) * (1 << 15)).astype(int)
    difference = mixing.LOW_PASS - designed
    assert (difference[47], np.count_nonzero(difference)) == (1, 1)
    assert mixing.LOW_PASS.sum() == 1 << 15
    frequencies, response = freqz(mixing.LOW_PASS / (1 << 15), worN=1 << 14, fs=16_000)
    decibels = 20 * np.log10(np.abs(response) + 1e-9)
    assert np.abs(decibels[frequencies <= 3300]).max() < 0.01
    assert decibels[frequencies >= 4000].max() < -60


def test_halving_keeps_a_low_tone_and_drops_a_high_one() -> None:
    time = np.arange(1601) / 16_000
    low, high = (np.round(10_000 * np.sin(2 * np.pi * hertz * time)).astype(np.int64) for hertz in (1000, 5000))
    assert len(mixing.halved(low)) == 801
    assert len(mixing.halved(low[:-1])) == 800
    inner = slice(50, -50)
    assert np.abs(mixing.halved(low) - low[::2])[inner].max() <= 12
    assert np.abs(mixing.halved(high))[inner].max() <= 10
    assert mixing.halved(np.full(400, 777))[100] == 777
    assert mixing.halved(np.array([6, -6], dtype=np.int64)).tolist() == [1]  # 6 x (14952 - 10320) / 32768, rounded


@pytest.mark.parametrize("snr", [-5, 0, 10])
def test_every_recording_stands_at_the_same_ratio_to_the_noise(snr: int) -> None:
    mixed = mixing.mixture(SPEECH, PAUSES, NOISE, snr).astype(float)
    noise = NOISE.astype(float)
    loudness = np.dot(mixed[:400], noise[:400]) / np.dot(noise[:400], noise[:400])
    background = loudness * math.sqrt(np.dot(noise, noise) / len(noise))
    for start, recording in zip((400, 4100), SPEECH, strict=True):
        alone = mixed[start : start + len(recording)] - loudness * noise[start : start + len(recording)]
        assert 20 * math.log10(math.sqrt(np.mean(alone**2)) / background) == pytest.approx(snr, abs=0.01)
        assert np.corrcoef(alone, recording)[0, 1] > 0.9999
    for start, length in ((0, 400), (3400, 700), (6100, 500)):  # only noise in pauses
        assert np.abs(mixed[start : start + length] - loudness * noise[start : start + length]).max() <= 1


@pytest.mark.parametrize("snr", [mixing.LOWEST, 0, mixing.HIGHEST])
@pytest.mark.parametrize("loudness", [1, 32_768])
def test_nothing_clips_at_any_level(snr: int, loudness: int) -> None:
    loud = [np.array([1, -1] * 500, dtype=np.int64) * loudness, np.array([0] * 999 + [-loudness], dtype=np.int64)]
    mixed = mixing.mixture(loud, PAUSES, sound("noise", 3600), snr)
    assert mixed.dtype == np.int16
    assert np.abs(mixed.astype(int)).max() == mixing.PEAK == 16_384


def test_the_samples_are_these_on_every_machine() -> None:
    mixed = [mixing.mixture(SPEECH, PAUSES, NOISE, snr) for snr in (-5, 0, 10)]
    halved = mixing.halved(sound("kitchen", 16_000))
    digest = hashlib.sha256(b"".join(one.astype("<i2").tobytes() for one in (*mixed, halved.clip(-32_768, 32_767))))
    assert digest.hexdigest() == "a257b633e80e4f4009cf1589bb878bb3f4bd35cebb87187caaa7b9b09d61b514"


def test_what_cannot_be_mixed_is_refused() -> None:
    for snr in (-21, 61):
        with pytest.raises(ValueError, match=f"snr={snr}: expected -20 to 60 dB"):
            mixing.mixture(SPEECH, PAUSES, NOISE, snr)
    with pytest.raises(ValueError, match="silent"):
        mixing.mixture([SPEECH[0], np.zeros(2000, dtype=np.int64)], PAUSES, NOISE, 0)
    with pytest.raises(ValueError, match="silent"):
        mixing.mixture(SPEECH, PAUSES, np.zeros(6600, dtype=np.int64), 0)
