"""Utterances in LibriSpeech's layout: recordings with transcripts, and problems of those that are unusable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.data.verification import QUARANTINE, some
from tasks.librispeech import alphabet, audio, layout
from tasks.librispeech.audio import Header
from tasks.librispeech.layout import AUDIO, Contents

ADVICE = f"list it in {QUARANTINE} to leave it out, which changes the data fingerprint"


@dataclass(frozen=True)
class Utterance:
    """A recording and its transcript.

    Attributes:
        name: such as "1089-134686-0000".
        file: relative to the data set, with forward slashes.
        subset: its folder, such as "test-clean".
        speaker: name of the speaker's folder.
        samples: number of samples, as recorded.
        rate: samples per second, as recorded.
        transcript: normalised; every character is in the alphabet.
        line: line of the transcript in its file.
    """

    name: str
    file: str
    subset: str
    speaker: str
    samples: int
    rate: int
    transcript: str
    line: int = 0

    @property
    def seconds(self) -> float:
        """Length of the recording in seconds."""
        return self.samples / self.rate

    @property
    def source(self) -> str:
        """Location of the transcript: "train/1/2/1-2.trans.txt, line 3"."""
        return f"{layout.transcript_file(self.file)}, line {self.line}"


@dataclass(frozen=True)
class Line:
    """A line of a transcript file without the name of the utterance."""

    source: str
    number: int
    text: str


def spoken_lines(contents: Contents) -> tuple[dict[str, Line], list[str]]:
    """Return the transcripts by the file of their recording, which may be missing, and problems of other lines."""
    spoken: dict[str, Line] = {}
    problems = []
    for source, lines in contents.transcripts.items():
        if not isinstance(lines, list):
            continue
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            name, *text = line.split(maxsplit=1)
            file = f"{source.rpartition('/')[0]}/{name}{AUDIO}"
            if file in spoken:
                first = spoken[file].number
                problems.append(f"{source}, line {number}: line {first} has a transcript of {name} already")
            else:
                spoken[file] = Line(source, number, "".join(text))
    return spoken, problems


def usable_utterances(contents: Contents, spoken: dict[str, Line]) -> tuple[dict[str, Utterance], list[str]]:
    """Return the usable utterances of all folders by file, in order, and the problems of the others."""
    usable, problems = {}, []
    by_chapter: dict[str, list[str]] = {}
    for name in contents.recordings:
        by_chapter.setdefault(name.rpartition("/")[0], []).append(name)
    for source, lines in contents.transcripts.items():
        beside = by_chapter.get(source.rpartition("/")[0], []) if lines is None else []
        if isinstance(lines, str):
            problems.append(f"{source} {lines}")
        elif beside:
            problems.append(f"{source} is missing: recordings without transcripts are {some(beside)}")
    for file in sorted(contents.recordings.keys() | spoken.keys()):
        header, line = contents.recordings.get(file), spoken.get(file)
        folder, speaker, _, base = file.split("/", 3)
        name = base.removesuffix(AUDIO)
        transcript = alphabet.normalise(line.text) if line else ""
        wrong = [*_wrong_recording(file, header, line), *_wrong_transcript(file, line, transcript, contents)]
        problems += wrong
        if line and isinstance(header, Header) and not wrong:
            usable[file] = Utterance(name, file, folder, speaker, header.samples, header.rate, transcript, line.number)
    return usable, problems


def repeated(usable: dict[str, Utterance]) -> list[str]:
    """Return a sentence for every name that several utterances have."""
    files: dict[str, list[str]] = {}
    for utterance in usable.values():
        files.setdefault(utterance.name, []).append(utterance.file)
    return [f"utterance {name} is there more than once: {some(of)}" for name, of in files.items() if len(of) > 1]


def _wrong_recording(file: str, header: Header | str | None, line: Line | None) -> Iterator[str]:
    if header is None:
        assert line is not None
        yield f"{line.source}, line {line.number}: there is no recording {file}; {ADVICE}"
    elif isinstance(header, str):
        yield f"{file} is not a readable FLAC file ({header}); {ADVICE}"
    elif header.channels != 1:
        yield f"{file} has {header.channels} channels; expected one: mix it down, or {ADVICE}"
    elif not audio.supported(header.rate):
        yield f"{file} has {header.rate:,} samples a second; expected {audio.rates()}; {ADVICE}"
    elif audio.too_long(header):
        yield (
            f"{file} lasts {header.samples / header.rate:,.2f} s, more than {audio.LONGEST} s, and a batch takes the memory of "
            f"its longest recording; cut it into utterances, or {ADVICE}"
        )


def _wrong_transcript(file: str, line: Line | None, transcript: str, contents: Contents) -> Iterator[str]:
    if line is None:
        source = layout.transcript_file(file)
        if isinstance(contents.transcripts[source], list):  # otherwise the problem is reported for the whole chapter
            yield f"{file} has no transcript in {source}; {ADVICE}"
        return
    where = f"{line.source}, line {line.number}"
    if not transcript:
        yield f"{where}: the transcript is empty; list {file} in {QUARANTINE} to leave it out"
        return
    try:
        alphabet.encode(transcript)
    except ValueError as error:
        yield f"{where}: {error}; list {file} in {QUARANTINE} to leave it out"
