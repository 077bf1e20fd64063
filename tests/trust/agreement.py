"""Promises 2 and 6: the results of several processes and of one. `python -m tests.trust.agreement FOLDER` prints them as JSON.

`evaluation`: by domain, number of processes and rank, the scores of the same network on a test set whose size is a prime.
`weights`: by number of processes, the largest difference from the weights of one process, relative to the tensor's largest weight,
after a few steps without dropout and batch norm. It also checks that the group of processes outlives its networks (see
`tasks.distributed.joined`).
"""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import os
import shutil
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, because its threads do not survive a fork

import torch
import torch.distributed as dist
from torch import nn

from benchmarks import rows
from benchmarks.arms.arm import ArmPlan
from benchmarks.cli.named_inputs import domain
from benchmarks.training.learner import Learner, make_optimizer
from dsd.schedule import Phase, Schedule
from tasks import distributed
from tasks.flickr8k import task as flickr8k
from tasks.flickr8k.recipes import Network
from tasks.imagenet import task as imagenet
from tasks.librispeech import task as librispeech
from tests.trust.forks import several
from tests.trust.matrix import DOMAINS, scenes, shapes, shorten, speech

SIZES = (1, 2, 3, 4)
PRIMES = {"imagenet": 293, "flickr8k": 97, "librispeech": 113}
"""The numbers of test examples used, of the embedded sets' 300, 100 and 120. With batches of 10, the last batch is smaller."""
WHOLE = {"imagenet": shapes.ensure, "flickr8k": scenes.ensure, "librispeech": speech.ensure}
"""The embedded sets. `shorten` replaces those of the tasks with smaller ones."""
_BATCH = 10


def prime_set(name: str, folder: Path) -> Path:
    """Return a copy of the embedded set with a prime number of test examples. The other test examples are in quarantine."""
    root = folder / name
    shutil.copytree(WHOLE[name](), root)
    if name == "imagenet":
        tested = [path.relative_to(root).as_posix() for path in sorted((root / "val").glob("*/*"))]
    elif name == "flickr8k":
        tested = (root / "Flickr8k_text" / "Flickr_8k.testImages.txt").read_text().split()
    else:
        tested = [path.relative_to(root).as_posix() for path in sorted(root.glob("test*/*/*/*.flac"))]
    (root / "quarantine.txt").write_text("\n".join(tested[PRIMES[name] :]) + "\n")
    return root


def evaluate(name: str, root: Path, out: Path) -> int:
    """Score a new network, and write the results of this process to `out`."""
    imagenet._TEST_BATCH = librispeech._TEST_BATCH = _BATCH
    flickr8k._DECODED_AT_ONCE = flickr8k._VALIDATION_BATCH = _BATCH
    with _joined():
        row = rows.ROWS[DOMAINS[name]]
        recipe = row.recipes["smoke"]
        source = domain(row).open_data(recipe, root, 0.1, lambda *_: None)
        task = domain(row).build(recipe, source, 1, torch.device("cpu"), 0)
        found = task.evaluate(task.model(), True)
        outcomes = found.outcomes.double().contiguous()
        said = hashlib.sha256(json.dumps(found.samples, sort_keys=True).encode() + outcomes.numpy().tobytes())
        result = {"examples": len(found.outcomes), "metrics": found.metrics, "said": said.hexdigest()}
        (out / f"{distributed.world_size()}-{distributed.rank()}.json").write_text(json.dumps(result))
    return 0


def train(out: Path, steps: int) -> int:
    """Train captioning for a few steps and save the weights. Without dropout, because each process draws its own."""
    with _joined():
        row = rows.ROWS["flickr8k_neuraltalk"]
        recipe = dataclasses.replace(row.recipes["smoke"], model=Network(size=16, dropout=0.0), clip_norm=1.0)
        source = domain(row).open_data(recipe, domain(row).embedded(), 1.0, lambda *_: None)
        task = domain(row).build(recipe, source, 0, torch.device("cpu"), 0)
        model = task.model()
        schedule = Schedule((Phase("sparse", steps / task.steps_per_epoch(), 1e-3, sparsity=0.5),))
        learner = Learner(ArmPlan("dsd", schedule), task, model, make_optimizer(recipe, model))
        for step, batch in enumerate(task.batches(0, steps)):
            learner.train_step(batch, step)
        distributed.require_same_weights(model)
        if distributed.is_rank_zero():
            torch.save(model.state_dict(), out / f"weights-{distributed.world_size()}.pt")
    return 0


def leave() -> int:
    """Leave the group while a network still refers to it. Return 0 if the group is still alive."""
    with _joined():
        network = nn.parallel.DistributedDataParallel(nn.Linear(2, 2))
        group = weakref.ref(dist.group.WORLD)
    del network
    gc.collect()
    return int(group() is None)


@contextmanager
def _joined() -> Iterator[None]:
    torch.set_num_threads(1)
    with distributed.joined(torch.device("cpu")):
        yield


def report(folder: Path) -> dict[str, Any]:
    """Return the results described at the top of this module."""
    found: dict[str, Any] = {"evaluation": {}, "weights": {}}
    for name in DOMAINS:
        shorten(name)
        out = folder / f"{name}-scores"
        out.mkdir()
        root = prime_set(name, folder)
        for size in SIZES:
            _run(size, partial(evaluate, name, root, out), folder / "log")
        found["evaluation"][name] = {path.stem: json.loads(path.read_bytes()) for path in sorted(out.iterdir())}
    _run(2, leave, folder / "log")
    for size in (1, 2, 4):
        _run(size, partial(train, folder, 8), folder / "log")
    alone = torch.load(folder / "weights-1.pt", weights_only=True)
    for size in (2, 4):
        shared = torch.load(folder / f"weights-{size}.pt", weights_only=True)
        worst = max(float((shared[key] - alone[key]).abs().max() / alone[key].abs().max()) for key in alone)
        found["weights"][str(size)] = worst
    return found


def _run(size: int, work: Callable[[], int], log: Path) -> None:
    status, _ = several(size, work, log)
    assert status == [0] * size, log.read_text()[-3000:]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report(Path(sys.argv[1]))))
