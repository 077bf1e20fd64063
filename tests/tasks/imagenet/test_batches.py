"""Batches: the same after a resume, every test picture once, and nothing drawn from the global generators."""

import dataclasses
import multiprocessing
import os
import pickle
import random
import signal
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.data.images import decode
from tasks.imagenet import batches as data
from tasks.imagenet import dataset as folder
from tasks.imagenet.settings import Augmentation
from tasks.imagenet.transforms import Colour, augment, central_view, finish

CPU = torch.device("cpu")
AUGMENTATION = Augmentation(crop=12, test_resize=14, test_crop=12, jitter=0.4, lighting=0.1)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> folder.Folder:
    """Three classes of 11 training and 3 test pictures, of different sizes."""
    root = tmp_path_factory.mktemp("set")
    generator = np.random.Generator(np.random.PCG64(0))
    for split, count in (("train", 11), ("val", 3)):
        for name in ("n01", "n02", "n03"):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (14 + index, 24 - index, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{name}_{index}.JPEG")
    return folder.scan(root)


@pytest.fixture(scope="module")
def pictures(found: folder.Folder) -> data.Pictures:
    return data.Pictures(found, "train", workers=2)


def train(pictures: data.Pictures, first: int, last: int, workers: int | None = 0, seed: int = 5) -> list[data.Batch]:
    return list(data.train_batches(pictures, AUGMENTATION, seed, 8, first, last, workers, CPU))


def same(left: list[data.Batch], right: list[data.Batch]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a, b) for pair in zip(left, right, strict=True) for a, b in zip(*pair, strict=True)
    )


def test_pictures_are_decoded_in_order(found: folder.Folder, pictures: data.Pictures) -> None:
    assert pictures.in_memory
    assert len(pictures) == 33
    on_demand = data.Pictures(found, "train", cache=False)
    assert not on_demand.in_memory
    for index in (0, 1, 20, 32):
        expected = decode(found.root / pictures.names[index])
        assert np.array_equal(pictures.read(index), expected)
        assert np.array_equal(on_demand.read(index), expected)


def test_what_does_not_fit_is_decoded_on_demand(found: folder.Folder) -> None:
    exact = sum(pictures_bytes(found, name) for name in found.train)
    assert data.estimated_bytes(found.root, found.train) == exact
    assert 2**28 < data.memory_bytes() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    part = exact / data.memory_bytes()
    assert data.Pictures(found, "train", memory_part=1.01 * part).in_memory
    assert not data.Pictures(found, "train", memory_part=0.99 * part).in_memory


def pictures_bytes(found: folder.Folder, name: str) -> int:
    return decode(found.root / name).nbytes


def test_the_estimate_samples_large_sets(found: folder.Folder) -> None:
    many = found.train * 40
    assert data.estimated_bytes(found.root, many) == pytest.approx(
        40 * data.estimated_bytes(found.root, found.train), rel=0.05
    )


def test_progress_of_decoding(found: folder.Folder) -> None:
    seen: list[tuple[int, int]] = []
    data.Pictures(found, "val", workers=2, progress=lambda what, done, total: seen.append((done, total)))
    assert seen == [(done, 9) for done in range(1, 10)]


def test_an_empty_split_and_a_bad_file_are_named(found: folder.Folder, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures in val/"):
        data.Pictures(folder.Folder(tmp_path, ("a",), ("train/a/x.png",), ()), "val")
    (tmp_path / "train" / "a").mkdir(parents=True)
    (tmp_path / "train" / "a" / "x.png").write_bytes(b"\x89PNG")
    bad = folder.Folder(tmp_path, ("a",), ("train/a/x.png",), ())
    for cache in (True, None):
        with pytest.raises(ValueError, match=r"train/a/x\.png is not a readable image"):
            data.Pictures(bad, "train", cache=cache)


def test_a_worker_is_not_sent_the_pictures(pictures: data.Pictures) -> None:
    copy = pickle.loads(pickle.dumps(pictures))
    assert len(pickle.dumps(pictures)) < 20_000
    assert copy.in_memory
    assert np.array_equal(copy.read(7), pictures.read(7))


@given(st.integers(0, 2**62), st.integers(0, 1000), st.integers(1, 500))
@settings(max_examples=40, deadline=None)
def test_order_is_a_permutation(seed: int, epoch: int, n: int) -> None:
    order = data.order(seed, epoch, n)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(n))
    assert np.array_equal(order, data.order.__wrapped__(seed, epoch, n))


def test_order_is_pinned_and_differs_by_epoch_and_seed() -> None:
    assert data.order(0, 0, 8).tolist() == [2, 1, 5, 7, 3, 0, 6, 4]
    orders = [tuple(data.order(seed, epoch, 50)) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len(set(orders)) == 6


def test_a_batch_is_the_augmented_samples_that_its_ids_name(pictures: data.Pictures) -> None:
    for step, (x, y) in enumerate(train(pictures, 0, 6)):
        epoch, position = divmod(step, 4)  # 33 // 8 steps per epoch
        chosen = data.order(5, epoch, 33)[8 * position : 8 * position + 8]
        assert data.batch_ids(pictures, 5, 8, step) == [pictures.names[i] for i in chosen]
        assert y.tolist() == [pictures.labels[i] for i in chosen]
        samples = [augment([pictures.read(i)], AUGMENTATION, 5, [(epoch, int(i))]) for i in chosen]
        views = torch.from_numpy(np.concatenate([view for view, _ in samples])).permute(0, 3, 1, 2)
        colour = Colour(*(torch.cat(parts) for parts in zip(*(colour for _, colour in samples), strict=True)))
        assert torch.equal(x, finish(views, colour, AUGMENTATION))
        assert x.shape == (8, 3, 12, 12)
        assert x.dtype == torch.float32
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert y.dtype == torch.int64


def test_an_epoch_holds_no_sample_twice_and_leaves_the_rest_out(pictures: data.Pictures) -> None:
    for epoch in range(2):
        ids = [name for step in range(4 * epoch, 4 * epoch + 4) for name in data.batch_ids(pictures, 5, 8, step)]
        assert len(set(ids)) == len(ids) == 32


@given(st.lists(st.integers(0, 11), max_size=3).map(sorted))
@settings(max_examples=10, deadline=None)
def test_steps_are_the_same_however_they_are_reached(pictures: data.Pictures, cuts: list[int]) -> None:
    whole = train(pictures, 0, 11)
    parts = [batch for first, last in pairwise([0, *cuts, 11]) for batch in train(pictures, first, last)]
    assert same(whole, parts)
    assert not same(whole, train(pictures, 0, 11, seed=6))


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on a machine of one core
@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.promise(1)
def test_workers_change_nothing(found: folder.Folder, cache: bool) -> None:
    pictures = data.Pictures(found, "train", cache=cache)
    assert same(train(pictures, 2, 6, workers=0), train(pictures, 2, 6, workers=2 if cache else 1))


@pytest.mark.parametrize("resize", ["pillow", "torch"])
def test_pictures_held_in_memory_and_read_at_every_turn_make_the_same_batches(
    found: folder.Folder, resize: Literal["pillow", "torch"]
) -> None:
    chosen = dataclasses.replace(AUGMENTATION, resize=resize)
    held, read = (
        list(data.train_batches(data.Pictures(found, "train", cache=cache), chosen, 5, 8, 0, 8, 0, CPU))
        for cache in (True, False)
    )
    assert same(held, read)
    other: Literal["pillow", "torch"] = "torch" if resize == "pillow" else "pillow"
    pictures = data.Pictures(found, "train")
    assert not same(
        held, list(data.train_batches(pictures, dataclasses.replace(chosen, resize=other), 5, 8, 0, 8, 0, CPU))
    )


def test_no_steps_and_too_few_pictures(pictures: data.Pictures) -> None:
    assert train(pictures, 3, 3) == []
    assert data.steps_per_epoch(33, 33) == 1
    with pytest.raises(ValueError, match="batch_size=34 is more than the 33 training pictures"):
        list(data.train_batches(pictures, AUGMENTATION, 0, 34, 0, 1, 0, CPU))


@pytest.mark.parametrize("batch_size", [1, 4, 9, 100])
def test_every_test_picture_comes_once_in_order(found: folder.Folder, batch_size: int) -> None:
    pictures = data.Pictures(found, "val")
    batches = list(data.scoring_batches(pictures, AUGMENTATION, batch_size, None, CPU, range(9)))
    assert [len(y) for _, y in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert torch.cat([y for _, y in batches]).tolist() == pictures.labels.tolist()
    views = torch.stack(
        [torch.from_numpy(central_view(pictures.read(i), AUGMENTATION).copy()).permute(2, 0, 1) for i in range(9)]
    )
    torch.testing.assert_close(torch.cat([x for x, _ in batches]), finish(views, None, AUGMENTATION))


def test_the_global_generators_are_left_alone(pictures: data.Pictures, found: folder.Folder) -> None:
    torch.manual_seed(3)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002  it is what we test
    train(pictures, 0, 5)
    list(data.scoring_batches(data.Pictures(found, "val"), AUGMENTATION, 4, 0, CPU, range(9)))
    after = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize(("usable", "workers"), [(1, 1), (3, 3), (64, 16)])
def test_loader_processes_are_as_many_as_processors_that_may_be_used(
    found: folder.Folder, usable: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = data.Pictures(found, "train", cache=False)
    monkeypatch.setattr(data, "processors", lambda: usable)
    monkeypatch.setattr(data, "loaded", lambda dataset, plan, collate, workers, pin_memory: iter([workers]))
    assert next(data._loader(data._Training(pictures, AUGMENTATION, 0), [], None, CPU)) == workers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_every_process_does_not_kill_the_workers(found: folder.Folder, number: signal.Signals) -> None:
    """Ctrl-C and Slurm signal every process; the trainer must still write its checkpoint."""
    pictures = data.Pictures(found, "train", cache=False)
    batches = data.train_batches(pictures, AUGMENTATION, 0, 4, 0, 6, workers=1, device=CPU)
    first = next(batches)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, number)
    assert len([first, *batches]) == 6
    assert multiprocessing.active_children() == []
