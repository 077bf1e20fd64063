"""Spectrograms of a batch of recordings, on their device, and SpecAugment."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.librispeech.settings import HOP, WINDOW, SpecAugment

FLOOR = 1e-8
"""Minimum power of a bin.

This is about the quantisation noise of 16-bit samples: 2 ** -30 / 12 per sample, times 120, the sum of the squared window. With
this minimum, digital silence and the empty band of a recording made at a lower rate look like a quiet recording. Without it, they
would be outliers that dominate mean and standard deviation.
"""


def features(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return normalised log-power spectrograms (batch, time, 161) float32 and their valid frames (batch,) int64.

    Frame i has samples [160 i, 160 i + 320) under a Hann window. Samples that do not fill a window are dropped, and no frame
    extends beyond the end of an utterance. Each utterance is standardised to mean 0 and standard deviation 1 over all its frames
    and bins together. This removes loudness and keeps the shape of the spectrum. Frames after its end are exactly 0.

    Args:
        waveforms: (batch, samples) float32 in [-1, 1] at 16 kHz; samples after the end of an utterance are ignored.
        lengths: (batch,) int64, samples of each utterance.

    Raises:
        ValueError: an utterance is shorter than a window, or longer than `waveforms`.
    """
    samples = lengths.tolist()
    if min(samples) < WINDOW or max(samples) > waveforms.shape[1]:
        raise ValueError(
            f"lengths={samples}: expected from {WINDOW} samples (a window) to {waveforms.shape[1]} (the batch's)"
        )
    window = torch.hann_window(WINDOW, device=waveforms.device)
    spectrum = torch.stft(waveforms, WINDOW, HOP, window=window, center=False, return_complex=True)
    power = (spectrum.real.square() + spectrum.imag.square()).transpose(
        1, 2
    )  # faster than a sum over a dimension of two
    frames = (lengths - WINDOW).div(HOP, rounding_mode="floor") + 1
    past = _past(frames, power.shape[1])
    log = power.clamp(min=FLOOR).log_().masked_fill_(past, 0)
    count = frames * log.shape[2]
    centred = (log - (log.sum((1, 2)) / count)[:, None, None]).masked_fill_(past, 0)
    deviation = (centred.square().sum((1, 2)) / count).sqrt()
    deviation = torch.where(deviation > 1e-3, deviation, 1)  # silence has only rounding errors
    return centred / deviation[:, None, None], frames


def spec_augment(features: Tensor, frames: Tensor, settings: SpecAugment | None, generator: torch.Generator) -> Tensor:
    """Return the features with runs of bins and of frames set to 0, their mean; unchanged without `settings`.

    The length of a run is uniform from 0 to the maximum; its start is uniform among those that fit. Every utterance has its own
    runs, which depend on the generator, the position in the batch and the number of frames, but not on padding.

    Args:
        features: (batch, time, bins), normalised.
        frames: (batch,) valid frames.
        settings: number and length of runs; None means no runs.
        generator: a CPU generator, so that all devices have the same masks.
    """
    if settings is None:
        return features
    batch, time, bins = features.shape
    host = frames.cpu()
    longest = torch.minimum(torch.tensor(settings.time_width), (settings.time_part * host).long())
    drawn = torch.rand(
        batch, settings.frequency_masks + settings.time_masks, 2, generator=generator, dtype=torch.double
    )
    by_bin, by_frame = drawn[:, : settings.frequency_masks], drawn[:, settings.frequency_masks :]
    widest = torch.full((batch,), min(settings.frequency_width, bins))
    hidden_bins = _runs(by_bin, widest, torch.full((batch,), bins), bins)
    hidden_frames = _runs(by_frame, longest, host, time)
    hidden = hidden_bins[:, None, :] | hidden_frames[:, :, None]
    return features.masked_fill(hidden.to(features.device, non_blocking=True), 0)


def _runs(drawn: Tensor, longest: Tensor, valid: Tensor, size: int) -> Tensor:
    """Return (batch, size) bool, true within runs. drawn: (batch, runs, 2) in [0, 1); longest, valid: (batch,)."""
    lengths = (drawn[:, :, 0] * (longest[:, None] + 1)).long()
    starts = (drawn[:, :, 1] * (valid[:, None] - lengths + 1)).long()
    place = torch.arange(size)
    return ((place >= starts[:, :, None]) & (place < (starts + lengths)[:, :, None])).any(1)


def _past(frames: Tensor, time: int) -> Tensor:
    """Return (batch, time, 1) bool, true for frames after the end of their utterance."""
    return (torch.arange(time, device=frames.device) >= frames[:, None])[:, :, None]
