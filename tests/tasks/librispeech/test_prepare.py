"""Noisy digits are made completely, and only from complete sources; no part of the noise is in two splits."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import fftconvolve

from tasks.librispeech import audio, dataset, free_spoken_digits, mixing, prepare

REAL = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "speech"
real = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs speech under ../shared/data or $DSD_SHARED_DATA, which is not distributed"
)


def quiet(what: str, done: int, total: int) -> None:
    pass


def noise(name: str, length: int) -> np.ndarray:
    return np.frombuffer(hashlib.shake_256(name.encode()).digest(2 * length), "<i2")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with as many recordings as the real one, but shorter ones."""
    root = tmp_path_factory.mktemp("source")
    folder = root / prepare.DIGITS / "recordings"
    folder.mkdir(parents=True)
    for index, name in enumerate(free_spoken_digits.recordings()):
        soundfile.write(folder / name, noise(name, 900 + index % 50), 8_000)
    soundfile.write(root / "kitchen.wav", noise("kitchen", 73 * 16_000), 16_000)
    return root


@pytest.fixture
def changed(source: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the source, to be damaged: links to the files."""
    copy = tmp_path / "source"
    shutil.copytree(source, copy, copy_function=os.link)
    yield copy
    shutil.rmtree(copy)


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("made") / "noisy-digits-0db"
    seen: list[tuple[str, int, int]] = []
    prepare.noisy_digits(source, target, 0, lambda *now: seen.append(now))
    assert [what for what, _, _ in seen] == ["reading recordings"] * 3000 + ["mixing utterances"] * 2466
    assert [done for _, done, _ in seen] == [*range(1, 3001), *range(1, 2467)]
    return target


def test_the_loader_reads_what_was_made(made: Path) -> None:
    found = dataset.scan(made)
    report = dataset.verify(found, quiet)
    assert report.problems == ()
    assert {split: report.counts[split] for split in free_spoken_digits.UTTERANCES} == {
        "train": 1560,
        "dev": 150,
        "test": 756,
    }
    assert [one.transcript for one in found.train] == [
        one.transcript.lower() for one in free_spoken_digits.utterances() if one.split == "train"
    ]
    assert report.warnings == (
        "recordings that are resampled to 16,000 Hz: 2,466 at 8,000 Hz",
        "speakers of test utterances who are also in the training set: 6 (101, 102, 103, ...)",
    )
    assert report.fingerprint == "ffcfd33d7532f30e"
    assert (made / "SPEAKERS.TXT").read_text().splitlines()[1:2] == ["101  | U | all | - | george"]


def test_every_utterance_is_its_recordings_under_its_own_stretch_of_noise(source: Path, made: Path) -> None:
    background = prepare._noise(source, None)
    assert {split: len(of) for split, of in background.items()} == {"train": 344_000, "dev": 80_000, "test": 160_000}
    told = dict(line.split("\t", 1) for line in (made / "utterances.tsv").read_text().splitlines())
    for one in free_spoken_digits.utterances()[::300]:
        parts = [
            soundfile.read(source / prepare.DIGITS / "recordings" / name, dtype="int16")[0] for name in one.recordings
        ]
        length = sum(map(len, parts)) + sum(one.pauses)
        start = one.noise_start(length, len(background[one.split]))
        assert told[one.name] == f"{start}\t{' '.join(one.recordings)}"
        expected = mixing.mixture(parts, one.pauses, background[one.split][start : start + length], 0)
        path = made / one.folder / f"{one.name}.flac"
        samples, rate = audio.samples_of(path.read_bytes())
        assert rate == 8_000
        assert np.array_equal(samples, expected)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.rmtree(root / prepare.DIGITS), "has no free-spoken-digit-dataset/recordings/"),
        (lambda root: (root / "kitchen.wav").unlink(), "has no kitchen.wav or noise/kitchen.wav"),
        (lambda root: recording(root).unlink(), "recordings/3_theo_7.wav is not there; the data set has 3,000"),
        (lambda root: replace(recording(root), b"RIFF"), "3_theo_7.wav is not a readable WAV file"),
        (
            lambda root: write(recording(root), np.ones(900, np.int16), 16_000),
            "3_theo_7.wav is WAV, PCM_16, 1, 16000 Hz",
        ),
        (
            lambda root: write(recording(root), np.zeros(900, np.int16), 8_000),
            "3_theo_7.wav is cut short, empty or silent",
        ),
        (lambda root: write(root / "kitchen.wav", noise("short", 16_000), 16_000), "kitchen.wav lasts 1.0 s; 73 s"),
    ],
)
def test_what_is_wrong_with_the_source_is_named_and_nothing_written(
    changed: Path, tmp_path: Path, damage: object, message: str
) -> None:
    assert callable(damage)
    damage(changed)
    with pytest.raises(ValueError, match=message):
        prepare.noisy_digits(changed, tmp_path / "out", 0, quiet)
    assert not (tmp_path / "out").exists()


def test_other_recordings_than_the_published_ones_are_refused(source: Path, tmp_path: Path) -> None:
    for name in (prepare.NOISE, prepare.DIGITS):
        with pytest.raises(ValueError, match=f"{name}.* has the SHA-256 [0-9a-f]{{64}}.*; expected 0000"):
            prepare.noisy_digits(source, tmp_path / "out", 0, quiet, {name: "0000"})
    with pytest.raises(ValueError, match="snr=99: expected -20 to 60 dB"):
        prepare.noisy_digits(source, tmp_path / "out", 99, quiet)
    assert not (tmp_path / "out").exists()


def recording(root: Path) -> Path:
    return root / prepare.DIGITS / "recordings" / "3_theo_7.wav"


def replace(path: Path, data: bytes) -> None:
    path.unlink()  # it is a link to a file that other tests use
    path.write_bytes(data)


def write(path: Path, samples: np.ndarray, rate: int) -> None:
    path.unlink()
    soundfile.write(path, samples, rate)


@real
def test_no_stretch_of_the_kitchen_is_in_two_splits_although_the_recording_repeats_itself() -> None:
    samples = soundfile.read(REAL / "noise" / "kitchen.wav", dtype="int16")[0]
    whole = whitened(mixing.halved(samples.astype(np.int64)))
    spans = {split: (8_000 * start, 8_000 * end) for split, (start, end) in prepare.NOISE_SECONDS.items()}
    assert sorted(spans.values()) == [(0, 344_000), (344_000, 424_000), (424_000, 584_000)]
    for split, (start, end) in spans.items():
        for one in range(start, end - 8_000, 8_000):
            alike = likeness(whole[one : one + 8_000], whole[:584_000])
            alike[max(0, start - 7_999) : end] = 0  # stretches that overlap their own split
            assert alike.max() < 0.2, (split, one / 8_000)
    # This test does find repetitions: the beginning occurs again at 3 s, and the sound of 45 s again at 97 s.
    assert likeness(whole[:8_000], whole)[24_000] > 0.6
    assert likeness(whole[45 * 8_000 : 46 * 8_000], whole)[97 * 8_000] > 0.9


def whitened(samples: np.ndarray) -> np.ndarray:
    """Return noise with a flat spectrum. Otherwise low frequencies, which are similar everywhere, would dominate."""
    spectrum = np.fft.rfft(samples)
    return np.fft.irfft(spectrum / np.convolve(np.abs(spectrum), np.ones(2001) / 2001, "same"), len(samples))


def likeness(piece: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return the absolute correlation of a piece with every stretch of its length."""
    sums = np.concatenate([[0.0], np.cumsum(whole**2)])
    energy = sums[len(piece) :] - sums[: -len(piece)]
    return np.abs(fftconvolve(whole, piece[::-1], "valid")) / np.sqrt(energy * np.dot(piece, piece))
