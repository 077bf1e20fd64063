"""Every row's task at its `small` recipe, with generated data of realistic lengths and sizes, and learners for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import soundfile
import torch

from benchmarks.arms.arm import ArmPlan
from benchmarks.rows import ROWS
from benchmarks.training.learner import Learner, make_optimizer
from dsd.schedule import Schedule
from tasks.flickr8k import task as flickr8k
from tasks.flickr8k.dataset import Picture
from tasks.flickr8k.vocabulary import Vocabulary
from tasks.imagenet import batches, dataset, synthetic
from tasks.imagenet import task as imagenet
from tasks.librispeech import alphabet
from tasks.librispeech import task as librispeech
from tasks.librispeech.batches import Waveforms
from tasks.librispeech.settings import SAMPLE_RATE
from tasks.librispeech.utterances import Utterance
from tasks.recipe import Recipe
from tasks.task import Batch, DataReport, Task

CPU = torch.device("cpu")
REPORT = DataReport("generated", "", {}, synthetic=True)
WORDS, FEATURES = 2538, 512
"""The sizes of Flickr8k's vocabulary (words that occur at least five times) and of SqueezeNet's feature vectors."""


def pictures(root: Path, size: int, train: int, val: int = 1, in_memory: bool = True) -> imagenet.Source:
    """Return pictures of `size` pixels in 12 classes, with `train` and `val` pictures per class."""
    synthetic.generate(root, train=train, val=val, size=size)
    found = dataset.scan(root)
    splits = (batches.Pictures(found, split, cache=in_memory) for split in dataset.SPLITS)
    return imagenet.Source(REPORT, len(found.classes), *splits)


def captions(count: int = 1000) -> tuple[tuple[Picture, ...], Vocabulary, list[list[int]]]:
    """Return pictures with one caption each, the vocabulary and the encoded captions.

    Captions are as long as Flickr8k's training captions: mean 10.8 words, standard deviation 3.8, from 1 to 38.
    """
    random = np.random.default_rng(0)
    lengths = random.gamma((10.8 / 3.8) ** 2, 3.8**2 / 10.8, size=count).round().clip(1, 38).astype(int)
    vocabulary = Vocabulary(tuple(f"w{i}" for i in range(WORDS)), (5,) * WORDS)
    chosen = [random.integers(1, WORDS, size=length).tolist() for length in lengths]
    named = tuple(Picture(f"{i}.jpg", (tuple(f"w{w}" for w in words),)) for i, words in enumerate(chosen))
    return named, vocabulary, chosen


def captioned(count: int = 1000, test: int = 100) -> flickr8k.Source:
    """Return `count` training captions; the first `test` of them are also the validation and test data."""
    named, vocabulary, _ = captions(count)
    features = torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(0))
    splits = {"train": slice(None), "val": slice(test), "test": slice(test)}
    return flickr8k.Source(
        REPORT,
        vocabulary,
        {split: named[part] for split, part in splits.items()},
        {split: features[part] for split, part in splits.items()},
    )


def noise(root: Path, count: int = 64) -> librispeech.Source:
    """Return `count` recordings of noise with the lengths of the connected digits.

    Lengths have mean 2.3 s and standard deviation 1.2 s, from 0.3 to 6.3 s; transcripts have 9 letters per second.
    """
    root.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    seconds = random.gamma((2.3 / 1.2) ** 2, 1.2**2 / 2.3, size=count).clip(0.3, 6.3)
    utterances = tuple(_utterance(root, index, float(length), random) for index, length in enumerate(seconds))
    held = Waveforms(utterances, root, lambda what, done, total: None, workers=1)
    return librispeech.Source(REPORT, held, held, utterances, training=utterances)


def _utterance(root: Path, index: int, seconds: float, random: np.random.Generator) -> Utterance:
    """Write a recording of noise. Its loudness changes every 0.1 s, so that a network's output changes too."""
    samples = int(seconds * SAMPLE_RATE)
    loudness = np.repeat(random.uniform(0.001, 0.3, size=samples // 1600 + 1), 1600)[:samples]
    name = f"1-1-{index:04d}"
    sound = (loudness * random.standard_normal(samples)).clip(-1, 1)
    soundfile.write(root / f"{name}.flac", sound, SAMPLE_RATE, subtype="PCM_16")
    letters = random.choice(list(alphabet.SYMBOLS[3:]), size=int(9 * seconds) + 1)
    return Utterance(name, f"{name}.flac", "train", "1", samples, SAMPLE_RATE, "".join(letters))


def task(row: str, root: Path, device: torch.device = CPU, recipe: Recipe | None = None) -> Task:
    """Return the row's task on `device` with generated data for a few steps. Files are written below `root`.

    Args:
        row: the name of the row.
        root: a folder for the generated data.
        device: the device of networks and batches.
        recipe: the recipe; by default the row's `small` recipe.

    Raises:
        ValueError: this module generates no data for the row's domain.
    """
    recipe = recipe or ROWS[row].recipe("small")
    match ROWS[row].domain:
        case "imagenet":
            crop = recipe.data.crop
            return imagenet.build(recipe, pictures(root / str(crop), crop, recipe.batch_size // 12 + 1), 0, device, 0)
        case "flickr8k":
            return flickr8k.build(recipe, captioned(), 0, device, 0)
        case "librispeech":
            return librispeech.build(recipe, noise(root / "noise"), 0, device, 0)
        case domain:
            raise ValueError(f"{row}: no generated data for {domain}; add them to benchmarks/perf/workloads.py")


def batch(of: Task) -> Batch:
    """Return a batch of the second epoch, because the first epoch may have a different order from all others."""
    step = of.steps_per_epoch()
    return next(of.batches(step, step + 1))


def learner(of: Task, masked: bool) -> Learner:
    """Return a learner at the start of the recipe's first sparse phase, or of a phase of equal length without masks."""
    sparse = next(phase for phase in of.recipe.schedule if phase.sparsity > 0)
    phase = sparse if masked else dataclasses.replace(sparse, kind="dense", sparsity=0.0)
    model = of.model()
    plan = ArmPlan("dsd" if masked else "control", Schedule((dataclasses.replace(phase, epochs=1000),)))
    return Learner(plan, of, model, make_optimizer(of.recipe, model))
