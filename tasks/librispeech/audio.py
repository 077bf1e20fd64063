"""Recordings: what a FLAC file's header says, its samples at 16 kHz, and the frames that a network makes of them."""

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
"""Rates that can be resampled, in Hz. A rate that shares no large divisor with 16 kHz would need a filter for every one of
its samples: 44,101 Hz, 16,000 filters of 44,000 taps."""

LIBRARY = f"libsndfile {soundfile.__libsndfile_version__}"
LONGEST = 60
"""Seconds of the longest recording that is used; the longest of LibriSpeech has 35.2 s.

A batch takes the memory of as many recordings as long as its longest. The paper's DeepSpeech 2 keeps 13 MiB a second of each
for its gradient: 25 GiB of 32 recordings of a minute. An hour of silence is 180 kB of FLAC: a file's size limits nothing.
"""

_UNKNOWN = 1 << 40  # samples: libsndfile says 2^63 - 1 where the header does not know
_MD5 = slice(26, 42)
"""Bytes that hold the MD5 of the samples, or zeros, where a file begins with STREAMINFO (RFC 9639, section 8.2)."""


@dataclass(frozen=True)
class Header:
    """Samples a channel, samples a second, channels."""

    samples: int
    rate: int
    channels: int


def header(path: Path) -> Header:
    """Return what the header of a FLAC file says; its sound is not decoded.

    Raises:
        ValueError: it is no FLAC file, or it is empty; the message says so in a few words.
        OSError: it cannot be opened.
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
    """Return the samples (n,) of a mono FLAC file, decoded to its end, and their rate.

    Every frame of FLAC carries a checksum, so damage shows; so does the header, of all samples, which shows one that lies.

    Raises:
        ValueError: the bytes are no FLAC file, damaged, cut short, too long or not mono, or the header does not tell the
            truth; the message says so in a few words.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            found, kind = _header(sound), sound.subtype
            if too_long(found):
                raise ValueError(f"its header says {found.samples:,} samples, more than {LONGEST} s")
            if found.channels != 1:
                raise ValueError(f"it has {found.channels} channels")
            samples: NDArray[np.int16] = sound.read(dtype="int16")
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{_reason(error)}: damaged, or cut short at {len(data):,} bytes") from error
    if len(samples) != found.samples:
        raise ValueError(f"it is cut short: {len(samples):,} of {found.samples:,} samples")
    if kind == "PCM_16" and data.startswith(b"fLaC") and any(data[_MD5]):
        little_endian = samples.astype("<i2", copy=False)
        if hashlib.md5(little_endian.tobytes(), usedforsecurity=False).digest() != data[_MD5]:
            raise ValueError(f"its {len(samples):,} samples are not those that its header gives the MD5 of")
    return samples, found.rate


def digest(recording: tuple[NDArray[np.int16], int]) -> str:
    """Return the SHA-256 of samples (n,) and their rate: the same whichever encoder wrote them, and on every machine."""
    samples, rate = recording
    content = hashlib.sha256(f"{rate} Hz, 16 bits, little-endian\n".encode())
    content.update(samples.astype("<i2", copy=False).tobytes())
    return content.hexdigest()


def load(path: Path) -> NDArray[np.int16]:
    """Return the samples (n,) of a mono FLAC file at 16 kHz, resampled where it has another rate.

    Raises:
        ValueError: the file cannot be opened or is damaged, or its rate cannot be resampled; the message names it.
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
    # torchaudio computes the length in float32, which may lose a sample of a long recording.
    exact = np.zeros(resampled_samples(len(samples), rate), dtype=np.int16)
    exact[: len(floats)] = floats.round().clip(-(1 << 15), (1 << 15) - 1)[: len(exact)]
    return exact


def resampled_samples(samples: int, rate: int) -> int:
    """Return how many samples at 16 kHz become of `samples` at another rate."""
    return -(-samples * SAMPLE_RATE // rate)


def output_frames(samples: int, stride: int) -> int:
    """Return the frames of a network's output: one for every `stride` of the spectrogram, none of which sees beyond an end.

    Args:
        samples: at 16 kHz.
        stride: of all layers together, along time.
    """
    return 0 if samples < WINDOW else -(-(1 + (samples - WINDOW) // HOP) // stride)


def too_long(found: Header) -> bool:
    """Return whether a recording takes more memory than one may; none such is decoded."""
    return found.samples > LONGEST * found.rate


def supported(rate: int) -> bool:
    """Return whether recordings of this rate, in Hz, can be used."""
    return LOWEST <= rate <= HIGHEST and rate % MULTIPLE == 0


def rates() -> str:
    """Return in words which rates can be used."""
    return f"{LOWEST:,} to {HIGHEST:,} Hz, in multiples of {MULTIPLE}"


@lru_cache(maxsize=8)
def _resampler(rate: int) -> torchaudio.transforms.Resample:
    common = math.gcd(rate, SAMPLE_RATE)
    return torchaudio.transforms.Resample(rate // common, SAMPLE_RATE // common)  # its filters are computed once


def _header(sound: soundfile.SoundFile) -> Header:
    """Return what an open file's header says; raise ValueError where it is not one of a recording to decode."""
    found = Header(sound.frames, sound.samplerate, sound.channels)
    if sound.format != "FLAC":
        raise ValueError(f"it is a {sound.format} file")
    if found.samples <= 0:
        raise ValueError("it is empty: 0 samples")
    if found.samples > _UNKNOWN:
        raise ValueError("its header does not say how long it is")
    return found


def _reason(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").rstrip(".")
