"""How cost grows with weights, samples, arms and records: measured, fitted and drawn.

    python -m benchmarks.perf.growth

writes growth.json and growth.png beside this file. Each series is fitted by seconds = a * size ** exponent over its larger half:
1 is linear, and what is the same for any size (a constant) weighs on the smaller half.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.perf import workloads
from benchmarks.perf.test_commands import reseeded
from benchmarks.records import store
from benchmarks.reporting import results_folder
from benchmarks.rows import ROWS
from benchmarks.training import provenance
from benchmarks.training.learner import Learner
from dsd.masks import magnitude_mask, zero_pruned_
from tasks.flickr8k import task as flickr8k
from tasks.imagenet import task as imagenet
from tasks.librispeech import task as librispeech
from tasks.task import Task

HERE = Path(__file__).parent
WEIGHTS = (10**6, 10**7, 10**8)
SAMPLES = (120, 240, 480, 960)
ARMS = (1, 2, 4, 8)
RECORDS = (25, 50, 100, 200, 400)
ROUNDS = 3

Series = dict[str, dict[int, float]]
"""Seconds by size, by the name of what was done."""


def seconds(work: Callable[[], object]) -> float:
    """Return the median processor time of some calls, after one that warms up."""
    work()
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return statistics.median(taken)


def weights(sizes: tuple[int, ...] = WEIGHTS) -> Series:
    """Select and hold the mask of one tensor."""
    found: Series = {"select a mask": {}, "hold it": {}}
    for size in sizes:
        tensor = torch.randn(size, generator=torch.Generator().manual_seed(0))
        found["select a mask"][size] = seconds(partial(magnitude_mask, tensor, 0.3))
        kept = magnitude_mask(tensor, 0.3)
        found["hold it"][size] = seconds(partial(zero_pruned_, tensor, kept))
    return found


def samples(folder: Path) -> Series:
    """Load an epoch of pictures; score pictures, captions and utterances by the `smoke` networks."""
    names = ("load pictures", "score pictures", "score captions", "score utterances")
    found: Series = {name: {} for name in names}
    for size in SAMPLES:
        recipe = ROWS["imagenet_resnet18"].recipe("smoke")
        shown = workloads.pictures(folder / str(size), 40, train=size // 12, val=size // 12)
        seen = imagenet.build(recipe, shown, 0, workloads.CPU, 0)
        found["load pictures"][size] = seconds(partial(epoch, seen))
        captioned = flickr8k.build(
            ROWS["flickr8k_neuraltalk"].recipe("smoke"), workloads.captioned(size, test=size), 0, workloads.CPU, 0
        )
        heard = librispeech.build(
            ROWS["librispeech_deepspeech"].recipe("smoke"),
            workloads.noise(folder / f"{size}s", size),
            0,
            workloads.CPU,
            0,
        )
        tasks: tuple[Task, ...] = (seen, captioned, heard)
        for name, task in zip(names[1:], tasks, strict=True):
            found[name][size] = seconds(partial(task.evaluate, task.model(), False))
    return found


def epoch(task: Task) -> None:
    """Load an epoch."""
    for _ in task.batches(0, task.steps_per_epoch()):
        pass


def arms(folder: Path) -> Series:
    """A step of so many learners on one batch, loaded once."""
    task = workloads.task("librispeech_deepspeech2", folder)
    found: dict[int, float] = {}
    for count in ARMS:
        learners = [workloads.learner(task, masked=number % 2 == 1) for number in range(count)]
        found[count] = seconds(partial(step, task, learners))
        for learner in learners:
            learner.finish()
    return {"a step of all arms": found}


def step(task: Task, learners: list[Learner]) -> None:
    """Train all on one batch."""
    batch = workloads.batch(task)
    for learner in learners:
        learner.train_step(batch, 0)


def records(folder: Path) -> Series:
    """Read records and make all tables of them; no figures, of which there are as many as rows."""
    found: Series = {"read records": {}, "make their tables": {}}
    for size in RECORDS:
        where = folder / str(size) / "records"
        reseeded(where, size)
        found["read records"][size] = seconds(partial(store.read_all, where))
        read = store.read_all(where)
        found["make their tables"][size] = seconds(partial(results_folder.render, read))
    return found


def fit(points: dict[int, float]) -> tuple[float, float]:
    """Return (exponent, a) of the least squares line through the logarithms of the larger half of the sizes."""
    larger = sorted(points)[-(len(points) + 1) // 2 :]
    exponent, intercept = np.polyfit(np.log(larger), np.log([points[size] for size in larger]), 1)
    return float(exponent), float(np.exp(intercept))


def draw(found: dict[str, Series], path: Path) -> None:
    """Draw one panel a group: measured points, and the fitted lines with their exponents."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    for axes, (what, series) in zip(figure.subplots(2, 2).flat, found.items(), strict=True):
        for name, points in series.items():
            exponent, factor = fit(points)
            sizes = np.array(sorted(points), dtype=float)
            (line,) = axes.loglog(
                sizes, [points[int(size)] for size in sizes], "o", label=f"{name}: exponent {exponent:.2f}"
            )
            axes.loglog(sizes, factor * sizes**exponent, "-", color=line.get_color(), linewidth=1)
            axes.set_xticks(sizes, [f"{size:,}" if size < 10**5 else f"{size:.0e}" for size in sorted(points)])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel=what, ylabel="processor time, s")
        axes.legend(frameon=False, fontsize="small")
        axes.margins(y=0.2)  # room for the legend
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure, write, draw."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = {
            "weights": weights(),
            "samples": samples(folder / "samples"),
            "arms": arms(folder / "arms"),
            "records": records(folder / "records"),
        }
    machine = provenance.hardware(workloads.CPU)
    exponents = {name: round(fit(points)[0], 2) for series in found.values() for name, points in series.items()}
    told = {
        "machine": f"{machine.cpu}, {machine.cores} cores, one thread",
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": found,
        "exponents": exponents,
    }
    (HERE / "growth.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    draw(found, HERE / "growth.png")
    for name, exponent in exponents.items():
        print(f"{name}: exponent {exponent}")  # noqa: T201


if __name__ == "__main__":
    main()
