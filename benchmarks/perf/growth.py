"""How run time grows with the numbers of weights, samples, arms and records.

    python -m benchmarks.perf.growth

writes growth.json and growth.png beside this file. The larger half of the sizes is fitted by seconds = a * size ** exponent.
An exponent of 1 is linear growth. The smaller sizes are left out because constant costs dominate there.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import timeit
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.perf import baseline, workloads
from benchmarks.perf.test_commands import reseeded
from benchmarks.records import store
from benchmarks.reporting import results_folder
from benchmarks.rows import ROWS
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
"""Seconds by operation and size."""


def seconds(work: Callable[[], object]) -> float:
    """Return the median processor time of `ROUNDS` calls after a warm-up call, with garbage collection."""
    times = timeit.repeat(work, "import gc; gc.enable()", timer=time.process_time, repeat=ROUNDS + 1, number=1)
    return statistics.median(times[1:])


def weights(sizes: tuple[int, ...] = WEIGHTS) -> Series:
    """Time selecting and holding the mask of one tensor."""
    found: Series = {"select a mask": {}, "hold it": {}}
    for size in sizes:
        tensor = torch.randn(size, generator=torch.Generator().manual_seed(0))
        found["select a mask"][size] = seconds(partial(magnitude_mask, tensor, 0.3))
        kept = magnitude_mask(tensor, 0.3)
        found["hold it"][size] = seconds(partial(zero_pruned_, tensor, kept))
    return found


def samples(folder: Path) -> Series:
    """Time loading an epoch of pictures, and scoring pictures, captions and utterances with the `smoke` networks."""
    rows = ("imagenet_resnet18", "flickr8k_neuraltalk", "librispeech_deepspeech")
    pictures, captions, speech = (ROWS[row].recipe("smoke") for row in rows)
    found: Series = defaultdict(dict)
    for size in SAMPLES:
        shown = workloads.pictures(folder / str(size), 40, train=size // 12, val=size // 12)
        heard = workloads.noise(folder / f"{size}s", size)
        tasks: dict[str, Task] = {
            "score pictures": imagenet.build(pictures, shown, 0, workloads.CPU, 0),
            "score captions": flickr8k.build(captions, workloads.captioned(size, test=size), 0, workloads.CPU, 0),
            "score utterances": librispeech.build(speech, heard, 0, workloads.CPU, 0),
        }
        found["load pictures"][size] = seconds(partial(epoch, tasks["score pictures"]))
        for name, task in tasks.items():
            found[name][size] = seconds(partial(task.evaluate, task.model(), False))
    return found


def epoch(task: Task) -> None:
    """Load all batches of an epoch."""
    for _ in task.batches(0, task.steps_per_epoch()):
        pass


def arms(folder: Path) -> Series:
    """Time one step of several learners on one batch, which is loaded once for all."""
    task = workloads.task("librispeech_deepspeech2", folder)
    found: dict[int, float] = {}
    for count in ARMS:
        learners = [workloads.learner(task, masked=number % 2 == 1) for number in range(count)]
        found[count] = seconds(partial(step, task, learners))
        for learner in learners:
            learner.finish()
    return {"a step of all arms": found}


def step(task: Task, learners: list[Learner]) -> None:
    """Train all learners on one batch."""
    batch = workloads.batch(task)
    for learner in learners:
        learner.train_step(batch, 0)


def records(folder: Path) -> Series:
    """Time reading records and making all tables. Figures are left out: their number depends on the rows."""
    found: Series = {"read records": {}, "make their tables": {}}
    for size in RECORDS:
        where = folder / str(size) / "records"
        reseeded(where, size)
        found["read records"][size] = seconds(partial(store.read_all, where))
        read = store.read_all(where)
        found["make their tables"][size] = seconds(partial(results_folder.render, read))
    return found


def fit(points: dict[int, float]) -> tuple[float, float]:
    """Return (exponent, a) of the least-squares line through the logarithms of the larger half of the sizes."""
    larger = sorted(points)[-(len(points) + 1) // 2 :]
    exponent, intercept = np.polyfit(np.log(larger), np.log([points[size] for size in larger]), 1)
    return float(exponent), float(np.exp(intercept))


def draw(found: dict[str, Series], path: Path) -> None:
    """Draw one panel per group: the measured points and the fitted lines with their exponents."""
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
    """Measure, write and draw."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = {
            "weights": weights(),
            "samples": samples(folder / "samples"),
            "arms": arms(folder / "arms"),
            "records": records(folder / "records"),
        }
    exponents = {name: round(fit(points)[0], 2) for series in found.values() for name, points in series.items()}
    machine = {"machine": f"{baseline.machine()}, one thread"}
    content = json.dumps({**machine, **baseline.environment(), "seconds": found, "exponents": exponents}, indent=1)
    (HERE / "growth.json").write_text(content + "\n", encoding="utf-8")
    draw(found, HERE / "growth.png")
    for name, exponent in exponents.items():
        print(f"{name}: exponent {exponent}")  # noqa: T201


if __name__ == "__main__":
    main()
