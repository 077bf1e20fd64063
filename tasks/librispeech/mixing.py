"""Mixing speech and noise at a given ratio with integers only, so that every CPU gives the same samples.

There is no floating point: the filter is a table of integers, sums are exact in 64 bits, roots use `math.isqrt`, and the only power
of ten uses decimal arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int64]

PEAK = 1 << 14
"""The largest sample of every mixture, half the range of 16 bits, so that neither mixing nor resampling clips."""

LOWEST, HIGHEST = -20, 60
"""Range of ratios of speech to noise in dB."""

_HALF = (
    *(-3, 0, 7, 2, -10, -7, 14, 15, -16, -27, 13, 42, -5, -58, -12, 73, 39, -83, -76, 83, 122, -68, -174, 32),
    *(226, 30, -271, -119, 297, 237, -294, -381, 246, 546, -139, -723, -48, 903, 343, -1073, -802, 1221, 1563),
    *(-1336, -3150, 1409, 10320),
)
_BITS = 15
LOW_PASS: Samples = np.array([*_HALF, 14952, *reversed(_HALF)], dtype=np.int64)
"""A low-pass filter (95,) for halving 16 kHz, in units of 2^-15: flat to 0.01 dB below 3.3 kHz, 60 dB down from 4 kHz.

The numbers are scipy.signal.firwin(95, 3650, window=("kaiser", 6), fs=16000) times 2^15, rounded; the middle one is increased by
1, so that the sum is 2^15.
"""

_LEVEL = 1 << 15  # root mean square of every recording in a mixture, before the mixture is scaled to PEAK
_FINE = 8  # binary places of a root mean square, and of the level of noise


def halved(samples: Samples) -> Samples:
    """Return (n,) samples at half their rate, (ceil(n / 2),). They are low-pass filtered; then every second sample is kept.

    The filter assumes zeros beyond the ends. Results are rounded to nearest, halves up. They may slightly exceed 16 bits if
    `samples` use the full range.
    """
    wide = np.pad(samples, len(LOW_PASS) // 2)
    return (np.convolve(wide, LOW_PASS, mode="valid")[::2] + (1 << (_BITS - 1))) >> _BITS


def mixture(recordings: Sequence[Samples], pauses: Sequence[int], noise: Samples, snr: int) -> NDArray[np.int16]:
    """Return recordings joined by pauses, with noise added.

    Every recording is scaled to the same root mean square, and the noise to a level `snr` dB lower. So every recording, not only
    the whole utterance, has this ratio. The sum is scaled so that its largest sample is `PEAK`.

    Args:
        recordings: (n_i,) samples each.
        pauses: samples of silence before each recording and after the last; one more pause than recordings.
        noise: (n,) samples; n is `length(recordings, pauses)`.
        snr: ratio of speech to noise in dB.

    Returns:
        (n,) samples of 16 bits.

    Raises:
        ValueError: `snr` is out of range, or a recording or the noise is silent.
    """
    require_ratio(snr)
    total = length(recordings, pauses)
    assert len(pauses) == len(recordings) + 1
    assert len(noise) == total, f"{len(noise)} samples of noise for {total}"
    mixed = _at(noise, _noise_level(snr))
    position = 0
    for pause, recording in zip(pauses, recordings, strict=False):
        position += pause
        mixed[position : position + len(recording)] += _at(recording, _LEVEL << _FINE)
        position += len(recording)
    return _divided(mixed * PEAK, int(np.abs(mixed).max())).astype(np.int16)


def require_ratio(snr: int) -> None:
    """Check a ratio of speech to noise in dB.

    Raises:
        ValueError: it is out of range.
    """
    if not LOWEST <= snr <= HIGHEST:
        raise ValueError(f"snr={snr}: expected {LOWEST} to {HIGHEST} dB")


def length(recordings: Sequence[Samples], pauses: Sequence[int]) -> int:
    """Return the number of samples of recordings and pauses together."""
    return sum(map(len, recordings)) + sum(pauses)


def _noise_level(snr: int) -> int:
    """Return the root mean square of noise, with `_FINE` binary places: `_LEVEL` times 10^(-snr / 20)."""
    context = Context(prec=40)
    ratio = context.power(Decimal(10), context.divide(Decimal(-snr), Decimal(20)))
    return int(context.multiply(ratio, Decimal(_LEVEL << _FINE)).to_integral_value())


def _at(samples: Samples, level: int) -> Samples:
    """Return samples scaled to the root mean square `level`, which has `_FINE` binary places."""
    samples = samples.astype(np.int64)
    energy = int(np.dot(samples, samples))
    size = math.isqrt((energy << (2 * _FINE)) // len(samples)) if len(samples) else 0
    if not size:
        raise ValueError("it is silent")
    return _divided(samples * level, size)


def _divided(numbers: Samples, by: int) -> Samples:
    """Return numbers divided by a positive number, rounded to nearest, halves up."""
    return (2 * numbers + by) // (2 * by)
