from __future__ import annotations

import dataclasses
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from rich.console import Console
from torch import nn

from benchmarks.cli.display import Display
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.training.interruption import InterruptedTrial, Stop
from benchmarks.training.learner import Learner, NonFiniteError
from benchmarks.training.lock import TakenError
from benchmarks.training.plan import ended
from benchmarks.training.trial import Trial
from dsd.schedule import Phase, Schedule
from tasks.task import Evaluation, Shown
from tests.benchmarks import toy

TIMES = {"earlier", "seconds", "started", "finished", "id", "interruptions", "content_hash"}


class StopAt(Stop):
    """Asks to stop after the n-th step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.left = step

    @property
    def reason(self) -> str | None:
        self.left -= 1
        return "SIGINT" if self.left == 0 else None


def run(task: toy.ToyTask, out: Path, stop: Stop | None = None, **options: object) -> tuple[Record, Trial]:
    plan = toy.plan(out, recipe=task.recipe, **options)  # type: ignore[arg-type]
    console = Console(file=io.StringIO())
    trial = Trial(plan, task, Display(console, 100, toy.ERROR, toy.BATCH), stop or Stop())
    return store.read(trial.run()), trial


def comparable(record: Record) -> object:
    """Everything in a record that must not depend on time or on interruptions."""

    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in TIMES}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip(json.loads(record.model_dump_json()))


def test_phases_have_the_schedules_steps_and_rates_in_every_arm(tmp_path: Path) -> None:
    record, _ = run(toy.ToyTask(), tmp_path)
    assert record.dense is not None
    assert [(p.steps, p.first_lr, p.last_lr) for p in record.dense.phases] == [(10, 0.1, pytest.approx(0.01))]
    shape = {name: [(p.kind, p.steps, p.first_lr) for p in arm.phases] for name, arm in record.arms.items()}
    assert shape["dsd"] == shape["random"] == [("sparse", 7, 0.05), ("redense", 5, 0.01)]
    assert shape["control"] == [("dense", 7, 0.05), ("dense", 5, 0.01)]
    assert [s[:2] for s in shape["llr"]] == [("dense", 7), ("dense", 5)]
    assert [p.first_lr for p in record.arms["llr"].phases] == pytest.approx([0.001, 0.001])  # a tenth of D's last rate
    assert {arm.cost.steps for arm in record.arms.values()} == {12}


@pytest.mark.promise(3)
def test_pruned_weights_are_zero_in_s_with_exact_counts_and_free_in_d2(tmp_path: Path) -> None:
    record, _ = run(toy.ToyTask(), tmp_path)
    for name in ("dsd", "random"):
        sparse, redense = record.arms[name].phases
        assert sparse.mask is not None
        assert [(m.name, m.weights, m.kept, m.zeros) for m in sparse.mask] == [
            ("4.weight", 128, 64, 64),
            ("5.weight", 32, 16, 16),
        ]
        assert redense.mask is None
    assert all(phase.mask is None for phase in record.arms["control"].phases)


def test_every_batch_is_fetched_once_and_shared_by_the_arms(tmp_path: Path) -> None:
    task = toy.ToyTask()
    run(task, tmp_path)
    assert task.served == list(range(22))


def test_sparsity_zero_makes_dsd_the_control_bit_for_bit(tmp_path: Path) -> None:
    phases = tuple(dataclasses.replace(phase, sparsity=0.0) for phase in toy.RECIPE.schedule)
    recipe = dataclasses.replace(toy.RECIPE, schedule=Schedule(phases))
    record, _ = run(toy.ToyTask(recipe), tmp_path, arms=("control", "dsd"))
    control, dsd = record.arms["control"], record.arms["dsd"]
    assert [(p.train, p.test) for p in control.curve] == [(p.train, p.test) for p in dsd.curve]


def test_random_prunes_other_weights_than_dsd(tmp_path: Path) -> None:
    record, _ = run(toy.ToyTask(), tmp_path)
    assert record.arms["random"].curve[0].train != record.arms["dsd"].curve[0].train


@pytest.mark.promise(1)
def test_same_seed_same_record_and_other_seed_another(tmp_path: Path) -> None:
    first, _ = run(toy.ToyTask(), tmp_path / "a")
    again, _ = run(toy.ToyTask(), tmp_path / "b")
    other, _ = run(toy.ToyTask(seed=1), tmp_path / "c", seed=1)
    assert comparable(first) == comparable(again)
    assert comparable(first) != comparable(other)


# 10 steps of D, then 12 of the arms: middle and last step of D, first of S, mid S, last of S, first of D2, the last.
@pytest.mark.parametrize("step", [5, 10, 11, 14, 17, 18, 22])
@pytest.mark.promise(2)
def test_stopping_anywhere_and_going_on_changes_nothing(tmp_path: Path, step: int) -> None:
    whole, _ = run(toy.ToyTask(), tmp_path / "whole")
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(), tmp_path / "cut", StopAt(step))
    assert not (tmp_path / "cut" / "records").exists()
    task = toy.ToyTask()
    resumed, trial = run(task, tmp_path / "cut")
    assert comparable(resumed) == comparable(whole)
    assert task.served == list(range(step, 22))  # nothing is trained twice
    assert resumed.interruptions == 1
    assert not trial.path.exists()


@pytest.mark.promise(2)
def test_stopping_at_every_step_changes_nothing(tmp_path: Path) -> None:
    whole, _ = run(toy.ToyTask(), tmp_path / "whole")
    for _ in range(22):
        with pytest.raises(InterruptedTrial):
            run(toy.ToyTask(), tmp_path / "cut", StopAt(1))
    resumed, _ = run(toy.ToyTask(), tmp_path / "cut")
    assert comparable(resumed) == comparable(whole)
    assert resumed.interruptions == 22


# 10 steps of D, 7 of S, then 5 each of D2, S and D2. Checkpoints must keep the masks of the first S for comparison in the second.
@pytest.mark.parametrize("step", [17, 20, 22, 23, 24, 27, 30])
@pytest.mark.promise(2)
def test_two_iterations_resume_inside_the_second_one(tmp_path: Path, step: int) -> None:
    phases = (*toy.RECIPE.schedule.phases, Phase("sparse", 1, 0.02, sparsity=0.25), Phase("redense", 1, 0.01))
    recipe = dataclasses.replace(toy.RECIPE, schedule=Schedule(phases))
    whole, _ = run(toy.ToyTask(recipe), tmp_path / "whole")
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(recipe), tmp_path / "cut", StopAt(step))
    resumed, _ = run(toy.ToyTask(recipe), tmp_path / "cut")
    assert comparable(resumed) == comparable(whole)
    masks = [p.mask for p in resumed.arms["dsd"].phases if p.mask]
    assert [[m.zeros for m in mask] for mask in masks] == [[64, 16], [32, 8]]
    assert all(m.again is not None for m in masks[1])
    assert [p.regrown is not None for p in resumed.arms["dsd"].phases] == [False, True, False, True]


@pytest.mark.promise(8)
def test_nan_stops_before_the_update_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[torch.Tensor, Learner]] = []
    original = Learner.train_step

    def spy(self: Learner, batch: object, noise_seed: int) -> None:
        if self.offset + self.step == 12:
            seen.append((next(iter(self.model.parameters())).detach().clone(), self))
        original(self, batch, noise_seed)

    monkeypatch.setattr(Learner, "train_step", spy)
    task = toy.ToyTask(poison=12)
    with pytest.raises(NonFiniteError, match=r"arm 'control', dense phase, step 2 .*Batch: sample\d+"):
        run(task, tmp_path)
    assert len(seen) == 4
    for before, learner in seen:
        assert torch.equal(next(iter(learner.model.parameters())), before)
    (path,) = (tmp_path / "records").glob("*.json")
    record = store.read(path)
    assert record.status == "failed"
    assert record.failure is not None
    assert (record.failure.arm, record.failure.step) == ("control", 2)
    assert all(sample in record.failure.message for sample in task.batch_ids(12))
    assert record.cost.steps == 10 + 4 * 2
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == []


@pytest.mark.promise(8)
def test_a_gradient_that_is_no_number_stops_before_the_update(tmp_path: Path) -> None:
    class Steep(toy.ToyTask):
        def loss(self, model: nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, Shown]]:
            loss, shown = super().loss(model, batch)
            if len(self.served) == 13:  # finite, but its derivative at zero is not
                loss = loss + (next(iter(model.parameters())).flatten()[0] * 0).sqrt()
            return loss, shown

    with pytest.raises(NonFiniteError, match=r"gradient's norm is nan in arm 'control', dense phase, step 2 .*Batch: "):
        run(Steep(), tmp_path)
    (path,) = (tmp_path / "records").glob("*.json")
    assert store.read(path).status == "failed"


def test_a_record_tells_how_much_clipping_shortened_the_gradient(tmp_path: Path) -> None:
    norms: list[float] = []

    class Listening(toy.ToyTask):
        def loss(self, model: nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, Shown]]:
            loss, shown = super().loss(model, batch)
            grads = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
            norms.append(float(torch.cat([g.flatten() for g in grads]).norm()))
            return loss, shown

    first, _ = run(Listening(), tmp_path / "free")
    assert all(phase.clipping is None for phase in first.dense.phases) if first.dense else False
    bound = sorted(norms[:10])[4]  # clips about half of D
    norms.clear()
    recipe = dataclasses.replace(toy.RECIPE, clip_norm=bound)
    record, _ = run(Listening(recipe), tmp_path / "clipped")
    assert record.dense is not None
    (clipping,) = [phase.clipping for phase in record.dense.phases]
    assert clipping is not None
    assert clipping.share == sum(norm > bound for norm in norms[:10]) / 10
    assert 0 < clipping.share < 1
    assert clipping.factor == pytest.approx(sum(min(1, bound / norm) for norm in norms[:10]) / 10)


@pytest.mark.promise(8)
def test_a_score_that_is_no_number_fails_the_trial_and_says_where(tmp_path: Path) -> None:
    class Broken(toy.ToyTask):
        def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
            result = super().evaluate(model, thorough)
            return dataclasses.replace(result, metrics={"error": float("nan")}) if len(self.served) > 15 else result

    with pytest.raises(NonFiniteError, match="test error is nan in arm 'control', dense phase, step 6"):
        run(Broken(), tmp_path)
    (path,) = (tmp_path / "records").glob("*.json")
    assert store.read(path).status == "failed"


@pytest.mark.promise(10)
def test_a_second_process_does_not_run_the_same_trial(tmp_path: Path) -> None:
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(), tmp_path, StopAt(5))
    (folder,) = (tmp_path / "checkpoints").iterdir()
    with FileLock(folder / "lock"), pytest.raises(ValueError, match="another process is running this trial"):
        run(toy.ToyTask(), tmp_path)
    record, _ = run(toy.ToyTask(), tmp_path)  # the lock is free again
    assert record.interruptions == 1


@pytest.mark.promise(10)
def test_a_trial_that_another_process_ended_meanwhile_is_not_trained_again(tmp_path: Path) -> None:
    """A process may look for the record just before it is written, and then find the lock free just after."""
    run(toy.ToyTask(), tmp_path)
    late = toy.ToyTask()
    with pytest.raises(TakenError, match=r"another process has just run this trial: .*\.json"):
        run(late, tmp_path)
    assert late.served == []
    assert len(list((tmp_path / "records").glob("*.json"))) == 1


def test_a_checkpoint_and_a_record_of_another_version_are_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, changed = toy.ROW, dataclasses.replace(toy.ROW, version=2)
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(), tmp_path, StopAt(5))
    monkeypatch.setattr(toy, "ROW", changed)
    with pytest.raises(ValueError, match=r"is of numerics toy 1, these are toy 2: use --fresh"):
        run(toy.ToyTask(), tmp_path)
    monkeypatch.setattr(toy, "ROW", own)
    run(toy.ToyTask(), tmp_path)
    assert ended(toy.plan(tmp_path), toy.ToyTask()) is not None
    monkeypatch.setattr("benchmarks.training.result.SUITE", "9.9")  # the version of the suite does not matter
    assert ended(toy.plan(tmp_path), toy.ToyTask()) is not None
    monkeypatch.setattr(toy, "ROW", changed)
    assert ended(toy.plan(tmp_path), toy.ToyTask()) is None


def test_a_loader_that_dies_of_the_signal_takes_no_checkpoint_with_it(tmp_path: Path) -> None:
    class Dying(toy.ToyTask):
        def batches(self, first_step: int, last_step: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            yield from super().batches(first_step, min(last_step, 13))
            if last_step > 13:
                stop.left = 1  # the signal reached the trial and its loader
                raise RuntimeError("DataLoader worker exited unexpectedly")

    stop = StopAt(1000)
    with pytest.raises(InterruptedTrial):
        run(Dying(), tmp_path, stop)
    task = toy.ToyTask()
    resumed, _ = run(task, tmp_path)
    assert task.served == list(range(13, 22))
    assert comparable(resumed) == comparable(run(toy.ToyTask(), tmp_path / "whole")[0])


def test_what_differed_before_an_interruption_is_recorded(tmp_path: Path) -> None:
    older = dataclasses.replace(toy.ORIGIN, commit="a" * 40, dirty=True)
    for step, origin in ((5, older), (3, toy.ORIGIN)):
        with pytest.raises(InterruptedTrial):
            run(toy.ToyTask(), tmp_path, StopAt(step), origin=origin)
    record, _ = run(toy.ToyTask(), tmp_path)
    assert record.commit == "c" * 40
    assert record.earlier == ["commit aaaaaaaaaaaa (dirty), torch 2.12, cpu, 1 threads, float32"]


def test_time_is_counted_once_and_fetching_is_shared(tmp_path: Path) -> None:
    class Slow(toy.ToyTask):
        def batches(self, first_step: int, last_step: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            for batch in super().batches(first_step, last_step):
                time.sleep(0.02)
                yield batch

    started = time.perf_counter()
    record, _ = run(Slow(), tmp_path, arms=("control", "dsd"))
    passed = time.perf_counter() - started
    assert 22 * 0.02 < record.cost.seconds <= passed
    assert all(arm.cost.seconds > 12 * 0.02 / 2 for arm in record.arms.values())


def test_a_finished_trial_is_found_by_what_decides_its_outcome(tmp_path: Path) -> None:
    run(toy.ToyTask(), tmp_path)
    assert ended(toy.plan(tmp_path), toy.ToyTask()) is not None
    assert ended(toy.plan(tmp_path, seed=1), toy.ToyTask()) is None
    longer = dataclasses.replace(toy.RECIPE, batch_size=4)
    assert ended(toy.plan(tmp_path, recipe=longer), toy.ToyTask(longer)) is None
    worded = dataclasses.replace(toy.RECIPE, notes=("prose changes nothing",))
    assert ended(toy.plan(tmp_path, recipe=worded), toy.ToyTask(worded)) is not None


def test_the_first_update_after_a_restart_is_measured(tmp_path: Path) -> None:
    record, _ = run(toy.ToyTask(), tmp_path)
    assert record.dense is not None
    assert len(record.dense.first_step_in_lr) == 1
    assert all(len(arm.first_step_in_lr) == 2 and min(arm.first_step_in_lr) > 0 for arm in record.arms.values())


@pytest.mark.parametrize(
    ("every", "steps"), [(0.5, [2, 5, 8, 10]), (1.0, [5, 10]), (0.1, [*range(1, 11)]), (5.0, [10])]
)
def test_evaluations_divide_a_phase_evenly_also_where_an_interval_is_no_whole_number_of_steps(
    tmp_path: Path, every: float, steps: list[int]
) -> None:
    task = toy.ToyTask(dataclasses.replace(toy.RECIPE, evaluate_every=every))
    record, _ = run(task, tmp_path, arms=("control", "dsd"))
    assert record.dense is not None
    assert [point.step for point in record.dense.curve] == steps
