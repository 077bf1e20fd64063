"""Speech in LibriSpeech's layout: every problem is named, and the fingerprint depends on the data used."""

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tasks.librispeech import audio, dataset
from tasks.task import DataReport

ADVICE = "list it in quarantine.txt to leave it out, which changes the data fingerprint"


def quiet(what: str, done: int, total: int) -> None:
    pass


def write(
    root: Path, name: str, transcript: str | None, seconds: float = 1.0, rate: int = 16_000, seed: int = 0
) -> Path:
    """Write the recording FOLDER/SPEAKER-CHAPTER-NUMBER, which is noise, and add its line to the transcripts."""
    folder, _, base = name.partition("/")
    speaker, chapter, _ = base.split("-")
    where = root / folder / speaker / chapter
    where.mkdir(parents=True, exist_ok=True)
    generator = np.random.Generator(np.random.PCG64([seed, *name.encode()]))
    path = where / f"{base}.flac"
    soundfile.write(path, generator.integers(-3000, 3000, int(seconds * rate), dtype=np.int16), rate)
    if transcript is not None:
        with (where / f"{speaker}-{chapter}.trans.txt").open("a", encoding="utf-8") as lines:
            lines.write(f"{base} {transcript}\n")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three training utterances of two speakers, one development and two test utterances."""
    root = tmp_path / "LibriSpeech"
    write(root, "train-a/1-10-0000", "HE  HOPED")
    write(root, "train-a/1-10-0001", "IT'S STEW", 1.5)
    write(root, "train-b/2-20-0000", "SEVEN", 2.0)
    write(root, "dev-a/3-30-0000", "EIGHT")
    write(root, "test-a/4-40-0000", "NINE")
    write(root, "test-a/5-50-0000", "ZERO")
    return root


def verify(root: Path, subset: float = 1.0, **options: int) -> DataReport:
    return dataset.verify(dataset.scan(root, subset), quiet, **options)  # type: ignore[arg-type]


def test_utterances_are_found_with_what_is_said(root: Path) -> None:
    found = dataset.scan(root)
    assert found.problems == found.warnings == ()
    assert [utterance.name for utterance in found.train] == ["1-10-0000", "1-10-0001", "2-20-0000"]
    one = found.train[1]
    assert (one.file, one.subset, one.speaker) == ("train-a/1/10/1-10-0001.flac", "train-a", "1")
    assert (one.samples, one.rate, one.seconds) == (24_000, 16_000, 1.5)
    assert (one.transcript, one.source) == ("it's stew", "train-a/1/10/1-10.trans.txt, line 2")
    assert found.train[0].transcript == "he hoped"
    report = verify(root)
    assert report.counts == {"train": 3, "dev": 1, "test": 2, "train seconds": 4, "speakers": 5}
    assert report.problems == report.warnings == ()
    assert (report.name, report.subset, report.synthetic, len(report.fingerprint)) == ("LibriSpeech", 1.0, False, 16)


def test_the_folder_that_holds_librispeech_will_do_and_others_are_pointed_to(root: Path, tmp_path: Path) -> None:
    assert dataset.scan(root.parent) == dataset.scan(root)
    with pytest.raises(ValueError, match=f"test-a has no folders .*; you may have meant {root.resolve()}, of which"):
        dataset.scan(root / "test-a")
    far = root.parent.rename(tmp_path.parent / f"{tmp_path.name}-far")
    with pytest.raises(
        ValueError, match="is not a folder; expected one with folders whose names begin with train or test"
    ):
        dataset.scan(tmp_path)
    other = far / "LibriSpeech"
    other.rename(far / "other")
    with pytest.raises(
        ValueError, match=f"no folders whose names begin with train or test; {far.resolve()}/other would fit"
    ):
        dataset.scan(far)
    empty = far / "archives"
    empty.mkdir()
    (empty / "train-clean-100.tar.gz").touch()
    with pytest.raises(ValueError, match=r"it holds 1 \(train-clean-100.tar.gz\): unpack first"):
        dataset.scan(empty)


def test_a_set_without_training_folders_says_so_unless_others_are_named(root: Path) -> None:
    for name in ("train-a", "train-b"):
        (root / name).rename(root / f"was-{name}")
    assert dataset.scan(root).problems == ("there is nothing to train on: no folder's name begins with train",)
    assert dataset.scan(root, splits=("test",)).problems == ()
    found = dataset.scan(root, train=("test-a",))
    assert found.problems == ()
    assert found.train == found.test != ()
    report = dataset.verify(found, quiet)
    assert report.counts == {"train": 2, "dev": 1, "test": 2, "train seconds": 2, "speakers": 3}
    assert report.warnings == (
        "speakers of test utterances who are also in the training set: 2 (4, 5)",
        "recordings of dev or test that are also trained on, sample for sample: "
        "2 (test-a/4/40/4-40-0000.flac, test-a/5/50/5-50-0000.flac)",
    )
    assert len(dataset.scan(root, train=("was-train-a", "was-train-b")).train) == 3
    for absent in ("train-z", "test-a/4", ".."):
        with pytest.raises(ValueError, match=f"there is no folder '{absent}' in"):
            dataset.scan(root, train=(absent,))


def test_recordings_and_transcripts_without_each_other_are_named(root: Path) -> None:
    write(root, "train-a/1-10-0002", None)
    (root / "test-a/4/40/4-40-0000.flac").unlink()
    (root / "test-a/5/50/5-50.trans.txt").unlink()
    assert sorted(verify(root).problems) == [
        "test-a/4/40/4-40.trans.txt, line 1: there is no recording test-a/4/40/4-40-0000.flac; " + ADVICE,
        "test-a/5/50/5-50.trans.txt is missing: recordings without transcripts are 1 (test-a/5/50/5-50-0000.flac)",
        "there is nothing to test on: no utterance of test-a can be used",
        "train-a/1/10/1-10-0002.flac has no transcript in train-a/1/10/1-10.trans.txt; " + ADVICE,
    ]


def test_transcripts_that_cannot_be_spelt_are_named_with_file_and_line(root: Path) -> None:
    write(root, "train-a/1-10-0002", "  ")
    write(root, "train-a/1-10-0003", "CAFÉ AU LAIT")
    write(root, "train-a/1-10-0004", "ROUTE 66")
    with (root / "train-b/2/20/2-20.trans.txt").open("a") as lines:
        lines.write("\n2-20-0000 AGAIN\n")
    (root / "test-a/4/40/4-40.trans.txt").write_bytes(b"4-40-0000 CAF\xc9\n")
    out = "; list train-a/1/10/1-10-000{}.flac in quarantine.txt to leave it out"
    assert sorted(dataset.scan(root).problems) == [
        "test-a/4/40/4-40.trans.txt is not UTF-8 text",
        "train-a/1/10/1-10.trans.txt, line 3: the transcript is empty" + out.format(2),
        "train-a/1/10/1-10.trans.txt, line 4: 'é' is not in the alphabet (a to z, space, apostrophe)" + out.format(3),
        "train-a/1/10/1-10.trans.txt, line 5: '6' is not in the alphabet (a to z, space, apostrophe)" + out.format(4),
        "train-b/2/20/2-20.trans.txt, line 3: line 1 has a transcript of 2-20-0000 already",
    ]


def test_damaged_recordings_are_named(root: Path) -> None:
    empty, silent, cut, flipped, wave, stereo, slow, odd = (
        write(root, f"train-a/1-10-000{index}", "ONE", 2.0) for index in range(2, 10)
    )
    empty.write_bytes(b"")
    soundfile.write(silent, np.zeros(0, np.int16), 16_000, format="WAV")
    cut.write_bytes(cut.read_bytes()[:20_000])
    damaged = bytearray(flipped.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    flipped.write_bytes(damaged)
    soundfile.write(wave, np.zeros(16_000, np.int16), 16_000, format="WAV")
    soundfile.write(stereo, np.zeros((16_000, 2), np.int16), 16_000)
    soundfile.write(slow, np.zeros(7_975, np.int16), 7_975)
    soundfile.write(odd, np.zeros(44_101, np.int16), 44_101)
    file = "train-a/1/10/1-10-000{}.flac "
    rates = "8,000 to 192,000 Hz, in multiples of 25; " + ADVICE
    assert sorted(verify(root).problems) == [
        file.format(2) + "is not a readable FLAC file (it is empty: 0 bytes); " + ADVICE,
        file.format(3) + "is not a readable FLAC file (it is a WAV file); " + ADVICE,
        file.format(4) + "is not a readable FLAC file "
        "(flac decoder lost sync: damaged, or cut short at 20,000 bytes); " + ADVICE,
        file.format(5) + "is not a readable FLAC file "
        f"(unknown error in flac decoder: damaged, or cut short at {len(damaged):,} bytes); " + ADVICE,
        file.format(6) + "is not a readable FLAC file (it is a WAV file); " + ADVICE,
        file.format(7) + "has 2 channels; expected one: mix it down, or " + ADVICE,
        file.format(8) + "has 7,975 samples a second; expected " + rates,
        file.format(9) + "has 44,101 samples a second; expected " + rates,
    ]


@pytest.mark.parametrize(("transcript", "fits"), [("ABCDEFGHIJ", True), ("ABCDEFGHIJK", False), ("ABCDEFGHII", False)])
def test_a_transcript_that_ctc_cannot_align_is_a_problem(root: Path, transcript: str, fits: bool) -> None:
    # 3,440 samples: 20 frames of the spectrogram, so 10 of the output.
    write(root, "test-a/5-50-0001", transcript, 3440 / 16_000)
    problems = verify(root).problems
    expected = (
        "test-a/5/50/5-50-0001.flac is too short for its transcript (test-a/5/50/5-50.trans.txt, line 2): CTC needs 11 "
        f"output frames, and 0.21 s give 10; {ADVICE}"
    )
    assert problems == (() if fits else (expected,))
    assert verify(root, stride=1).problems == ()


def test_what_may_stay_is_a_warning(root: Path) -> None:
    write(root, "train-a/4-40-0009", "NINE", rate=8_000)
    write(root, "test-a/5-50-0001", "ONE", rate=44_100)
    twin = (root / "train-b/2/20/2-20-0000.flac").read_bytes()
    (root / "dev-a/3/30/3-30-0000.flac").write_bytes(twin)
    (root / "dev-a/3/30/notes.txt").touch()
    (root / "dev-a").rename(root / "dev-clean")
    report = verify(root)
    assert report.problems == ()
    assert report.warnings == (
        "recordings that are resampled to 16,000 Hz: 1 at 8,000 Hz, 1 at 44,100 Hz",
        "passed over, being neither recordings nor transcripts: 1 (dev-clean/3/30/notes.txt)",
        "speakers of test utterances who are also in the training set: 1 (4)",
        "recordings of dev or test that are also trained on, sample for sample: "
        "1 (dev-clean/3/30/3-30-0000.flac = train-b/2/20/2-20-0000.flac)",
        "recordings with more than one transcript, sample for sample: "
        "1 (dev-clean/3/30/3-30-0000.flac = train-b/2/20/2-20-0000.flac)",
        "counts are not those of the published LibriSpeech: dev-clean 1 (expected 2,703)",
    )


def test_counts_are_compared_folder_by_folder_whatever_is_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "train-a").rename(root / "train-clean-100")
    (root / "test-a").rename(root / "test-other")
    (root / "train-other-500").mkdir()
    write(root, "train-clean-100/1-10-0002", None)
    (root / "quarantine.txt").write_text("train-clean-100/1/10/1-10-0002.flac\n")
    for subset in (1.0, 0.5):
        report = verify(root, subset)
        assert report.problems == ()
        assert report.warnings == (
            "left out by quarantine.txt: 1 (train-clean-100/1/10/1-10-0002.flac)",
            "counts are not those of the published LibriSpeech: train-clean-100 3 (expected 28,539), "
            "train-other-500 0 (expected 148,688), test-other 2 (expected 2,939)",
        )
        assert report.published == ""
    assert list(dataset.PUBLISHED.values()) == [28_539, 104_014, 148_688, 2_703, 2_864, 2_620, 2_939]
    monkeypatch.setattr(dataset, "PUBLISHED", {"train-clean-100": 3, "train-clean-360": 9, "test-other": 2})
    report = verify(root)
    assert report.published == "counts are those of the published LibriSpeech: train-clean-100 3, test-other 2"
    assert len(report.warnings) == 1


def test_recordings_that_are_there_twice_are_warned_of(root: Path) -> None:
    twin = (root / "dev-a/3/30/3-30-0000.flac").read_bytes()
    (root / "test-a/5/50/5-50-0000.flac").write_bytes(twin)
    (root / "train-a/1/10/1-10-0000.flac").write_bytes((root / "train-b/2/20/2-20-0000.flac").read_bytes())
    assert verify(root).warnings == (
        "recordings of dev or test that are there more than once, sample for sample: "
        "1 (test-a/5/50/5-50-0000.flac = dev-a/3/30/3-30-0000.flac)",
        "training recordings that are there more than once, sample for sample: "
        "1 (train-b/2/20/2-20-0000.flac = train-a/1/10/1-10-0000.flac)",
        "recordings with more than one transcript, sample for sample: "
        "2 (train-b/2/20/2-20-0000.flac = train-a/1/10/1-10-0000.flac, test-a/5/50/5-50-0000.flac = dev-a/3/30/3-30-0000.flac)",
    )


def test_recordings_are_decoded_in_parallel_with_progress(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=20)  # raises BrokenBarrierError unless two threads decode at the same time
    samples_of = audio.samples_of
    monkeypatch.setattr(audio, "samples_of", lambda data: (both.wait(), samples_of(data))[1])
    seen: list[tuple[str, int, int]] = []
    report = dataset.verify(dataset.scan(root), lambda *now: seen.append(now), workers=2)
    assert report.problems == ()
    assert seen == [("verifying recordings", done, 6) for done in range(1, 7)]


def test_names_that_are_there_twice_and_recordings_out_of_place_are_problems(root: Path) -> None:
    write(root, "train-b/1-10-0000", "ONE")
    stray = write(root, "train-b/2-20-0001", None)
    stray.rename(root / "train-b/2/stray.flac")
    assert dataset.scan(root).problems == (
        "recordings outside FOLDER/SPEAKER/CHAPTER/, move them there: 1 (train-b/2/stray.flac)",
        "utterance 1-10-0000 is there more than once: 2 (train-a/1/10/1-10-0000.flac, train-b/1/10/1-10-0000.flac)",
    )


@pytest.mark.promise(7)
def test_quarantined_recordings_are_left_out_with_their_transcripts(root: Path) -> None:
    write(root, "train-a/1-10-0002", "66").write_bytes(b"fLaC")
    write(root, "train-a/1-10-0003", "ONE").unlink()
    assert len(dataset.scan(root).problems) == 3
    before = verify(root).fingerprint
    (root / "quarantine.txt").write_text(
        "# damaged\ntrain-a/1/10/1-10-0002.flac # no sound\ntrain-a/1/10/1-10-0003.flac\ntest-a/5/50/5-50-0000.flac\n"
    )
    found = dataset.scan(root)
    assert found.problems == ()
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("left out by quarantine.txt: 3 (test-a/5/50/5-50-0000.flac, ")
    assert (len(found.train), [one.name for one in found.test]) == (3, ["4-40-0000"])
    assert verify(root).fingerprint != before
    (root / "quarantine.txt").write_text("train-a/1/10/typo.flac\ntrain-a/1/10/1-10-0002.flac\n")
    assert "quarantine.txt, line 1: there is no train-a/1/10/typo.flac" in dataset.scan(root).problems
    # Training folders were not scanned, so nothing is missing.
    assert dataset.scan(root, splits=("test",)).problems == ()
