"""The estimated time and space of a run: exact with the durations of a fake clock; the measurement leaves no files."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from torch import Tensor, nn

from benchmarks import rows
from benchmarks.__main__ import main
from benchmarks.cli import named_inputs
from benchmarks.cli.estimate import sentences, table
from benchmarks.training import checkpoint, timing
from benchmarks.training.cost import trial
from benchmarks.training.interruption import InterruptedTrial
from benchmarks.training.timing import LEAST, STEPS, Probe
from tasks.recipe import Recipe
from tasks.task import Evaluation, Shown
from tests.benchmarks import toy
from tests.benchmarks.test_forks import RECIPE
from tests.benchmarks.test_trial import StopAt, run

ARMS = ("control", "dsd")
FOUND = Probe(
    steps=50,
    dense=1.0,
    masked=3.0,
    selecting=2.0,
    loading=0.25,
    ahead=False,
    curve=4.0,
    thorough=5.0,
    training=1.0,
    resampling=0.5,
    writing=0.125,
    model=100,
    masks=2,
    state=8,
    resident=300,
    outcomes=10,
    said=1,
    networks=2,
    host=10_000,
    device_memory=0,
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class TimedToy(toy.ToyTask):
    """Durations in seconds at factor 1: step 1 (3 with masks), batch 0.25, evaluation 4 (5 if thorough, 1 on training examples)."""

    def __init__(self, clock: Clock, factor: float = 1.0) -> None:
        super().__init__()
        self.clock, self.factor = clock, factor
        self.evaluated: list[bool] = []

    def batches(self, first_step: int, last_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in super().batches(first_step, last_step):
            self.clock.sleep(0.25 * self.factor)
            yield batch

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Shown]]:
        layer = model[4]  # type: ignore[index]
        self.clock.sleep((3.0 if bool((layer.weight == 0).any()) else 1.0) * self.factor)
        return super().loss(model, batch)

    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        self.clock.sleep(5.0 if thorough else 4.0)
        self.evaluated.append(thorough)
        return super().evaluate(model, thorough)

    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        self.clock.sleep(1.0)
        return super().evaluate_training(model)


class ReadAhead(toy.ToyTask):
    """A loader that prepares the next batches meanwhile: one every 2 s; at most two are ready in advance."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def batches(self, first_step: int, last_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        ready = self.clock.now
        for batch in super().batches(first_step, last_step):
            ready = max(ready + 2, self.clock.now - 4)
            self.clock.now = max(self.clock.now, ready)
            yield batch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing, "time", made)
    return made


def test_a_probe_finds_what_things_take_and_leaves_nothing(tmp_path: Path, clock: Clock) -> None:
    task = TimedToy(clock)
    found = timing.measure(task, ARMS, None, 0, True, tmp_path)  # 52 steps of 4 s would exceed the time limit
    assert (found.dense, found.masked, found.loading, found.ahead) == (1.0, 3.0, 0.25, False)
    assert (found.curve, found.thorough, found.training) == (4.0, 5.0, 1.0)
    assert sorted(task.evaluated) == [False, False, True]  # one of them right after pruning
    assert found.selecting == 5.0  # drawing masks takes 0 s on this clock, scoring the two sets 4 s and 1 s
    assert found.networks == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("factor", "steps"), [(0.125, STEPS), (1.0, 11), (64.0, LEAST)])
def test_a_probe_takes_a_minute_of_steps_but_some_at_least(
    tmp_path: Path, clock: Clock, factor: float, steps: int
) -> None:
    found = timing.measure(TimedToy(clock, factor), ARMS, None, 0, False, tmp_path)
    # At factor 1 a step of both networks takes 4.25 s, the first one 5 s more; two steps are not counted.
    assert found.steps == steps
    assert found.masked == 3 * factor


def test_without_an_arm_that_has_masks_none_is_trained(tmp_path: Path, clock: Clock) -> None:
    task = TimedToy(clock)
    found = timing.measure(task, ("control", "llr"), None, 0, False, tmp_path)
    assert (found.networks, found.masked, found.selecting, found.masks) == (1, 1.0, 0.0, 0)
    assert task.evaluated == [True]


def test_timed_steps_lie_all_over_the_first_epoch(tmp_path: Path, clock: Clock) -> None:
    task = TimedToy(clock, 64.0)
    timing.measure(task, ARMS, None, 0, False, tmp_path)
    spread = task.served[-(2 + LEAST) :]
    assert set(spread) == set(range(task.steps_per_epoch()))


def test_batches_made_ahead_are_waited_for_only_as_long_as_a_gpu_is_faster(tmp_path: Path, clock: Clock) -> None:
    found = timing.measure(ReadAhead(clock), ARMS, None, 0, False, tmp_path)
    assert (found.ahead, found.loading) == (True, 2.0)
    assert (found.waiting(0.5, gpu=True), found.waiting(3.0, gpu=True)) == (1.5, 0.0)
    assert found.waiting(3.0, gpu=False) == 2.0  # loading and training use the same processors
    assert FOUND.waiting(3.0, gpu=True) == 0.25


def test_a_trial_is_the_sum_of_its_steps_batches_evaluations_and_checkpoints() -> None:
    one = trial(FOUND, toy.ToyTask(), ARMS, given=False, save_weights=False)
    assert [(part.phase, part.arm, part.steps, part.evaluations, part.seconds) for part in one.parts] == [
        ("dense", "shared", 10, 2, 10 * 1.25 + 4 + 5 + 1),
        ("sparse", "control", 7, 2, 7 * 1.125 + 4 + 5 + 1),
        ("sparse", "dsd", 7, 2, 7 * 3.125 + 4 + 5 + 1 + 2),
        ("redense", "control", 5, 1, 5 * 1.125 + 5 + 1),
        ("redense", "dsd", 5, 1, 5 * 1.125 + 5 + 1),
    ]
    assert one.checkpoint == 2 * 8 + 2
    assert one.checkpoints == 2 * 18 * 0.125  # one where the arms fork, one at the end of the sparse phase
    assert one.resampling == 0.5
    assert one.seconds == 22.5 + 17.875 + 33.875 + 2 * 11.625 + 4.5 + 0.5


def test_checkpoints_are_written_every_two_minutes_or_so_rarely_that_they_cost_little() -> None:
    # D: 517.5 s; S: 512.875 + 528.875 s; D2: 2 x 506.625 s.
    slow = dataclasses.replace(FOUND, thorough=500.0, writing=1e-9)
    one = trial(slow, toy.ToyTask(), ARMS, given=False, save_weights=False)
    assert one.checkpoints == pytest.approx((4 * 8 + (1 + 8 + 1 + 8) * 18) * 1e-9)
    large = dataclasses.replace(slow, writing=0.5)  # 4 s for one network, 9 s for both: at most every 200 and 450 s
    one = trial(large, toy.ToyTask(), ARMS, given=False, save_weights=False)
    assert one.checkpoints == (2 * 8 + (1 + 2 + 1 + 2) * 18) * 0.5


def test_a_given_network_is_evaluated_and_not_trained() -> None:
    parts = trial(FOUND, toy.ToyTask(), ARMS, given=True, save_weights=False).parts
    assert (parts[0].steps, parts[0].evaluations, parts[0].seconds) == (0, 1, 5.0)


def test_more_arms_share_the_loading_and_take_more_memory_and_disk() -> None:
    four = trial(FOUND, toy.ToyTask(), ("control", "dsd", "llr", "random"), given=False, save_weights=True)
    assert [part.seconds for part in four.parts[1:5]] == [
        7 * 1.0625 + 10,
        7 * 3.0625 + 12,
        7 * 1.0625 + 10,
        7 * 3.0625 + 12,
    ]
    assert four.checkpoint == 4 * 8 + 2 * 2
    assert four.host == 10_000 + 2 * (300 + 8)
    without = trial(FOUND, toy.ToyTask(), ("control", "dsd", "llr", "random"), given=False, save_weights=False)
    assert four.kept - without.kept == (1 + 2 + 4) * 100  # D, two ends of S, four arms
    gpu = dataclasses.replace(FOUND, device_memory=5_000)
    four = trial(gpu, toy.ToyTask(), ("control", "dsd", "llr", "random"), given=False, save_weights=False)
    assert (four.host, four.device_memory) == (10_000 + 2 * 8, 5_000 + 2 * 300)


def test_a_phase_that_two_arms_share_is_counted_once() -> None:
    task = toy.ToyTask(RECIPE)
    both = trial(FOUND, task, ("control", "dsd", "control-text", "dsd-text"), given=False, save_weights=True)
    told = [(part.phase, part.arm) for part in both.parts[1:]]
    assert told == [("sparse", "control"), ("sparse", "dsd")] + [
        ("redense", arm) for arm in ("control", "dsd", "control-text", "dsd-text")
    ]
    assert both.parts[1].seconds == 7 * 1.125 + 10  # two arms train, not four
    assert both.parts[3].seconds == 5 * 1.0625 + 6
    alone = trial(FOUND, task, ("control", "dsd"), given=False, save_weights=True)
    assert both.kept - alone.kept > 2 * 100  # final weights of two more arms, no further weights at the end of S


@pytest.mark.parametrize("every", [0.3, 1.0, 2.5])
def test_as_many_evaluations_are_counted_as_a_trial_makes(tmp_path: Path, every: float) -> None:
    task = TimedToy(Clock())
    task.recipe = dataclasses.replace(toy.RECIPE, evaluate_every=every)
    record, _ = run(task, tmp_path, arms=ARMS)
    one = trial(FOUND, task, ARMS, given=False, save_weights=False)
    assert sum(part.evaluations for part in one.parts) + 1 == len(task.evaluated)  # one more right after pruning
    assert sum(part.evaluations for part in one.parts if part.arm == "dsd") == len(record.arms["dsd"].curve)
    assert len(one.parts) == sum(task.evaluated)


def test_the_checkpoint_is_as_large_as_counted(tmp_path: Path) -> None:
    found = timing.measure(toy.ToyTask(), ARMS, None, 0, False, tmp_path)
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(), tmp_path, StopAt(14), arms=ARMS)  # in the sparse phase
    (path,) = tmp_path.glob("checkpoints/*/trial.pt")

    def size(value: object) -> int:
        if isinstance(value, dict):
            return sum(map(size, value.values()))
        return value.nbytes if isinstance(value, Tensor) else 0

    expected = size(checkpoint.load(path)["learners"])
    assert trial(found, toy.ToyTask(), ARMS, given=False, save_weights=False).checkpoint == expected


def test_what_an_arm_keeps_in_memory_is_weights_gradients_momentum_and_masks(tmp_path: Path) -> None:
    found = timing.measure(toy.ToyTask(), ARMS, None, 0, False, tmp_path)
    weights = sum(parameter.numel() for parameter in toy.ToyTask().model().parameters())
    buffers = 2 * 16 * 4 + 8  # running mean and variance, and an int64 that counts batches
    assert found.model == 4 * weights + buffers
    assert found.resident == 3 * 4 * weights + buffers + 16 * 8 + 8 * 4  # the first layer has no mask


@pytest.fixture
def toy_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the toy task a row of the command line."""

    def build(recipe: Recipe, source: toy.ToyTask, seed: int, device: object, workers: object) -> toy.ToyTask:
        return toy.ToyTask(recipe, seed)

    domain = SimpleNamespace(embedded=lambda: Path("blobs"), open_data=lambda *_, **__: toy.ToyTask(), build=build)
    monkeypatch.setitem(rows.ROWS, toy.ROW.name, toy.ROW)
    monkeypatch.setattr(named_inputs, "domain", lambda row: domain)


@pytest.mark.usefixtures("toy_row")
def test_the_command_tells_and_leaves_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", toy.ROW.name, "--device", "cpu", "--seeds", "2", "--out", str(tmp_path / "out")]) == 0
    assert list(tmp_path.iterdir()) == []
    shown = capsys.readouterr().out
    assert re.search(r"sparse \(S\) +dsd +7 +2 +\d+ s", shown)
    assert re.search(
        r"total: 2 trials and \d+ s to open the data: about \d+ s on this machine \(CPU, 1 threads\), .* of disk", shown
    )


@pytest.mark.usefixtures("toy_row")
def test_json_says_the_same_and_is_all_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["estimate", toy.ROW.name, "--device", "cpu", "--seeds", "2", "--out", str(tmp_path / "out"), "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["trials"] == 2
    assert told["seconds"] == pytest.approx(told["opening_seconds"] + 2 * told["trial"]["seconds"])
    parts = told["trial"]["parts"]
    assert [(part["phase"], part["arm"], part["steps"]) for part in parts if part["arm"] == "dsd"] == [
        ("sparse", "dsd", 7),
        ("redense", "dsd", 5),
    ]
    assert told["probe"]["steps"] > 0


@pytest.mark.usefixtures("toy_row")
def test_trials_that_ended_are_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [toy.ROW.name, "--device", "cpu", "--out", str(tmp_path)]
    assert main(["run", *words]) == 0
    before = sorted(path for path in tmp_path.rglob("*"))
    capsys.readouterr()
    assert main(["estimate", *words]) == 0
    shown = capsys.readouterr().out
    assert "1 of 1 trials have already ended" in shown
    assert "total" not in shown
    assert main(["estimate", *words, "--seeds", "3"]) == 0
    assert "total: 2 trials" in capsys.readouterr().out
    assert main(["estimate", *words, "--fresh"]) == 0
    assert "total: 1 trial and" in capsys.readouterr().out
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert main(["estimate", "imagenet_resnet18"]) == 2
    assert "WORLD_SIZE=4: estimate measures one process" in capsys.readouterr().err


def test_what_is_said_of_it_fits_a_terminal_and_adds_up() -> None:
    gpu = dataclasses.replace(FOUND, device_memory=5_000_000_000, host=2_000_000, ahead=True, loading=4.25)
    one = trial(gpu, toy.ToyTask(), ARMS, given=False, save_weights=False)
    # A batch takes 4.25 s. D waits 3.25 s for each. Both arms together wait 0.25 s while one has masks, and 2.25 s afterwards.
    assert one.seconds == 10 * 4.25 + 10 + 7 * (1 + 3 + 0.25) + 22 + 5 * (2 + 2.25) + 12 + 4.5 + 0.5
    console = Console(file=io.StringIO(), width=80)
    console.print(table(one))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[1].split() == ["dense", "(D)", "shared", "10", "2", "52", "s"]
    assert lines[-1].split() == ["one", "trial", "2", "min"]
    assert all("\u2026" not in line for line in lines)
    steps, disk, total = sentences(gpu, one, 3, 60.0, "a card")
    assert steps == "from 50 steps: 1,000.0 ms per step, 3,000.0 ms with masks, 4,250.0 ms to load a batch (prefetched)"
    assert disk.startswith("disk: 18 bytes per checkpoint, twice that while it is replaced; 15.2 kB kept per trial")
    assert total == (
        "total: 3 trials and 60 s to open the data: about 8 min on this machine (a card), "
        "45.7 kB of disk, 5.0 GB of GPU memory, 2.0 MB of memory, about"
    )
