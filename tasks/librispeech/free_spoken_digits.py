"""Chooses the recordings of each utterance of noisy digits. The choice depends on names only, so it is the same on all machines.

The Free Spoken Digit Dataset has 6 speakers x 10 digits x 50 recordings. Its authors reserve indices 0 to 4 for testing.
Here indices 5 to 9 are for validation (dev), and the rest for training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.librispeech.layout import Split
from tasks.random_streams import derive

WORDS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
FIRST_SPEAKER = 101
"""LibriSpeech's speakers are numbers: george is 101, yweweler 106."""

INDICES: dict[Split, range] = {"train": range(10, 50), "dev": range(5, 10), "test": range(5)}
"""Indices of the recordings of every digit and speaker, by split."""

UTTERANCES: dict[Split, int] = {"train": 260, "dev": 25, "test": 126}
"""Utterances per speaker: 1,560, 150 and 756 in all. A test recording is used 10 times, a few 11 times."""

CHAPTERS: dict[Split, int] = {"train": 1, "dev": 2, "test": 3}

LONGEST = 7
"""Maximum digits in an utterance; all lengths from 1 on are equally frequent."""

PAUSES = (400, 1600)
"""Minimum and maximum pause before, between and after digits, in samples at 8 kHz: 50 to 200 ms."""

_PURPOSE = ("noisy digits", 1)  # increase the number with every change below: the change makes another data set


@dataclass(frozen=True)
class Utterance:
    """An utterance to make.

    Attributes:
        split: split of the utterance.
        speaker: number in the style of LibriSpeech.
        name: such as "101-1-0000".
        recordings: file names, such as "7_jackson_32.wav", in order.
        pauses: samples of silence before each recording and after the last.
    """

    split: Split
    speaker: int
    name: str
    recordings: tuple[str, ...]
    pauses: tuple[int, ...]

    @property
    def transcript(self) -> str:
        """The transcript in upper case, as in LibriSpeech."""
        return " ".join(WORDS[int(name[0])] for name in self.recordings)

    @property
    def folder(self) -> str:
        """The folder of its files: SPLIT/SPEAKER/CHAPTER."""
        return f"{self.split}/{self.speaker}/{CHAPTERS[self.split]}"

    def noise_start(self, length: int, noise: int) -> int:
        """Return the index at which the noise of this utterance starts: a random stretch of `length` of the `noise` samples."""
        return derive(*_PURPOSE, "noise", self.name) % (noise - length + 1)


def recordings() -> list[str]:
    """Return the sorted names of all 3,000 recordings used."""
    return sorted(name for split in INDICES for index in range(len(SPEAKERS)) for name in _of(split, index))


def utterances() -> list[Utterance]:
    """Return every utterance, in order of split, speaker and number.

    Each speaker's recordings are used in random order. All are used before any is repeated.
    """
    return [
        utterance for split in UTTERANCES for index in range(len(SPEAKERS)) for utterance in _utterances(split, index)
    ]


def _of(split: Split, speaker: int) -> list[str]:
    return [f"{digit}_{SPEAKERS[speaker]}_{index}.wav" for digit in range(10) for index in INDICES[split]]


def _utterances(split: Split, index: int) -> Iterator[Utterance]:
    speaker = FIRST_SPEAKER + index
    dealt = _shuffled(_of(split, index), f"recordings of {split} {speaker}")
    lengths = _shuffled([str(length) for length in range(1, LONGEST + 1)], f"lengths of {split} {speaker}")
    for number in range(UTTERANCES[split]):
        name = f"{speaker}-{CHAPTERS[split]}-{number:04d}"
        chosen = tuple(next(dealt) for _ in range(int(next(lengths))))
        pauses = tuple(_pause(name, place) for place in range(len(chosen) + 1))
        yield Utterance(split, speaker, name, chosen, pauses)


def _shuffled(items: Sequence[str], what: str) -> Iterator[str]:
    """Yield all items in random order, then all items in another random order, and so on without end."""
    turn = 0
    while True:
        yield from sorted(items, key=lambda item: derive(*_PURPOSE, what, turn, item))
        turn += 1


def _pause(name: str, place: int) -> int:
    shortest, longest = PAUSES
    return shortest + derive(*_PURPOSE, "pause", name, place) % (longest - shortest + 1)
