"""The embedded set: sentences spoken by espeak-ng in LibriSpeech's layout, so that a row can be tried in a minute.

Sentences of two to five words, of 25 words in all, by 30 voices of two accents, each at a rate and a pitch of its own. Dev
and test speak with voices that training does not have, and say sentences that training never says. It shows that a row
runs, never what DSD does.
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
from scipy.signal import resample_poly

from tasks.data.cache import MARK, cache_dir, made_once
from tasks.librispeech import espeak
from tasks.random_streams import derive

VERSION = 1
"""Raise it with any change to sentences, voices or sound: it is part of the cache's key."""

RATE = 16_000
"""Samples a second, as LibriSpeech has them."""

COMMANDS = ("open", "close", "take", "bring", "find", "wash", "paint")
COLOURS = ("red", "green", "blue", "yellow", "white")
THINGS = ("box", "door", "cup", "lamp", "window", "table")
BEFORE = ("", "please", "don't")
AFTER = ("", "now", "again", "later")
LONGEST = 5
"""Words of a sentence at most."""

_LENGTHS = (2, 3, 3, 3, 4, 4, 4, 5, 5, 5)  # words of a sentence, each as often as it stands here
_HELD_OUT = {"dev": 0.1, "test": 0.15}  # share of the sentences of each length, and at least one

ACCENTS = ("gmw/en-US", "gmw/en")
"""American and British, in turn."""
VARIANTS = {
    "train": (
        *("m1", "m2", "m4", "m5", "m6", "m7", "f1", "f3", "f4", "f5"),
        *("Alex", "Annie", "Lee", "Mario", "Michael", "grandma", "linda", "max", "quincy", "rob"),
    ),
    "dev": ("aunty", "robert", "boris", "Denis"),
    "test": ("m3", "f2", "Andy", "grandpa", "belinda", "marcelo"),
}
"""espeak-ng's variants of a voice, by split; one a speaker. No two splits share one."""
_FIRST_SPEAKER = {"train": 1001, "dev": 2001, "test": 3001}
_CHAPTER = 1

_LOUDNESS = 0.7  # so that neither resampling nor noise passes full scale
_NOISE = 1e-3  # a microphone's, of full scale: digital silence has no logarithm
_QUIET_SECONDS = 0.08  # before and after speech, where espeak-ng leaves next to nothing


class Utterance(NamedTuple):
    """What is said, and how.

    Attributes:
        speaker: LibriSpeech's number of the voice.
        number: counts the speaker's utterances from 0.
        voice: espeak-ng's name of the voice and its variant.
        rate: words a minute.
        pitch: of 0 to 99.
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
        """The file's name without suffix, as LibriSpeech's."""
        return f"{self.speaker}-{_CHAPTER}-{self.number:04d}"


def _sentences() -> dict[str, dict[int, tuple[str, ...]]]:
    """Return each split's sentences by their number of words: all that the grammar allows, in random order, dealt out."""
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
"""By split and number of words."""


def ensure(cache: Path | None = None, train: int = 720, dev: int = 80, test: int = 120) -> Path:
    """Return the root of the generated set, making it first where the cache does not hold it.

    Args:
        cache: where to look for it and keep it; `cache_dir()` by default.
        train: utterances for training.
        dev: utterances for development.
        test: utterances for testing.

    The set appears whole or not at all, whoever else makes it at the same time (see `tasks.data.cache.made_once`).

    Raises:
        ValueError: it is to be made, and espeakng-loader is not installed.
    """
    return made_once(
        (cache or cache_dir()) / f"tiny-librispeech-v{VERSION}-{train}-{dev}-{test}",
        lambda root: generate(root, train, dev, test),
    )


def generate(root: Path, train: int = 720, dev: int = 80, test: int = 120) -> None:
    """Write {train,dev,test}/SPEAKER/CHAPTER/*.flac and *.trans.txt under `root`; arguments and errors as of `ensure`."""
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
    """Return what utterance `index` of `split` is; the speakers take turns.

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
    """Return (samples,) as a microphone would have them at RATE Hz: with quiet around, and its noise, which `name` decides.

    Args:
        spoken: (samples,) at espeak-ng's rate.
        name: of the utterance.
    """
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
    """Return each utterance's samples at espeak-ng's rate, spoken by a process of its own (espeak.py says why)."""
    order = {"library": library, "data": data, "utterances": [said._asdict() for said in utterances]}
    # -I -S: it needs neither our modules nor other packages, and starts faster without.
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
