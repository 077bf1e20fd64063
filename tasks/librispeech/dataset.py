"""LibriSpeech, or speech in its layout: listing, verification and fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tasks.data.cache import MARK, Good
from tasks.data.completeness import duplicates, totals
from tasks.data.verification import QUARANTINE, check, choose, printable, quarantined, some
from tasks.librispeech import alphabet, audio, layout
from tasks.librispeech.layout import SPLITS, Contents, Split
from tasks.librispeech.settings import SAMPLE_RATE
from tasks.librispeech.utterances import ADVICE, Line, Utterance, repeated, spoken_lines, usable_utterances
from tasks.task import DataReport, Progress

_SOUND = (
    ".wav",
    ".mp3",
    ".ogg",
    ".m4a",
    ".opus",
    ".sph",
    ".aac",
    ".aiff",
    ".flac",
)  # .flac: in another case, such as .FLAC

_DECISIVE: tuple[Split, ...] = ("train", "test")

PUBLISHED = {
    "train-clean-100": 28_539,
    "train-clean-360": 104_014,
    "train-other-500": 148_688,
    "dev-clean": 2_703,
    "dev-other": 2_864,
    "test-clean": 2_620,
    "test-other": 2_939,
}
"""Utterances in each folder of the full set (https://huggingface.co/datasets/openslr/librispeech_asr)."""


@dataclass(frozen=True)
class Speech:
    """The usable utterances of each split, in order of their file names.

    `root` is the folder that holds train-clean-100 and so on. `problems` and `warnings` are sentences; only `verify` finds problems
    inside recordings. `there` is the number of recordings in each folder, including those left out.
    """

    root: Path
    train: tuple[Utterance, ...]
    dev: tuple[Utterance, ...]
    test: tuple[Utterance, ...]
    subset: float = 1.0
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    there: dict[str, int] = field(default_factory=dict)

    def utterances(self, split: Split) -> tuple[Utterance, ...]:
        """Return the utterances of a split."""
        return {"train": self.train, "dev": self.dev, "test": self.test}[split]


def scan(
    root: Path,
    subset: float = 1.0,
    splits: Sequence[Split] = SPLITS,
    train: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Speech:
    """Read the transcripts and the headers of all recordings of `root` without decoding sound.

    Recordings are FOLDER/SPEAKER/CHAPTER/*.flac; transcripts are the lines of SPEAKER-CHAPTER.trans.txt beside them. Folders
    whose names begin with train, dev and test belong to these splits. Headers and transcripts are cached until the name, size or
    modification time of a file changes.

    Args:
        root: the data set, or the folder that holds it under the name LibriSpeech. Recordings that its `quarantine.txt`
            names (one per line, # starts a comment) are left out.
        subset: the share F of the n training utterances to use, in (0, 1]: the first ceil(F n) in order of the SHA-256 of their
            names. Larger subsets include smaller ones. All utterances of the other splits are used.
        splits: the splits needed; dev may be absent.
        train: the folders to train on, instead of those whose names begin with train. A test folder among them is in both splits.
        progress: called with ("reading headers", done, total).

    Raises:
        ValueError: `subset` is out of range, a folder of `train` does not exist, `root` is not such a data set (the message
            suggests another), or its quarantine.txt is not text.
    """
    if not 0 < subset <= 1:
        raise ValueError(f"subset={subset}: expected the part of the training utterances to use, above 0 and at most 1")
    root = layout.find(root)
    chosen = {split: layout.folders(root, split) if split in splits else [] for split in SPLITS}
    if train is not None:
        there = {path.name for path in root.iterdir() if path.is_dir()}
        if absent := [name for name in train if name not in there]:
            raise ValueError(f"train={tuple(train)}: there is no folder {absent[0]!r} in {root}")
        chosen["train"] = sorted(set(train)) if "train" in splits else []
    folders = sorted({name for names in chosen.values() for name in names})
    contents = layout.read(root, folders, progress)
    counts = Counter(file.partition("/")[0] for file in contents.recordings)
    spoken, wrong = spoken_lines(contents)
    problems = [*contents.closed, *_causes(contents), *wrong]  # problems that explain others come first
    excluded, wrong = _leave_out(root, folders, contents, spoken)
    problems += wrong
    usable, wrong = usable_utterances(contents, spoken)
    problems += wrong + repeated(usable)
    parts = {split: [u for u in usable.values() if u.subset in chosen[split]] for split in SPLITS}
    problems += [_empty(split, chosen[split]) for split in splits if split != "dev" and not parts[split]]
    warnings = [f"left out by {QUARANTINE}: {some(sorted(excluded))}"] if excluded else []
    warnings += _remarks(contents, usable)
    train_part, test_part = parts["train"], parts["test"]
    kept = set(choose([utterance.name for utterance in train_part], subset))
    train_part = [utterance for utterance in train_part if utterance.name in kept]
    if shared := sorted({u.speaker for u in train_part} & {u.speaker for u in test_part}):
        warnings.append(f"speakers of test utterances who are also in the training set: {some(shared)}")
    return Speech(
        root=root,
        train=tuple(train_part),
        dev=tuple(parts["dev"]),
        test=tuple(test_part),
        subset=subset,
        problems=tuple(problems),
        warnings=tuple(warnings),
        there={folder: counts[folder] for folder in folders},
    )


def verify(found: Speech, progress: Progress, stride: int = 2, workers: int = 0) -> DataReport:
    """Decode every recording of a scanned data set, in parallel, and report all problems.

    Args:
        found: result of `scan`.
        progress: called with ("verifying recordings", done, total).
        stride: stride of the network in time: spectrogram frames, 10 ms apart, per output frame. A transcript that CTC cannot
            align with so few output frames is a problem.
        workers: threads; 0 means one per processor.

    Returns:
        The report. Its counts are utterances ("train", "dev", "test"), "train seconds", and "speakers" of all splits. Its
        fingerprint is a hash, 16 hexadecimal digits, of the subset, and of split, names, decoded samples, rates and transcripts of
        the training and test utterances. It depends neither on dev nor on the encoder. Good files are not decoded again next time
        (`tasks.data.verification.check`). Damaged files become problems of the report.
    """
    problems, warnings = list(found.problems), list(found.warnings)
    every = {utterance.file: utterance for split in SPLITS for utterance in found.utterances(split)}
    names = sorted(every)
    report = partial(progress, "verifying recordings")
    results = check(found.root, names, audio.samples_of, "FLAC file", workers, report, audio.digest)
    checked = dict(zip(names, results, strict=True))
    problems += [result for result in checked.values() if isinstance(result, str)]
    problems += [sentence for name in names if (sentence := _too_short(every[name], stride))]
    content = hashlib.sha256(json.dumps(found.subset).encode())
    for split in _DECISIVE:
        for utterance in found.utterances(split):
            facts = [split, utterance.file, _digest(checked[utterance.file]), utterance.transcript]
            content.update(b"\n" + json.dumps(facts).encode())
    trained, held_out = ([u.file for u in utterances] for utterances in (found.train, (*found.dev, *found.test)))
    warnings += duplicates(
        "recordings of dev or test",
        trained,
        held_out,
        checked,
        "training recordings",
        truth=lambda name: every[name].transcript,
        conflict="recordings with more than one transcript",
        alike="sample for sample",
    )
    synthetic = (found.root / MARK).exists()
    published, odd = ("", []) if synthetic else totals("LibriSpeech", PUBLISHED, found.there)
    return DataReport(
        name=printable(found.root.resolve().name),
        fingerprint=content.hexdigest()[:16],
        counts={
            **{split: len(found.utterances(split)) for split in SPLITS},
            "train seconds": round(sum(utterance.seconds for utterance in found.train)),
            "speakers": len({utterance.speaker for utterance in every.values()}),
        },
        synthetic=synthetic,
        subset=found.subset,
        problems=tuple(map(printable, problems)),
        warnings=tuple(map(printable, (*warnings, *odd))),
        published=published,
    )


def _leave_out(
    root: Path, folders: Sequence[str], contents: Contents, spoken: dict[str, Line]
) -> tuple[set[str], list[str]]:
    """Drop the files that quarantine.txt names from `contents` and `spoken`; return their names, and the problems of the list."""
    elsewhere = {entry.name for entry in root.iterdir() if entry.is_dir()} - set(folders)
    present = contents.recordings.keys() | spoken.keys()
    excluded, problems = quarantined(root, present, lambda name: name.partition("/")[0] in elsewhere)
    for name in excluded:
        contents.recordings.pop(name, None)
        spoken.pop(name, None)
    return excluded, problems


def _causes(contents: Contents) -> Iterator[str]:
    """Yield sentences that explain many problems: recordings in wrong folders or of another format."""
    if contents.loose:
        yield f"recordings outside FOLDER/SPEAKER/CHAPTER/, move them there: {some(sorted(contents.loose))}"
    other = sorted(
        name for name in contents.others if name.lower().endswith(_SOUND) and not name.endswith(layout.AUDIO)
    )
    if other:
        yield f"recordings that are not .flac files, convert them: {some(other)}"


def _empty(split: Split, folders: Sequence[str]) -> str:
    """Return a sentence about why a split has no utterance."""
    why = f"no utterance of {', '.join(folders)} can be used" if folders else f"no folder's name begins with {split}"
    return f"there is nothing to {split} on: {why}"


def _too_short(utterance: Utterance, stride: int) -> str:
    """Return a sentence if the recording is too short for CTC to align it with the transcript, else ""."""
    needed = alphabet.needed_frames(alphabet.encode(utterance.transcript))
    frames = audio.output_frames(audio.resampled_samples(utterance.samples, utterance.rate), stride)
    if frames >= needed:
        return ""
    return (
        f"{utterance.file} is too short for its transcript ({utterance.source}): CTC needs {needed} output frames, and "
        f"{utterance.seconds:.2f} s give {frames}; {ADVICE}"
    )


def _remarks(contents: Contents, usable: dict[str, Utterance]) -> Iterator[str]:
    """Yield warnings about a usable data set."""
    rates = Counter(utterance.rate for utterance in usable.values() if utterance.rate != SAMPLE_RATE)
    if rates:
        each = ", ".join(f"{count:,} at {rate:,} Hz" for rate, count in sorted(rates.items()))
        yield f"recordings that are resampled to {SAMPLE_RATE:,} Hz: {each}"
    if contents.others:
        yield f"passed over, being neither recordings nor transcripts: {some(sorted(contents.others))}"


def _digest(result: Good | str) -> str:
    return "unreadable" if isinstance(result, str) else result[2]
