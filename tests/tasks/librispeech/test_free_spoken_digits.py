"""The plan of noisy digits: no recording in two splits, all recordings used, all lengths equally frequent."""

from __future__ import annotations

from collections import Counter

from tasks.librispeech import free_spoken_digits

EVERY = free_spoken_digits.utterances()
SPLITS = {split: [one for one in EVERY if one.split == split] for split in free_spoken_digits.UTTERANCES}


def test_there_are_as_many_utterances_as_planned() -> None:
    assert {split: len(of) for split, of in SPLITS.items()} == {"train": 1560, "dev": 150, "test": 756}
    assert {one.speaker for one in EVERY} == {101, 102, 103, 104, 105, 106}
    assert len({one.name for one in EVERY}) == len(EVERY) == 2466


def test_no_recording_is_in_two_splits_and_the_authors_own_test_recordings_are_in_test_alone() -> None:
    used = {split: {name for one in of for name in one.recordings} for split, of in SPLITS.items()}
    assert {split: len(names) for split, names in used.items()} == {"train": 2400, "dev": 300, "test": 300}
    assert sorted(name for names in used.values() for name in names) == free_spoken_digits.recordings()
    assert len(set(free_spoken_digits.recordings())) == 3000
    own = {
        f"{digit}_{name}_{index}.wav"
        for digit in range(10)
        for name in free_spoken_digits.SPEAKERS
        for index in range(5)
    }
    assert used["test"] == own


def test_recordings_of_a_split_are_used_equally_often() -> None:
    uses = {split: Counter(name for one in of for name in one.recordings) for split, of in SPLITS.items()}
    spread = {split: Counter(of.values()) for split, of in uses.items()}
    assert spread == {
        "train": {2: 959, 3: 1441},
        "dev": {1: 3, 2: 290, 3: 7},
        "test": {10: 276, 11: 24},
    }


def test_an_utterance_is_of_one_speaker_and_one_to_seven_digits() -> None:
    for one in EVERY:
        assert {name.split("_")[1] for name in one.recordings} == {free_spoken_digits.SPEAKERS[one.speaker - 101]}
        assert len(one.pauses) == len(one.recordings) + 1
        assert all(400 <= pause <= 1600 for pause in one.pauses)
    lengths = Counter(len(one.recordings) for one in SPLITS["test"])
    assert lengths == dict.fromkeys(range(1, 8), 108)
    assert EVERY[1].recordings == ("8_george_29.wav", "9_george_48.wav", "7_george_36.wav", "9_george_17.wav")
    assert (EVERY[1].transcript, EVERY[1].folder) == ("EIGHT NINE SEVEN NINE", "train/101/1")


def test_noise_begins_anywhere_where_the_utterance_still_fits() -> None:
    starts = [one.noise_start(100, 110) for one in EVERY]
    assert set(starts) == set(range(11))
    assert {one.noise_start(100, 100) for one in EVERY} == {0}
