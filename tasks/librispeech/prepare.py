"""Noisy digits, made from the Free Spoken Digit Dataset and a recording of a kitchen: FLAC in LibriSpeech's layout."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from tasks.librispeech import free_spoken_digits, mixing
from tasks.librispeech.layout import AUDIO, TRANSCRIPT, Split
from tasks.librispeech.mixing import Samples
from tasks.task import Progress

RATE = 8_000
"""Samples per second, as in the recordings of digits. At 16 kHz, the upper half of the spectrum would hold noise but no speech."""

DIGITS = "free-spoken-digit-dataset"
NOISE = "kitchen.wav"
_NOISE_PLACES = (NOISE, f"noise/{NOISE}")
_NOISE_RATE = 2 * RATE

NOISE_SECONDS: dict[Split, tuple[int, int]] = {"train": (0, 43), "dev": (43, 53), "test": (53, 73)}
"""Start and end of the stretch of kitchen.wav for each split. The file repeats itself: nearly all sound after 73.5 s is a copy of
earlier sound, at the same level or faded, and seconds 3 to 4.5 repeat the beginning. Before 73 s, no sound is in two splits."""

USED = "utterances.tsv"
"""A list of the recordings in every utterance."""


def noisy_digits(
    source: Path, target: Path, snr: int, progress: Progress, checksums: Mapping[str, str] | None = None
) -> None:
    """Write the data set into a new folder `target`.

    Args:
        source: holds free-spoken-digit-dataset/, a checkout, and kitchen.wav or noise/kitchen.wav.
        target: the folder to write.
        snr: ratio of speech to noise in dB.
        progress: called with ("reading recordings", done, total), then ("mixing utterances", done, total).
        checksums: expected SHA-256 by name: that of `recordings_digest` for `DIGITS`, and that of the file for `NOISE`. Both are
            optional.

    Raises:
        ValueError: `snr` is out of range, or a file is missing, is not such a recording or has another checksum; the message names
            the file.
        OSError: a file cannot be read or written.
    """
    mixing.require_ratio(snr)
    expected = checksums or {}
    noise = _noise(source, expected.get(NOISE))
    recordings = _recordings(source, expected.get(DIGITS), progress)
    _write(target, recordings, noise, snr, progress)


def recordings_digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of lines "NAME SHA-256", one per file, in order of their names."""
    lines = (f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _noise(source: Path, expected: str | None) -> dict[Split, Samples]:
    """Return the noise of each split at 8 kHz. Stretches are cut before filtering, so no split influences another."""
    path = next((source / place for place in _NOISE_PLACES if (source / place).is_file()), None)
    if path is None:
        raise ValueError(f"{source} has no {' or '.join(_NOISE_PLACES)}; it is needed beside {DIGITS}/")
    data = path.read_bytes()
    if expected and (found := hashlib.sha256(data).hexdigest()) != expected:
        raise ValueError(f"{path} has the SHA-256 {found}; expected {expected}: it is damaged, or another recording")
    samples = _decode(path, data, _NOISE_RATE)
    needed = max(end for _, end in NOISE_SECONDS.values())
    if len(samples) < needed * _NOISE_RATE:
        raise ValueError(f"{path} lasts {len(samples) / _NOISE_RATE:.1f} s; {needed} s are needed")
    return {
        split: mixing.halved(samples[start * _NOISE_RATE : end * _NOISE_RATE])
        for split, (start, end) in NOISE_SECONDS.items()
    }


def _recordings(source: Path, expected: str | None, progress: Progress) -> dict[str, Samples]:
    folder = source / DIGITS / "recordings"
    if not folder.is_dir():
        raise ValueError(f"{source} has no {DIGITS}/recordings/; --from takes the folder that holds {DIGITS}/")
    names = free_spoken_digits.recordings()
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        more = f", nor {len(missing) - 1:,} more" if missing[1:] else ""
        raise ValueError(f"{folder / missing[0]} is not there{more}; the data set has {len(names):,} such recordings")
    files, samples = {}, {}
    for done, name in enumerate(names, 1):
        files[name] = (folder / name).read_bytes()
        samples[name] = _decode(folder / name, files[name], RATE)
        progress("reading recordings", done, len(names))
    if expected and (found := recordings_digest(files)) != expected:
        raise ValueError(f"{folder} has the SHA-256 {found} over all recordings; expected {expected}: some are others")
    return samples


def _decode(path: Path, data: bytes, rate: int) -> Samples:
    """Return the samples of a WAV file with one channel and 16 bits.

    Raises:
        ValueError: the file is of another kind, damaged, empty or silent; the message names it.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            kind = (sound.format, sound.subtype, sound.channels, sound.samplerate)
            samples = sound.read(dtype="int16") if kind == ("WAV", "PCM_16", 1, rate) else None
            stated = sound.frames
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path} is not a readable WAV file ({error.error_string.rstrip('.')})") from error
    if samples is None:
        raise ValueError(f"{path} is {', '.join(map(str, kind))} Hz; expected WAV, PCM_16, 1 channel, {rate} Hz")
    if len(samples) != stated or not samples.any():
        raise ValueError(f"{path} is cut short, empty or silent: {len(samples):,} samples")
    return np.asarray(samples, np.int64)


def _write(
    target: Path, recordings: Mapping[str, Samples], noise: Mapping[Split, Samples], snr: int, progress: Progress
) -> None:
    target.mkdir()
    lines = [
        f"{free_spoken_digits.FIRST_SPEAKER + index:<4} | U | all | - | {name}\n"
        for index, name in enumerate(free_spoken_digits.SPEAKERS)
    ]
    (target / "SPEAKERS.TXT").write_text(";ID  |SEX| SUBSET           |MINUTES| NAME\n" + "".join(lines))
    every = free_spoken_digits.utterances()
    transcripts: dict[str, list[str]] = {}
    used = ["utterance\tnoise start (samples at 8 kHz, of the split's stretch)\trecordings\n"]
    for done, utterance in enumerate(every, 1):
        parts = [recordings[name] for name in utterance.recordings]
        background, length = noise[utterance.split], mixing.length(parts, utterance.pauses)
        if length > len(background):
            raise ValueError(f"{utterance.name} lasts {length / RATE:.1f} s, longer than the {utterance.split} noise")
        start = utterance.noise_start(length, len(background))
        samples = mixing.mixture(parts, utterance.pauses, background[start : start + length], snr)
        folder = target / utterance.folder
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{utterance.name}{AUDIO}", samples, RATE, subtype="PCM_16")
        chapter = f"{utterance.folder}/{utterance.name.rpartition('-')[0]}{TRANSCRIPT}"
        transcripts.setdefault(chapter, []).append(f"{utterance.name} {utterance.transcript}\n")
        used.append(f"{utterance.name}\t{start}\t{' '.join(utterance.recordings)}\n")
        progress("mixing utterances", done, len(every))
    for chapter, spoken in transcripts.items():
        (target / chapter).write_text("".join(spoken))
    (target / USED).write_text("".join(used))
