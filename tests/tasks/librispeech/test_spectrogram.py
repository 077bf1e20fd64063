from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.librispeech.settings import SpecAugment
from tasks.librispeech.spectrogram import FLOOR, features, spec_augment

LENGTHS = torch.tensor([4000, 9000, 320, 6543])


def speech() -> Tensor:
    x = 0.1 * torch.randn(4, 9000, generator=torch.Generator().manual_seed(0))
    return x.masked_fill(torch.arange(9000) >= LENGTHS[:, None], 0)


def test_it_is_the_log_power_of_windowed_fourier_transforms_standardised() -> None:
    found, frames = features(speech(), LENGTHS)
    assert found.shape == (4, 55, 161)
    assert found.dtype == torch.float32
    assert frames.tolist() == [24, 55, 1, 39]
    assert frames.dtype == torch.int64
    for row, waveform, count in zip(found, speech().double().numpy(), frames.tolist(), strict=True):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(320) / 320)
        cut = np.stack([waveform[160 * i : 160 * i + 320] * window for i in range(count)])
        log = np.log(np.maximum(np.abs(np.fft.rfft(cut)) ** 2, FLOOR))
        expected = torch.from_numpy((log - log.mean()) / log.std())
        torch.testing.assert_close(row[:count].double(), expected, rtol=0, atol=1e-3)
        assert not row[count:].any()


def test_a_tone_is_found_in_its_bin() -> None:
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(3200) / 16000)[None]
    found, _ = features(tone, torch.tensor([3200]))
    assert found[0].argmax(1).tolist() == [20] * 19  # 1000 Hz / 50 Hz


def test_each_utterance_has_mean_zero_and_deviation_one_however_loud() -> None:
    found, frames = features(speech(), LENGTHS)
    quiet, _ = features(speech() / 10, LENGTHS)
    for row, count in zip(found, frames.tolist(), strict=True):
        assert float(row[:count].mean()) == pytest.approx(0, abs=1e-5)
        assert float(row[:count].std(correction=0)) == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(quiet, found, rtol=0, atol=1e-3)


def test_an_utterance_has_the_same_features_in_any_batch_and_padding() -> None:
    together, frames = features(speech(), LENGTHS)
    noise = torch.randn(4, 12000, generator=torch.Generator().manual_seed(1))
    noise[:, :9000] = torch.where(torch.arange(9000) < LENGTHS[:, None], speech(), noise[:, :9000])
    padded, same = features(noise, LENGTHS)
    assert torch.equal(frames, same)
    for i, (samples, count) in enumerate(zip(LENGTHS.tolist(), frames.tolist(), strict=True)):
        alone, _ = features(speech()[i : i + 1, :samples], LENGTHS[i : i + 1])
        assert alone.shape[1] == count
        torch.testing.assert_close(together[i, :count], alone[0], rtol=0, atol=1e-5)
        torch.testing.assert_close(padded[i, :count], alone[0], rtol=0, atol=1e-5)
        assert not padded[i, count:].any()


def test_silence_is_zeros() -> None:
    found, frames = features(torch.zeros(2, 16000), torch.tensor([16000, 5000]))
    assert frames.tolist() == [99, 30]
    assert float(found.abs().max()) < 1e-5


@pytest.mark.parametrize("lengths", [[319, 800], [800, 801]])
def test_lengths_that_have_no_window_or_no_samples_are_named(lengths: list[int]) -> None:
    message = rf"lengths=\[{lengths[0]}, {lengths[1]}\]: expected from 320 samples \(a window\) to 800"
    with pytest.raises(ValueError, match=message):
        features(torch.zeros(2, 800), torch.tensor(lengths))


FRAMES = torch.tensor([50, 200, 7])


def augmented(settings: SpecAugment | None, seed: int = 0, time: int = 200) -> Tensor:
    return spec_augment(torch.ones(3, time, 161), FRAMES, settings, torch.Generator().manual_seed(seed))


def test_it_is_off_by_default() -> None:
    x = torch.ones(3, 200, 161)
    assert spec_augment(x, FRAMES, None, torch.Generator()) is x


def test_masks_depend_on_the_seed_and_not_on_padding() -> None:
    assert torch.equal(augmented(SpecAugment()), augmented(SpecAugment()))
    assert torch.equal(augmented(SpecAugment()), augmented(SpecAugment(), time=300)[:, :200])
    assert not torch.equal(augmented(SpecAugment()), augmented(SpecAugment(), seed=1))
    first, second = augmented(SpecAugment())[:2, 0]
    assert not torch.equal(first, second)


def test_runs_are_within_the_utterance_and_no_longer_than_allowed() -> None:
    widths, lengths, starts = set(), set(), set()
    for seed in range(300):
        one = SpecAugment(frequency_masks=1, frequency_width=4, time_masks=1, time_width=30, time_part=0.2)
        hidden = augmented(one, seed) == 0
        for utterance, frames in zip(hidden, FRAMES.tolist(), strict=True):
            bins, times = utterance.all(0), utterance.all(1)
            assert torch.equal(utterance, bins[None] | times[:, None])  # whole bins and whole frames
            assert not times[frames:].any()
            assert int(bins.diff(prepend=bins.new_zeros(1), append=bins.new_zeros(1)).sum()) in (0, 2)  # one run
            widths.add(int(bins.sum()))
            lengths.add((frames, int(times.sum())))
            if bins.any():
                starts.add(int(bins.nonzero()[0, 0]))
    assert widths == {0, 1, 2, 3, 4}
    assert {length for frames, length in lengths if frames == 200} == set(range(31))  # time_width, below 0.2 * 200
    assert {length for frames, length in lengths if frames == 50} == set(range(11))  # 0.2 * 50
    assert {length for frames, length in lengths if frames == 7} == {0, 1}
    assert min(starts) < 5
    assert max(starts) > 150


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frequency_width": 162}, "frequency_width=162: expected 0 to 161 bins"),
        ({"time_masks": -1}, "time_masks=-1: expected at least 0"),
        ({"time_part": 1.5}, r"time_part=1.5: expected a part in \[0, 1\]"),
    ],
)
def test_masks_that_cannot_be_drawn_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpecAugment(**wrong)
