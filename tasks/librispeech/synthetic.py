"""The smoke set: sentences spoken by espeak-ng in LibriSpeech's layout, for a test of a row in a minute.

Sentences have two to five words from a vocabulary of 25, spoken by 30 voices of two accents with different rate and pitch. Voices
and sentences of dev and test do not occur in training. The set tests that a row runs, not DSD.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from tasks.data.cache import MARK, cache_dir, made_once
from tasks.librispeech import espeak
from tasks.random_streams import derive

VERSION = 1
"""Increase it with every change to sentences, voices or sound; it is part of the cache key."""

RATE = 16_000
"""Samples per second, as in LibriSpeech."""

COMMANDS = ("open", "close", "take", "bring", "find", "wash", "paint")
COLOURS = ("red", "green", "blue", "yellow", "white")
THINGS = ("box", "door", "cup", "lamp", "window", "table")
BEFORE = ("", "please", "don't")
AFTER = ("", "now", "again", "later")
LONGEST = 5
"""Maximum words of a sentence."""

_LENGTHS = (2, 3, 3, 3, 4, 4, 4, 5, 5, 5)  # words of a sentence; repetitions give frequencies
_HELD_OUT = {"dev": 0.1, "test": 0.15}  # share of the sentences of each length; at least one sentence

ACCENTS = ("gmw/en-US", "gmw/en")
"""American and British, alternating."""
VARIANTS = {
    "train": (
        *("m1", "m2", "m4", "m5", "m6", "m7", "f1", "f3", "f4", "f5"),
        *("Alex", "Annie", "Lee", "Mario", "Michael", "grandma", "linda", "max", "quincy", "rob"),
    ),
    "dev": ("aunty", "robert", "boris", "Denis"),
    "test": ("m3", "f2", "Andy", "grandpa", "belinda", "marcelo"),
}
"""espeak-ng's voice variants by split, one per speaker. No variant is in two splits."""
_FIRST_SPEAKER = {"train": 1001, "dev": 2001, "test": 3001}
_CHAPTER = 1

_LOUDNESS = 0.7  # factor, so that neither resampling nor noise exceeds full scale
_NOISE = 1e-3  # microphone noise relative to full scale, because digital silence has no logarithm
_QUIET_SECONDS = 0.08  # added before and after speech; espeak-ng adds almost nothing


class Utterance(NamedTuple):
    """A sentence and how it is spoken.

    Attributes:
        speaker: number of the voice, in the style of LibriSpeech.
        number: index among the utterances of the speaker, from 0.
        voice: espeak-ng's name of the voice and its variant.
        rate: words per minute.
        pitch: 0 to 99.
        text: a sentence in lower case.
    """

    speaker: int
    number: int
    voice: str
    rate: int
    pitch: int
    text: str

    @property
    def name(self) -> str:
        """File name without suffix, in the style of LibriSpeech."""
        return f"{self.speaker}-{_CHAPTER}-{self.number:04d}"


def _sentences() -> dict[str, dict[int, tuple[str, ...]]]:
    """Return the sentences of each split by number of words: all sentences of the grammar, in random order, divided."""
    objects = ["it", *(f"the {thing}" for thing in THINGS)]
    objects += [f"the {colour} {thing}" for colour, thing in itertools.product(COLOURS, THINGS)]
    every = [" ".join(filter(None, parts)) for parts in itertools.product(BEFORE, COMMANDS, objects, AFTER)]
    every.sort(key=lambda sentence: derive("librispeech tiny", VERSION, "sentence", sentence))
    dealt: dict[str, dict[int, tuple[str, ...]]] = {split: {} for split in VARIANTS}
    for words in range(2, LONGEST + 1):
        left = [sentence for sentence in every if len(sentence.split()) == words]
        held_out = {split: max(1, round(share * len(left))) for split, share in _HELD_OUT.items()}
        for split, count in held_out.items():
            dealt[split][words], left = tuple(left[:count]), left[count:]
        dealt["train"][words] = tuple(left)
    return dealt


SENTENCES = _sentences()
"""Sentences by split and number of words."""


def ensure(cache: Path | None = None, train: int = 720, dev: int = 80, test: int = 120) -> Path:
    """Return the root of the generated set; generate it if the cache does not hold it (see `tasks.data.cache.made_once`).

    Args:
        cache: folder of the set; by default `cache_dir()`.
        train: utterances for training.
        dev: utterances for validation.
        test: utterances for testing.

    Raises:
        ValueError: the set is absent and espeakng-loader is not installed.
    """
    return made_once(
        (cache or cache_dir()) / f"tiny-librispeech-v{VERSION}-{train}-{dev}-{test}",
        lambda root: generate(root, train, dev, test),
    )


def generate(root: Path, train: int = 720, dev: int = 80, test: int = 120) -> None:
    """Write {train,dev,test}/SPEAKER/CHAPTER/*.flac and *.trans.txt under `root`; arguments and errors as in `ensure`."""
    software = _software()
    root.mkdir(parents=True)
    (root / MARK).write_text(
        f"Generated speech, version {VERSION} (tasks/librispeech/synthetic.py), spoken by espeak-ng of espeakng-loader "
        f"{metadata.version('espeakng-loader')}. Results on it say nothing of DSD.\n",
        encoding="utf-8",
    )
    for split, count in (("train", train), ("dev", dev), ("test", test)):
        (root / split).mkdir()
        by_speaker: dict[int, list[Utterance]] = {}
        for index in range(count):
            said = utterance(split, index)
            by_speaker.setdefault(said.speaker, []).append(said)
        for speaker, said_by in by_speaker.items():
            folder = root / split / str(speaker) / str(_CHAPTER)
            folder.mkdir(parents=True)
            for said, spoken in zip(said_by, _speak(said_by, *software), strict=True):
                soundfile.write(folder / f"{said.name}.flac", recording(spoken, said.name), RATE, subtype="PCM_16")
            lines = "".join(f"{said.name} {said.text.upper()}\n" for said in said_by)
            (folder / f"{speaker}-{_CHAPTER}.trans.txt").write_text(lines, encoding="utf-8", newline="\n")


def utterance(split: str, index: int) -> Utterance:
    """Return utterance `index` of `split`; the speakers alternate.

    Raises:
        ValueError: there is no such split.
    """
    if split not in VARIANTS:
        raise ValueError(f"split={split!r}: expected one of {tuple(VARIANTS)}")
    variants = VARIANTS[split]
    voice = index % len(variants)
    speaker = _FIRST_SPEAKER[split] + voice
    own = _generator("voice", speaker)
    rate, pitch = 155 + own.integers(31), 40 + own.integers(21)
    random = _generator("utterance", split, index)
    sentences = SENTENCES[split][_LENGTHS[random.integers(len(_LENGTHS))]]
    return Utterance(
        speaker=speaker,
        number=index // len(variants),
        voice=f"{ACCENTS[voice % len(ACCENTS)]}+{variants[voice]}",
        rate=int(rate + random.integers(-10, 11)),
        pitch=int(pitch + random.integers(-5, 6)),
        text=sentences[random.integers(len(sentences))],
    )


def recording(spoken: NDArray[np.int16], name: str) -> NDArray[np.int16]:
    """Return the recording (samples,) at RATE Hz: speech with silence before and after, and microphone noise.

    Args:
        spoken: (samples,) at espeak-ng's rate.
        name: name of the utterance, the seed of the noise.
    """
    from scipy.signal import resample_poly  # half a second, which commands that use other data need not wait

    common = int(np.gcd(RATE, espeak.RATE))
    speech = resample_poly(spoken / 32768, RATE // common, espeak.RATE // common)
    padded = np.pad(_LOUDNESS * speech, round(_QUIET_SECONDS * RATE))
    noisy = padded + _NOISE * _generator("noise", name).standard_normal(len(padded))
    return np.clip(np.rint(32768 * noisy), -32768, 32767).astype(np.int16)


def _software() -> tuple[str, str]:
    """Return the paths of espeak-ng's library and of its data."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise ValueError(
            "The embedded speech set is spoken by espeak-ng, and espeakng_loader, which brings it, cannot be imported "
            f"({error}): pip install espeakng-loader"
        ) from error
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


def _speak(utterances: list[Utterance], library: str, data: str) -> list[NDArray[np.int16]]:
    """Return the samples of each utterance at espeak-ng's rate, spoken in a child process (see espeak.py)."""
    order = {"library": library, "data": data, "utterances": [said._asdict() for said in utterances]}
    # -I -S: Python starts faster without our modules and other packages. The program does not need them.
    command = [sys.executable, "-I", "-S", espeak.__file__]
    done = subprocess.run(command, input=json.dumps(order).encode(), capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(
            f"espeak-ng failed (status {done.returncode}): {done.stderr.decode(errors='replace').strip()}"
        )
    spoken, start = [], 0
    for _ in utterances:
        samples = int.from_bytes(done.stdout[start : start + 4], sys.byteorder)
        spoken.append(np.frombuffer(done.stdout, np.int16, samples, start + 4))
        start += 4 + 2 * samples
    assert start == len(done.stdout)
    return spoken


def _generator(*purpose: str | int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(derive("librispeech tiny", VERSION, *purpose)))
