"""Recordings: headers of FLAC files, samples at 16 kHz, and the output frames of a network."""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio.transforms
from numpy.typing import NDArray

from tasks.librispeech.settings import HOP, SAMPLE_RATE, WINDOW

LOWEST, HIGHEST, MULTIPLE = 8_000, 192_000, 25
"""Rates that can be resampled, in Hz. If a rate and 16 kHz have no large common divisor, resampling needs too many filters:
44,101 Hz would need 16,000 filters of 44,000 taps."""

LIBRARY = f"libsndfile {soundfile.__libsndfile_version__}"
LONGEST = 60
"""Maximum length of a recording in seconds; LibriSpeech's longest recording has 35.2 s.

The memory of a batch is proportional to its longest recording. For its gradient, the paper's DeepSpeech 2 keeps 13 MiB per second
of each recording: 25 GiB for 32 recordings of a minute. File size cannot be the limit: an hour of silence is 180 kB of FLAC.
"""

_UNKNOWN = 1 << 40  # samples: libsndfile returns 2^63 - 1 if the header has no length
_MD5 = slice(26, 42)
"""Bytes with the MD5 of the samples, or zeros, in a file that begins with STREAMINFO (RFC 9639, section 8.2)."""


@dataclass(frozen=True)
class Header:
    """Samples per channel, sample rate in Hz, channels."""

    samples: int
    rate: int
    channels: int


def header(path: Path) -> Header:
    """Return the header of a FLAC file without decoding its sound.

    Raises:
        ValueError: the file is not FLAC or is empty; the message gives the reason without the file name.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        if not file.read(1):
            raise ValueError("it is empty: 0 bytes")
        file.seek(0)
        try:
            with soundfile.SoundFile(file) as sound:
                return _header(sound)
        except soundfile.LibsndfileError as error:
            raise ValueError(_reason(error)) from error


def samples_of(data: bytes) -> tuple[NDArray[np.int16], int]:
    """Return the samples (n,) of a mono FLAC file and their rate.

    FLAC has a checksum in each frame, and an optional MD5 of all samples in the header. Both are checked (the MD5 if samples have
    16 bits).

    Raises:
        ValueError: the data is not FLAC, damaged, cut short, too long or not mono, or the header is wrong; the message gives
            the reason.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            stated, kind = _header(sound), sound.subtype
            if too_long(stated):
                raise ValueError(f"its header says {stated.samples:,} samples, more than {LONGEST} s")
            if stated.channels != 1:
                raise ValueError(f"it has {stated.channels} channels")
            samples: NDArray[np.int16] = sound.read(dtype="int16")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{_reason(error)}: damaged, or cut short at {len(data):,} bytes") from error
    if len(samples) != stated.samples:
        raise ValueError(f"it is cut short: {len(samples):,} of {stated.samples:,} samples")
    if kind == "PCM_16" and data.startswith(b"fLaC") and any(data[_MD5]):
        little_endian = samples.astype("<i2", copy=False)
        if hashlib.md5(little_endian.tobytes(), usedforsecurity=False).digest() != data[_MD5]:
            raise ValueError(f"its {len(samples):,} samples are not those that its header gives the MD5 of")
    return samples, stated.rate


def digest(recording: tuple[NDArray[np.int16], int]) -> str:
    """Return the SHA-256 of samples (n,) and their rate. It does not depend on encoder or machine."""
    samples, rate = recording
    content = hashlib.sha256(f"{rate} Hz, 16 bits, little-endian\n".encode())
    content.update(samples.astype("<i2", copy=False).tobytes())
    return content.hexdigest()


def load(path: Path) -> NDArray[np.int16]:
    """Return the samples (n,) of a mono FLAC file at 16 kHz, resampled if necessary.

    Raises:
        ValueError: the file cannot be opened, is damaged, or has a rate that cannot be resampled; the message names it.
    """
    try:
        samples, rate = samples_of(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path} is not a readable FLAC file ({error})") from error
    if rate == SAMPLE_RATE:
        return samples
    if not supported(rate):
        raise ValueError(f"{path} has {rate:,} Hz; expected {rates()}")
    floats = _resampler(rate)(torch.from_numpy(samples).float()).numpy()
    # torchaudio computes the length in float32 and may lose a sample of a long recording.
    exact = np.zeros(resampled_samples(len(samples), rate), dtype=np.int16)
    exact[: len(floats)] = floats.round().clip(-(1 << 15), (1 << 15) - 1)[: len(exact)]
    return exact


def resampled_samples(samples: int, rate: int) -> int:
    """Return the number of samples at 16 kHz after resampling `samples` from `rate`."""
    return -(-samples * SAMPLE_RATE // rate)


def output_frames(samples: int, stride: int) -> int:
    """Return the number of output frames: one per `stride` frames of the spectrogram, none beyond the ends.

    Args:
        samples: samples of the recording at 16 kHz.
        stride: stride in time of all layers together.
    """
    return 0 if samples < WINDOW else -(-(1 + (samples - WINDOW) // HOP) // stride)


def too_long(found: Header) -> bool:
    """Return whether a recording is too long to be decoded."""
    return found.samples > LONGEST * found.rate


def supported(rate: int) -> bool:
    """Return whether recordings of this rate in Hz can be used."""
    return LOWEST <= rate <= HIGHEST and rate % MULTIPLE == 0


def rates() -> str:
    """Return the rates that can be used, in words."""
    return f"{LOWEST:,} to {HIGHEST:,} Hz, in multiples of {MULTIPLE}"


@lru_cache(maxsize=8)
def _resampler(rate: int) -> torchaudio.transforms.Resample:
    common = math.gcd(rate, SAMPLE_RATE)
    return torchaudio.transforms.Resample(rate // common, SAMPLE_RATE // common)  # cached: it computes filters


def _header(sound: soundfile.SoundFile) -> Header:
    """Return the header of an open file; raise ValueError if it is not that of a FLAC recording."""
    stated = Header(sound.frames, sound.samplerate, sound.channels)
    if sound.format != "FLAC":
        raise ValueError(f"it is a {sound.format} file")
    if stated.samples <= 0:
        raise ValueError("it is empty: 0 samples")
    if stated.samples > _UNKNOWN:
        raise ValueError("its header does not say how long it is")
    return stated


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").rstrip(".")
