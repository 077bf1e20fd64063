"""The embedded speech: the same each time, whole or absent; test voices and sentences do not occur in training."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tasks.data.cache import MARK
from tasks.librispeech import alphabet, espeak, synthetic
from tasks.librispeech.synthetic import Utterance

espeakng_loader = pytest.importorskip("espeakng_loader", reason="needs espeakng-loader (pip install espeakng-loader)")

COUNTS = {"train": 720, "dev": 80, "test": 120}
SPEAKERS = {"train": 20, "dev": 4, "test": 6}
SMALL = {"train": 3, "dev": 1, "test": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic.ensure(tmp_path_factory.mktemp("cache"))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def transcripts(root: Path, split: str) -> dict[Path, str]:
    """The text of each FLAC file that a .trans.txt names."""
    found = {}
    for path in sorted((root / split).rglob("*.trans.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            name, text = line.split(" ", 1)
            found[path.parent / f"{name}.flac"] = text
    return found


def samples(path: Path) -> NDArray[np.float64]:
    return np.asarray(soundfile.read(path)[0])


def test_layout_and_counts(root: Path) -> None:
    assert {path.name for path in root.iterdir()} == {"GENERATED", "train", "dev", "test"}
    for split, count in COUNTS.items():
        said = transcripts(root, split)
        assert len(said) == count
        assert set((root / split).rglob("*.flac")) == set(said)
        assert len(list((root / split).iterdir())) == SPEAKERS[split]
        for path in said:
            speaker, chapter, number = path.stem.split("-")
            assert path.parent == root / split / speaker / chapter
            assert len(number) == 4
            assert (path.parent / f"{speaker}-{chapter}.trans.txt").is_file()
    first = (root / "train" / "1001" / "1" / "1001-1.trans.txt").read_bytes().splitlines()
    assert first[0] == b"1001-1-0000 " + synthetic.utterance("train", 0).text.upper().encode()
    assert len(first) == 36


def test_it_says_that_it_is_generated(root: Path) -> None:
    assert MARK == "GENERATED"
    assert "say nothing of DSD" in (root / "GENERATED").read_text(encoding="utf-8")


def test_every_recording_is_16_khz_mono_16_bit_flac(root: Path) -> None:
    kinds = set()
    for path in root.rglob("*.flac"):
        info = soundfile.info(path)
        kinds.add((info.format, info.subtype, info.samplerate, info.channels))
    assert kinds == {("FLAC", "PCM_16", 16000, 1)}


def test_recordings_are_as_long_as_what_is_said(root: Path) -> None:
    seconds_a_letter = []
    for split in COUNTS:
        for path, text in transcripts(root, split).items():
            seconds = soundfile.info(path).duration
            assert 0.5 < seconds < 2.3, path.name
            # CTC with one output every 20 ms can align it.
            assert alphabet.needed_frames(alphabet.encode(alphabet.normalise(text))) < seconds / 0.02
            seconds_a_letter.append((seconds - 0.16) / len(text))
    assert min(seconds_a_letter) > 0.03
    assert max(seconds_a_letter) < 0.13


def test_recordings_are_speech_between_quiet_with_a_little_noise(root: Path) -> None:
    for path in root.rglob("*.flac"):
        sound = samples(path)
        quiet = np.r_[sound[:1200], sound[-1200:]]
        assert 0.0008 < quiet.std() < 0.0012, path.name
        assert sound[1200:-1200].std() > 0.015, path.name
        assert 0.1 < abs(sound).max() < 0.95, path.name
        assert (sound[1:] == sound[:-1]).mean() < 0.1, "there is no digital silence"


def test_speech_starts_and_ends_where_the_quiet_does(root: Path) -> None:
    for path in (root / "test").rglob("*.flac"):
        loud = np.flatnonzero(abs(samples(path)) > 0.006) / 16000
        assert 0.07 < loud[0] < 0.25, path.name
        assert soundfile.info(path).duration - loud[-1] < 0.25, path.name


def test_no_voice_is_in_two_splits(root: Path) -> None:
    voices = {
        split: {synthetic.utterance(split, index).voice for index in range(count)} for split, count in COUNTS.items()
    }
    assert {split: len(names) for split, names in voices.items()} == SPEAKERS
    variants = {split: {voice.split("+")[1] for voice in names} for split, names in voices.items()}
    speakers = {split: {path.name for path in (root / split).iterdir()} for split in COUNTS}
    for a, b in itertools.combinations(COUNTS, 2):
        assert not variants[a] & variants[b]
        assert not speakers[a] & speakers[b]
    for names in voices.values():
        assert {voice.split("+")[0] for voice in names} == {"gmw/en-US", "gmw/en"}


def test_no_sentence_is_in_two_splits(root: Path) -> None:
    said = {split: set(transcripts(root, split).values()) for split in COUNTS}
    assert [said[a] & said[b] for a, b in itertools.combinations(COUNTS, 2)] == [set(), set(), set()]
    assert len(said["train"]) > 300
    assert len(said["test"]) > 60
    # 7 commands with "it", a thing or a coloured thing, of at most 5 words.
    kinds = {split: {words: len(each) for words, each in dealt.items()} for split, dealt in synthetic.SENTENCES.items()}
    assert {words: sum(dealt[words] for dealt in kinds.values()) for words in (2, 3, 4, 5)} == {
        2: 7,  # open it
        3: 7 * 6 + 7 * 2 + 7 * 3,  # open the box, please open it, open it now
        4: 7 * 30 + 2 * 7 * 6 + 7 * 6 * 3 + 2 * 7 * 3,
        5: 2 * 7 * 30 + 7 * 30 * 3 + 2 * 7 * 6 * 3,
    }
    assert kinds["test"] == {2: 1, 3: 12, 4: 69, 5: 195}


def test_words_are_few_spellable_and_all_heard_in_training(root: Path) -> None:
    said = {
        split: Counter(" ".join(alphabet.normalise(text) for text in transcripts(root, split).values()).split())
        for split in COUNTS
    }
    assert len(said["train"]) == 25
    assert min(said["train"].values()) > 30
    assert set(said["test"]) <= set(said["train"])
    assert set(said["dev"]) <= set(said["train"])
    assert len(said["test"]) > 23
    for word in said["train"]:
        assert alphabet.BLANK not in alphabet.encode(word)
    lengths = Counter(len(text.split()) for text in transcripts(root, "train").values())
    assert set(lengths) == {2, 3, 4, 5}
    assert min(lengths.values()) > 40


def test_utterances_are_pinned() -> None:
    """A change of these needs another VERSION; otherwise old caches would be taken for the new set."""
    assert synthetic.VERSION == 1
    assert synthetic.utterance("test", 5) == Utterance(3006, 0, "gmw/en+marcelo", 163, 49, "don't paint it")
    assert synthetic.utterance("test", 6) == Utterance(3001, 1, "gmw/en-US+m3", 163, 49, "take the white window")
    with pytest.raises(ValueError, match="split='val'"):
        synthetic.utterance("val", 0)


def test_a_recording_at_another_rate_keeps_its_pitch_and_length() -> None:
    tone = np.rint(16384 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)).astype(np.int16)
    made = synthetic.recording(tone, "tone") / 32768
    assert made.shape == (16000 + 2 * 1280,)
    inner = made[1280 + 1000 : -1280 - 1000]
    expected = 0.7 * 0.5 * np.sin(2 * np.pi * 440 * (np.arange(len(inner)) + 1000) / 16000)
    assert 0.0008 < (inner - expected).std() < 0.0012, "the noise, and no more"
    assert np.array_equal(made, synthetic.recording(tone, "tone") / 32768)
    assert not np.array_equal(made, synthetic.recording(tone, "other") / 32768)


def test_it_is_the_same_each_time_and_more_utterances_only_add(root: Path, tmp_path: Path) -> None:
    synthetic.generate(tmp_path / "again", **SMALL)
    synthetic.generate(tmp_path / "and again", **SMALL)
    few = contents(tmp_path / "again")
    assert contents(tmp_path / "and again") == few
    assert sum(name.endswith(".flac") for name in few) == 6
    synthetic.generate(tmp_path / "more", train=41, dev=0, test=14)  # speakers say three utterances, not one
    more = contents(tmp_path / "more")
    everything = contents(root)
    for name in few:
        if name.endswith(".flac"):
            assert everything[name] == few[name], name
            assert more.get(name, few[name]) == few[name], name
    flac = [name for name in more if name.endswith(".flac")]
    assert len(flac) == 55
    assert all(everything[name] == more[name] for name in flac)


def test_the_whole_set_is_the_same_each_time(root: Path, tmp_path: Path) -> None:
    synthetic.generate(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(root)


def spoken(*utterances: Utterance) -> list[NDArray[np.int16]]:
    return synthetic._speak(list(utterances), espeakng_loader.get_library_path(), espeakng_loader.get_data_path())


def test_voice_rate_and_pitch_are_heard() -> None:
    plain = Utterance(1, 0, "gmw/en-US+m1", 170, 50, "open the window")
    slow, high, other = plain._replace(rate=120), plain._replace(pitch=90), plain._replace(voice="gmw/en+f2")
    sounds = {said: spoken(said)[0] for said in (plain, slow, high, other)}
    assert len(sounds[slow]) > 1.2 * len(sounds[plain])
    assert abs(len(sounds[high]) - len(sounds[plain])) < 0.1 * len(sounds[plain])

    def period(sound: NDArray[np.int16]) -> int:
        """Return the lag, from 55 to 399 samples, at which the autocorrelation is largest."""
        middle = sound[len(sound) // 4 : -len(sound) // 4].astype(float)
        like = np.fft.irfft(abs(np.fft.rfft(middle, 2 * len(middle))) ** 2)
        return 55 + int(like[55:400].argmax())

    assert period(sounds[high]) < 0.8 * period(sounds[plain])
    assert period(sounds[other]) < 0.8 * period(sounds[plain])
    assert len(spoken(plain, high)) == 2
    assert np.array_equal(spoken(plain, high)[0], sounds[plain])


def test_breath_does_not_depend_on_the_time_of_day() -> None:
    """espeak-ng seeds a voice's noise with the seconds of the clock."""
    said = Utterance(1, 0, "gmw/en+f5", 170, 50, "please wash the white cup")
    first = spoken(said)[0]
    time.sleep(1.1)
    assert np.array_equal(spoken(said)[0], first)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    synthetic.generate(tmp_path / "set", **SMALL)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc/self/maps")
def test_speaking_leaves_no_library_in_this_process(tmp_path: Path) -> None:
    synthetic.generate(tmp_path / "set", **SMALL)
    assert "libespeak-ng" not in Path("/proc/self/maps").read_text()


def test_what_espeak_cannot_do_is_said() -> None:
    said = Utterance(1, 0, "gmw/en-US+m1", 170, 50, "open it")
    with pytest.raises(RuntimeError, match="espeak-ng has no voice 'nobody'"):
        spoken(said._replace(voice="nobody"))
    with pytest.raises(RuntimeError, match="espeak-ng cannot use its data at /nowhere"):
        synthetic._speak([said], espeakng_loader.get_library_path(), "/nowhere")
    with pytest.raises(RuntimeError, match=r"\(status 1\): the library cannot be loaded .*nothing\.so"):
        synthetic._speak([said], "/nowhere/nothing.so", espeakng_loader.get_data_path())


def test_the_child_needs_the_standard_library_only() -> None:
    order = {
        "library": espeakng_loader.get_library_path(),
        "data": espeakng_loader.get_data_path(),
        "utterances": [{"voice": "gmw/en", "rate": 170, "pitch": 50, "text": "yes"}],
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", espeak.__file__], input=json.dumps(order).encode(), capture_output=True, check=True
    )
    assert done.stderr == b""
    assert 2 * int.from_bytes(done.stdout[:4], sys.byteorder) + 4 == len(done.stdout)
    assert 0.2 * espeak.RATE < len(done.stdout) / 2 < espeak.RATE


def test_without_espeak_it_says_what_to_install(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ValueError, match=r"espeakng_loader.* pip install espeakng-loader"):
        synthetic.ensure(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert synthetic.ensure(root.parent) == root, "what is there is used"


def test_it_is_made_once_and_leaves_nothing_else(tmp_path: Path) -> None:
    first = synthetic.ensure(tmp_path, **SMALL)
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    assert synthetic.ensure(tmp_path, **SMALL) == first
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    assert list(tmp_path.iterdir()) == [first]


def test_sets_of_other_sizes_have_other_places(tmp_path: Path) -> None:
    sizes = [(2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 0, 1)]
    roots = [synthetic.ensure(tmp_path, *size) for size in sizes]
    assert len(set(roots)) == len(sizes)
    for root, size in zip(roots, sizes, strict=True):
        assert tuple(len(transcripts(root, split)) for split in COUNTS) == size


def test_the_default_cache_is_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "new"))
    assert synthetic.ensure(**SMALL).parent == tmp_path / "new"
