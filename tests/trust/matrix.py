"""Promise 2: a trial that is stopped and run again gives the record and the weights of an uninterrupted one.

`python -m tests.trust.matrix` (`nox -s resume`) stops small trials of every domain at six moments with three signals. Trials have
one, two or three processes, and no or two loader workers. With arguments such as `imagenet-2-0-SIGKILL-mid_S`, only these cases
run. The output is compared with that of an uninterrupted trial with as many processes and no workers. No process may be left.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

# Before torch is imported, because its threads do not survive a fork.
os.environ["OMP_NUM_THREADS"] = "1"

import pandas.io.formats.style  # noqa: F401
import torch
from torch import nn

# Otherwise every fork would import these again.
from benchmarks import rows
from benchmarks.__main__ import main
from benchmarks.cli.display import Display
from benchmarks.cli.named_inputs import domain
from benchmarks.reporting.figures import files as figure_files
from benchmarks.training import trial
from dsd.schedule import Phase, Schedule
from tasks.flickr8k import synthetic as scenes
from tasks.flickr8k import task as flickr8k
from tasks.flickr8k.recipes import Network
from tasks.imagenet import models, recipes
from tasks.imagenet import synthetic as shapes
from tasks.imagenet import task as imagenet
from tasks.librispeech import synthetic as speech
from tasks.librispeech import task as librispeech
from tasks.librispeech.settings import DeepSpeech2Settings
from tasks.recipe import Recipe
from tests.trust.broken_datasets import GET_BATCH, OFTEN
from tests.trust.forks import several

DOMAINS = {"imagenet": "imagenet_resnet18", "flickr8k": "flickr8k_neuraltalk", "librispeech": "librispeech_deepspeech2"}
SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL")
SIZES = (1, 2, 3)
BATCH = 12
"""Samples in a batch: a multiple of four and of all numbers in `SIZES`."""
WORKERS = (0, 2)
"""Loader processes of each trainer. Only picture rows start them."""
LONGEST = 60.0
"""Maximum seconds until the other processes of a run have ended after one was killed."""
EPOCH = 6
"""Steps of D. Each other phase has half as many."""
MOMENTS = {"mid_D": 3, "D_S": 6, "mid_S": 8, "S_D2": 9, "second_iteration": 14, "last_step": 18}
"""Steps of the data stream after which the signal is sent. Phases end at 6, 9, 12, 15 and 18."""
_UNLIKE = {"id", "started", "finished", "seconds", "content_hash", "interruptions", "earlier", "command"}


@dataclass(frozen=True)
class Case:
    """One way to stop a trial. SIGKILL goes to the first process, which writes the files; other signals go to the last."""

    domain: str
    processes: int
    workers: int
    signal: str
    moment: str

    def __str__(self) -> str:
        """Return the name of the case."""
        return f"{self.domain}-{self.processes}-{self.workers}-{self.signal}-{self.moment}"


CASES = [Case(d, n, w, s, m) for d in DOMAINS for n in SIZES for w in WORKERS for s in SIGNALS for m in MOMENTS]


def tiny(recipe: Recipe, steps_per_epoch: int) -> Recipe:
    """Return the recipe with two iterations that are so short that a case takes a second or two."""
    whole, half = EPOCH / steps_per_epoch, EPOCH / 2 / steps_per_epoch
    rate = recipe.schedule.phases[0].lr
    phases = (
        Phase("dense", whole, rate),
        Phase("sparse", half, rate / 2, sparsity=0.5),
        Phase("redense", half, rate / 4),
        Phase("sparse", half, rate / 4, sparsity=0.25),
        Phase("redense", half, rate / 8),
    )
    model: Any = recipe.model
    if isinstance(model, Network):
        model = Network(size=16, dropout=0.5)
    if isinstance(model, DeepSpeech2Settings):
        model = DeepSpeech2Settings(16, 2, 2)
    return dataclasses.replace(
        recipe,
        schedule=Schedule(phases),
        skip=() if isinstance(model, recipes.Network) else recipe.skip,
        batch_size=BATCH,
        model=model,
        evaluate_every=2 * whole,
        optimizer_state="keep",
    )


def small_network(network: str, settings: recipes.Network, classes: int, seed: int) -> nn.Module:
    """Return a network with the layer types of a picture row's, but few weights, because checkpoints are frequent."""
    del network, settings
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        first = (nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        second = (nn.Conv2d(8, 16, 3, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        return nn.Sequential(
            *first, *second, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(16, classes)
        )


def shorten(name: str) -> None:
    """Replace the row's recipe with the tiny one, and the embedded sets and the networks of picture rows with small ones.

    Draw no figures: drawing them takes longer than such a trial.
    """
    GET_BATCH.__defaults__ = OFTEN
    models.build = small_network
    # Scoring all embedded examples would take most of a trial's time. Six training pictures of each of 12 classes.
    imagenet.embedded = partial(shapes.ensure, None, 6, 5)
    flickr8k.embedded = partial(scenes.ensure, None, 90, 20, 20)
    librispeech.embedded = partial(speech.ensure, None, 72, 12, 12)
    figure_files.write = lambda out, records: []
    row = rows.ROWS[DOMAINS[name]]
    recipe = dataclasses.replace(row.recipes["smoke"], batch_size=BATCH)
    source = domain(row).open_data(recipe, domain(row).embedded(), 1.0, lambda *_: None)
    spe = domain(row).build(recipe, source, 0, torch.device("cpu"), 0).steps_per_epoch()
    row.recipes["smoke"] = tiny(recipe, spe)


def run(name: str, out: Path, moment: int | None = None, number: int = 0, workers: int = 0) -> int:
    """Run the row's trial as a user would. After the step `moment`, its `victim` sends the signal `number` to itself."""

    def act() -> None:
        if int(os.environ.get("RANK", "0")) == victim(number):
            os.kill(os.getpid(), number)

    return run_and(act, moment, name, "--out", str(out), "--workers", str(workers))


def run_and(act: Callable[[], None], moment: int | None, name: str, *options: str) -> int:
    """Run the row's trial as a user would, with a checkpoint after every other step. Call `act` after the step `moment`."""
    original = Display.step

    def step(self: Display, learners: Any, shown: Any) -> None:
        original(self, learners, shown)
        lead = next(iter(learners.values()))
        if lead.offset + lead.step == moment:
            act()

    Display.step = step  # type: ignore[method-assign]
    # With a checkpoint after every other step, a killed trial resumes within a phase.
    trial.CHECKPOINT_EVERY_SECONDS = 0.0
    trial.CHECKPOINT_SHARE = 1e9
    save = trial.Trial._save_due
    trial.Trial._save_due = lambda self, lead: save(self, lead) and (lead.step % 2 == 0 or lead.at_phase_end())  # type: ignore[method-assign]
    words = ["run", DOMAINS[name], "--arms", "control", "dsd", "random"]
    return main([*words, *options, "--save-weights", "--device", "cpu"])


def victim(number: int) -> int:
    """Return the rank of the process that gets the signal `number`."""
    return 0 if number == signal.SIGKILL else int(os.environ.get("WORLD_SIZE", "1")) - 1


def outcome(out: Path) -> dict[str, Any]:
    """Return the outputs of a trial that must not depend on time or interruptions."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in _UNLIKE}
        return [strip(item) for item in value] if isinstance(value, list) else value

    (record,) = (out / "records").glob("*.json")
    weights = sorted((out / "weights").iterdir())
    checkpoints = out / "checkpoints"
    return {
        "record": strip(json.loads(record.read_bytes())),
        "weights": {path.name: path.read_bytes() for path in weights},
        "checkpoints left": [path.name for path in checkpoints.iterdir()] if checkpoints.exists() else [],
    }


def check(case: Case, folder: Path, whole: dict[str, Any], mutate: Callable[[Path], None] | None = None) -> float:
    """Stop a trial as in `case`, resume it, and compare with `whole`; return the seconds from the first process's end to the last.

    Raises:
        AssertionError: a result differs, or a process has an unexpected exit status.
    """
    number = signal.Signals[case.signal]
    log = folder / "log"
    kill = partial(run, case.domain, folder, MOMENTS[case.moment], number, case.workers)
    status, outlived = several(case.processes, kill, log)
    if case.signal == "SIGKILL":
        assert status[0] == -number, status
        assert all(code != 0 for code in status), status
        assert outlived < LONGEST, f"{case}: the others lived on for {outlived:.0f} s"
    else:
        assert status == [128 + number] * case.processes, status
    if mutate:
        mutate(folder)
    status, _ = several(case.processes, partial(run, case.domain, folder, workers=case.workers), log)
    assert status == [0] * case.processes, (status, log.read_text()[-2000:])
    found = outcome(folder)
    for part, expected in whole.items():
        assert found[part] == expected, f"{case}: another {part}"
    return outlived


def matrix(cases: list[Case]) -> int:
    """Run the cases, print a line for each, and return the number of failed ones."""
    failed, slowest, started = 0, 0.0, time.monotonic()
    wholes: dict[tuple[str, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in dict.fromkeys(case.domain for case in cases):
            shorten(name)
        for case in cases:
            key = case.domain, case.processes
            if key not in wholes:
                out = Path(folder) / f"whole-{case.domain}-{case.processes}"
                out.mkdir()
                status, _ = several(case.processes, partial(run, case.domain, out), out / "log")
                assert status == [0] * case.processes, (out / "log").read_text()[-2000:]
                wholes[key] = outcome(out)
                assert len(wholes[key]["weights"]) == 8  # of D, and at the end of each arm and of each sparse phase
            out = Path(folder) / str(case)
            out.mkdir()
            try:
                outlived = check(case, out, wholes[key])
            except (AssertionError, TimeoutError) as error:
                failed += 1
                sys.stdout.write(f"{case}: FAILED: {error}\n")
            else:
                slowest = max(slowest, outlived)
                sys.stdout.write(f"{case}: same record, same weights\n")
            sys.stdout.flush()
    seconds = time.monotonic() - started
    sys.stdout.write(
        f"{len(cases) - failed} of {len(cases)} stopped trials ended as the uninterrupted one, bit for bit, in {seconds:.0f} s; "
        f"the others of a run outlived the killed process by {slowest:.1f} s at most\n"
    )
    return failed


def command(asked: list[str]) -> int:
    """Run the cases with these names, by default all; return 1 if one failed."""
    torch.set_num_threads(1)
    unknown = set(asked) - {str(case) for case in CASES}
    if unknown:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}")
    return min(1, matrix([case for case in CASES if not asked or str(case) in asked]))


if __name__ == "__main__":
    del __file__  # else every loader process would import this module, which it does not need
    __spec__ = None  # type: ignore[assignment]
    sys.exit(command(sys.argv[1:]))
