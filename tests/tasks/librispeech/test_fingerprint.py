"""The fingerprint of speech depends on the data used, and the manifest of verified files is valid until a file changes."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tasks.data import verification
from tasks.librispeech import audio, dataset
from tests.tasks.librispeech.test_dataset import root, verify, write

__all__ = ["root"]  # a fixture


def test_the_fingerprint_changes_with_all_that_is_used(root: Path) -> None:
    seen = {verify(root).fingerprint}

    def changed() -> bool:
        fingerprint = verify(root).fingerprint
        new = fingerprint not in seen
        seen.add(fingerprint)
        return new

    assert not changed()
    write(root, "train-a/1-10-0000", None, seed=1)
    assert changed(), "other sound"
    transcripts = root / "dev-a/3/30/3-30.trans.txt"
    transcripts.write_text("3-30-0000 ONE\n")
    assert not changed(), "of dev, which nothing depends on"
    transcripts = root / "test-a/4/40/4-40.trans.txt"
    transcripts.write_text(transcripts.read_text().replace("4-40-0000 ", "4-40-0000 ONE "))
    assert changed(), "another transcript"
    (root / "dev-a").rename(root / "test-b")
    assert changed(), "another split"
    assert verify(root, 0.5).fingerprint not in seen
    transcripts = root / "test-b/3/30/3-30.trans.txt"
    transcripts.write_text("\n3-30-0000   one \n")
    assert not changed(), "the same transcript, written otherwise"


def test_a_smaller_subset_lies_within_a_larger_and_tests_on_all(root: Path) -> None:
    for index in range(17):
        write(root, f"train-b/2-20-{index + 1:04}", "ONE", 0.5)
    names = [{one.name for one in dataset.scan(root, part).train} for part in (0.07, 0.25, 0.5, 1.0)]
    assert [len(one) for one in names] == [2, 5, 10, 20]
    assert names[0] < names[1] < names[2] < names[3]
    assert len(dataset.scan(root, 0.07).test) == 2
    for part in (0, -0.5, 1.5):
        with pytest.raises(ValueError, match=f"subset={part}"):
            dataset.scan(root, part)


def test_the_manifest_serves_until_a_file_changes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    opened: list[str] = []
    header = audio.header
    monkeypatch.setattr(audio, "header", lambda path: (opened.append(path.name), header(path))[1])
    first = dataset.scan(root)
    assert len(opened) == 6
    assert dataset.scan(root) == first
    assert len(opened) == 6
    (manifest,) = (tmp_path / "cache" / "manifests").iterdir()
    write(root, "train-b/2-20-0000", None, 3.0)
    assert dataset.scan(root).train[2].samples == 48_000
    assert len(opened) == 12
    assert [path.name for path in manifest.parent.iterdir()] == [manifest.name]  # the old manifest was replaced
    for damaged in (
        "",
        "{}",
        manifest.read_text()[:-40],
        json.dumps({**json.loads(manifest.read_text()), "recordings": {}}),
    ):
        manifest.write_text(damaged)
        opened.clear()
        assert len(dataset.scan(root).train) == 3
        assert len(opened) == 6


def test_a_file_that_could_not_be_opened_is_tried_again(root: Path) -> None:
    link = root / "train-a/1/10/1-10-0002.flac"
    write(root, "train-a/1-10-0002", "ONE").rename(root.parent / "elsewhere")
    link.symlink_to(root.parent / "absent")
    (problem,) = dataset.scan(root).problems
    assert "1-10-0002.flac is not a readable FLAC file (it cannot be opened: No such file or directory)" in problem
    assert dataset.scan(root).problems == (problem,)
    (root.parent / "elsewhere").rename(root.parent / "absent")
    assert dataset.scan(root).problems == ()


def test_the_fingerprint_is_of_samples_and_rates_whichever_encoder_wrote_them(root: Path) -> None:
    before = verify(root).fingerprint
    path = root / "train-a/1/10/1-10-0000.flac"
    samples, rate = soundfile.read(path, dtype="int16")
    was = path.read_bytes()
    soundfile.write(path, samples, rate, compression_level=0.0)
    assert path.read_bytes() != was
    assert verify(root).fingerprint == before
    soundfile.write(path, samples, 2 * rate)
    other_rate = verify(root).fingerprint
    samples[500] += 1
    soundfile.write(path, samples, rate)
    assert len({before, other_rate, verify(root).fingerprint}) == 3
    # "16000 Hz, 16 bits, little-endian" and the bytes 01 00 FE FF
    assert audio.digest((np.array([1, -2], np.int16), 16_000)) == (
        "6665020d6782cbd454b37a58f67b66b7e44365041214b0136de30217dcec4ca5"
    )


def test_digests_of_bytes_that_an_earlier_rule_remembered_are_not_taken_for_those_of_samples(root: Path) -> None:
    names = [one.file for one in dataset.scan(root).train]
    of_bytes = verification.check(root, names, audio.samples_of, "FLAC file")
    of_samples = verification.check(root, names, audio.samples_of, "FLAC file", digest=audio.digest)
    again = verification.check(root, names, lambda data: pytest.fail("decoded again"), "FLAC file", digest=audio.digest)
    assert again == of_samples
    assert verification.check(root, names, lambda data: pytest.fail("decoded again"), "FLAC file") == of_bytes
    for name, one, other in zip(names, of_bytes, of_samples, strict=True):
        assert one[2] == hashlib.sha256((root / name).read_bytes()).hexdigest()
        assert other[2] == audio.digest(audio.samples_of((root / name).read_bytes())) != one[2]
