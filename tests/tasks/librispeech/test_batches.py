"""Batches of speech: the same after a resume and with sound in memory or on disk, similar lengths, each test utterance once."""

import gc
import os
import threading
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.librispeech import alphabet, audio, dataset, sampler
from tasks.librispeech import batches as data
from tasks.librispeech.utterances import Utterance

CPU = torch.device("cpu")
SHARED = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "speech"


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speech")


@pytest.fixture(scope="module")
def utterances(root: Path) -> list[Utterance]:
    """Eleven recordings of noise with 400 to 2,400 samples, not sorted by length, the last one at 8 kHz."""
    generator = np.random.Generator(np.random.PCG64(0))
    made = []
    for index, samples in enumerate((900, 400, 2400, 1600, 700, 2000, 500, 1200, 800, 1400, 600)):
        rate = 8_000 if index == 10 else 16_000
        name = f"1-1-{index:04}"
        soundfile.write(root / f"{name}.flac", generator.integers(-9000, 9000, samples, dtype=np.int16), rate)
        made.append(Utterance(name, f"{name}.flac", "train", "1", samples, rate, "one two"[: 1 + index % 7].strip()))
    return made


@pytest.fixture(scope="module")
def held(utterances: list[Utterance], root: Path) -> data.Waveforms:
    return data.Waveforms(utterances, root, quiet, workers=2)


def plan(held: data.Waveforms, size: int = 4) -> sampler.Order:
    return sampler.Order(held.lengths, size, seed=3)


def same(left: Sequence[data.Batch], right: Sequence[data.Batch]) -> bool:
    fields = ("waveforms", "samples", "targets", "target_lengths")
    return len(left) == len(right) and all(
        torch.equal(getattr(a, name), getattr(b, name)) for a, b in zip(left, right, strict=True) for name in fields
    )


def test_recordings_are_decoded_as_they_were_written(
    utterances: list[Utterance], held: data.Waveforms, root: Path
) -> None:
    assert held.in_memory
    assert held.names == [f"1-1-{index:04}" for index in range(11)]
    assert held.lengths.tolist() == [900, 400, 2400, 1600, 700, 2000, 500, 1200, 800, 1400, 1200]
    for index in range(10):
        written, rate = soundfile.read(root / utterances[index].file, dtype="int16")
        assert rate == 16_000
        np.testing.assert_array_equal(held[index], written)


def test_a_tone_is_the_same_tone_at_16_khz(tmp_path: Path) -> None:
    for rate in (8_000, 11_025, 22_050, 44_100, 48_000):

        def tone(samples: int, rate: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
            return 20_000 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)

        soundfile.write(tmp_path / "tone.flac", tone(rate + 7, rate).round().astype(np.int16), rate)
        loaded = audio.load(tmp_path / "tone.flac")
        assert loaded.dtype == np.int16
        assert len(loaded) == audio.resampled_samples(rate + 7, rate) == -(-(rate + 7) * 16_000 // rate)
        middle = slice(1000, -1000)  # the filter sees silence beyond the ends
        assert np.abs(loaded - tone(len(loaded), 16_000))[middle].max() < 100, rate


def test_resampling_clips_rather_than_wraps(tmp_path: Path) -> None:
    square = np.where(np.arange(8_000) // 40 % 2, 32_767, -32_768).astype(np.int16)
    soundfile.write(tmp_path / "square.flac", square, 8_000)
    loaded = audio.load(tmp_path / "square.flac")
    assert (loaded.min(), loaded.max()) == (-32_768, 32_767)  # it overshoots at the edges
    # Neighbours of one sign: the sample between them must have it too.
    between = np.sign(square[:-1]) == np.sign(square[1:])
    assert (np.sign(loaded[:-1:2]) == np.sign(square)).all()
    assert (np.sign(loaded[1:-1:2]) == np.sign(square[:-1]))[between].all()


def test_batches_hold_sound_padded_with_zeros_and_transcripts_end_to_end(
    utterances: list[Utterance], held: data.Waveforms
) -> None:
    plans = plan(held)
    for step, batch in enumerate(data.batches(held, map(plans.batch, range(4)), CPU)):
        indices = plans.batch(step)
        assert batch.waveforms.dtype == torch.float32
        assert batch.samples.dtype == batch.targets.dtype == batch.target_lengths.dtype == torch.int64
        assert batch.samples.tolist() == held.lengths[indices].tolist()
        assert batch.waveforms.shape == (4, max(batch.samples.tolist()))
        for row, length, index in zip(batch.waveforms, batch.samples.tolist(), indices, strict=True):
            assert torch.equal(row[:length] * 32_768, torch.from_numpy(held[index]).float())
            assert not row[length:].any()
        said = [alphabet.encode(utterances[index].transcript) for index in indices]
        assert [target.tolist() for target in batch.targets.split(batch.target_lengths.tolist())] == said


@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_read_ahead_is_what_is_held(
    utterances: list[Utterance], held: data.Waveforms, root: Path, workers: int
) -> None:
    size = 2 * int(held.lengths.sum())
    assert data.Waveforms(utterances, root, quiet, limit=size, workers=workers).in_memory
    read = data.Waveforms(utterances, root, lambda *_: pytest.fail("nothing is decoded yet"), size - 1, workers)
    assert not read.in_memory
    plans = plan(held)
    assert same(
        list(data.batches(read, map(plans.batch, range(9)), CPU)),
        list(data.batches(held, map(plans.batch, range(9)), CPU)),
    )
    scoring = sampler.longest_first(held.lengths, range(11), 3)
    assert same(list(data.batches(read, scoring, CPU)), list(data.batches(held, scoring, CPU)))


def test_a_step_has_the_same_batch_however_it_is_reached(held: data.Waveforms) -> None:
    whole = list(data.batches(held, map(plan(held).batch, range(7)), CPU))
    assert same(whole[3:6], list(data.batches(held, map(plan(held).batch, range(3, 6)), CPU)))
    assert same(whole[6:], list(data.batches(held, map(plan(held).batch, range(6, 7)), CPU)))
    other = sampler.Order(held.lengths, 4, seed=4)
    assert not same(whole, list(data.batches(held, map(other.batch, range(7)), CPU)))


def test_threads_end_when_reading_ahead_is_given_up(
    utterances: list[Utterance], root: Path, held: data.Waveforms
) -> None:
    before = threading.active_count()
    reading = data.batches(data.Waveforms(utterances, root, quiet, 0, 2), map(plan(held).batch, range(100)), CPU)
    next(reading)
    assert threading.active_count() > before
    del reading
    gc.collect()
    assert threading.active_count() == before


def test_the_global_generators_are_left_alone(held: data.Waveforms) -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    expected = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    list(data.batches(held, map(plan(held).batch, range(4)), CPU))
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert np.random.get_state()[1].tolist() == expected[1]  # noqa: NPY002


@pytest.mark.parametrize("limit", [0, data.LIMIT])
def test_recordings_that_changed_since_are_named(root: Path, tmp_path: Path, limit: int) -> None:
    path = tmp_path / "1-1-0000.flac"

    def read(samples: int) -> None:
        one = Utterance("1-1-0000", path.name, "train", "1", samples, 16_000, "one")
        waveforms = data.Waveforms([one], tmp_path, quiet, limit)
        list(data.batches(waveforms, [np.array([0])], CPU))

    with pytest.raises(ValueError, match=r"1-1-0000.flac cannot be opened \(No such file or directory\)"):
        read(400)
    soundfile.write(path, np.zeros(400, np.int16), 16_000)
    read(400)
    with pytest.raises(ValueError, match=r"1-1-0000.flac has changed since it was verified: another length"):
        read(401)
    soundfile.write(path, np.zeros((400, 2), np.int16), 16_000)
    with pytest.raises(ValueError, match=r"1-1-0000.flac is not a readable FLAC file \(it has 2 channels\)"):
        read(400)
    soundfile.write(path, np.zeros(400, np.int16), 44_101)
    with pytest.raises(
        ValueError, match=r"1-1-0000.flac has 44,101 Hz; expected 8,000 to 192,000 Hz, in multiples of 25"
    ):
        read(400)


def test_progress_is_told_as_recordings_are_decoded(utterances: list[Utterance], root: Path) -> None:
    told: list[tuple[str, int, int]] = []
    data.Waveforms(utterances, root, lambda *now: told.append(now))
    assert told[-1] == ("decoding recordings", 11, 11)
    with pytest.raises(ValueError, match="there are no utterances to decode"):
        data.Waveforms([], root, quiet)


def test_scoring_takes_every_utterance_once_from_the_longest_on(held: data.Waveforms) -> None:
    plan = sampler.longest_first(held.lengths, range(11), 4)
    batches = list(data.batches(held, plan, CPU))
    assert [len(batch.samples) for batch in batches] == [4, 4, 3]
    lengths = torch.cat([batch.samples for batch in batches]).tolist()
    assert lengths == sorted(held.lengths.tolist(), reverse=True)
    assert sorted(np.concatenate(plan)) == list(range(11))
    some = sampler.longest_first(held.lengths, [7, 1, 4], 2)
    assert sorted(np.concatenate(some)) == [1, 4, 7]


LENGTHS = np.random.Generator(np.random.PCG64(1)).integers(1_000, 200_000, 1003)


def test_the_first_epoch_goes_from_short_to_long_and_later_ones_do_not() -> None:
    plans = sampler.Order(LENGTHS, 16, seed=0)
    assert plans.steps_per_epoch == 62
    first = [LENGTHS[plans.batch(step)] for step in range(62)]
    assert (np.diff(np.concatenate(first)) >= 0).all()
    for epoch in (1, 2):
        longest = [LENGTHS[plans.batch(62 * epoch + step)].max() for step in range(62)]
        assert longest != sorted(longest)
    shuffled = sampler.Order(LENGTHS, 16, seed=0, sortagrad=False)
    assert not (np.diff(np.concatenate([LENGTHS[shuffled.batch(step)] for step in range(62)])) >= 0).all()
    assert [plans.batch(step).tolist() for step in (70, 150)] == [shuffled.batch(step).tolist() for step in (70, 150)]


def test_every_epoch_leaves_out_others_and_has_the_rest_once() -> None:
    plans = sampler.Order(LENGTHS, 16, seed=0)
    left_out = []
    for epoch in range(5):
        seen = plans.epoch(epoch).reshape(-1).tolist()
        assert len(seen) == len(set(seen)) == 992
        left_out.append(frozenset(range(1003)) - set(seen))
    assert {len(names) for names in left_out} == {11}
    assert len(set(left_out)) == 5
    assert all(left != right for left, right in pairwise(left_out))


def test_all_utterances_are_as_likely_to_be_left_out_long_or_short() -> None:
    lengths = np.arange(1, 8) * 1000
    plans = sampler.Order(lengths, 4, seed=0)  # 3 of 7 are left out
    seen = np.bincount(np.concatenate([plans.epoch(epoch).reshape(-1) for epoch in range(2000)]), minlength=7)
    expected = 2000 * 4 / 7
    assert (np.abs(seen - expected) < 5 * np.sqrt(2000 * 4 / 7 * 3 / 7)).all()


def padding(lengths: sampler.Indices, batches: Iterable[sampler.Indices]) -> float:
    """Return the share of padding in all samples of these batches."""
    used, total = zip(*((lengths[b].sum(), len(b) * lengths[b].max()) for b in batches), strict=True)
    return 1 - float(sum(used)) / float(sum(total))


def test_sorting_saves_padding_and_jitter_mixes_batches() -> None:
    def wasted(jitter: float) -> float:
        return padding(LENGTHS, sampler.Order(LENGTHS, 16, 0, jitter=jitter).epoch(1))

    assert padding(LENGTHS, np.arange(992).reshape(62, 16)) > 0.40
    assert wasted(0.1) < 0.05
    assert wasted(0) < 0.02
    fixed, mixed = (sampler.Order(LENGTHS[:992], 16, 0, jitter=jitter) for jitter in (0, 0.1))

    def companies(plans: sampler.Order, epoch: int) -> set[frozenset[int]]:
        return {frozenset(batch) for batch in plans.epoch(epoch).tolist()}

    assert len(companies(fixed, 1) & companies(fixed, 2)) > 55  # without jitter, nearly the same batches every epoch
    assert not companies(mixed, 1) & companies(mixed, 2)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**40), st.integers(0, 200))
def test_a_batch_is_a_function_of_seed_and_step(n: int, size: int, seed: int, step: int) -> None:
    lengths = np.arange(n) * 7 % 11 + 1
    if size > n:
        with pytest.raises(
            ValueError, match=f"batch_size={size}: expected 1 to {n}, the number of training utterances"
        ):
            sampler.Order(lengths, size, seed)
        return
    batch = sampler.Order(lengths, size, seed).batch(step)
    later = sampler.Order(lengths, size, seed)
    later.batch(step + 100)
    assert later.batch(step).tolist() == batch.tolist()
    assert len(set(batch.tolist())) == size


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size=0: expected 1 to 1003"):
        sampler.Order(LENGTHS, 0, 0)
    with pytest.raises(ValueError, match=r"jitter=-0\.1: expected"):
        sampler.Order(LENGTHS, 4, 0, jitter=-0.1)


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs speech under ../shared/data or $DSD_SHARED_DATA, which is not distributed"
)
def test_real_digits_are_batched_with_little_padding() -> None:
    found = dataset.scan(SHARED / "connected-digits")
    held = data.Waveforms(found.train, found.root, quiet, workers=1)
    assert len(held) == 1560
    assert abs(held.lengths.sum() / 16_000 - 3591) < 1
    assert padding(held.lengths, np.random.default_rng(0).permutation(1560)[:1536].reshape(48, 32)) > 0.5
    assert padding(held.lengths, sampler.Order(held.lengths, 32, 0).epoch(1)) < 0.07
    batch = next(data.batches(held, [sampler.Order(held.lengths, 32, 0).batch(48)], CPU))
    assert 0.01 < float(batch.waveforms.std()) < 0.3
    first = "".join(alphabet.SYMBOLS[i] for i in batch.targets[: int(batch.target_lengths[0])]).split()
    assert set(first) <= {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
    assert 1 <= len(first) <= 7
