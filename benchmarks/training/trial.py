"""One trial: D once, then a fork into the arms. On each batch, every arm takes one step in turn."""

from __future__ import annotations

import contextlib
import copy
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.arms.arm import ArmPlan, dense_schedule
from benchmarks.arms.registry import arm_plan
from benchmarks.records.schema import Arm, Cost, Dense, Failure
from benchmarks.training import checkpoint, lock, result, saved_weights
from benchmarks.training.interruption import InterruptedTrial, Stop
from benchmarks.training.learner import Learner, NonFiniteError, make_optimizer
from benchmarks.training.plan import Plan, ended
from benchmarks.training.progress import Progress
from benchmarks.training.progress_writer import Watch
from benchmarks.training.stopwatch import Stopwatch
from tasks import distributed
from tasks.data.threads import LoaderError
from tasks.random_streams import derive
from tasks.task import Batch, Evaluation, Task

CHECKPOINT_EVERY_SECONDS = 120.0
CHECKPOINT_SHARE = 0.02  # writing checkpoints may take this share of the time


def forks(plans: Sequence[ArmPlan], steps_per_epoch: int) -> dict[str, tuple[str, int]]:
    """Return arm name to (name of the earlier arm with which it shares the most first phases, number of shared phases).

    Arms that share no phase are omitted.
    """
    found = {}
    for number, plan in enumerate(plans):
        shared = {other.name: other.shared_phases(plan, steps_per_epoch) for other in plans[:number]}
        most = max(shared.values(), default=0)
        if most:
            found[plan.name] = next(name for name, phases in shared.items() if phases == most), most
    return found


class Trial:
    """Trains one trial from its checkpoint (with `fresh`, from the beginning) and writes its record.

    `met` are the operations without a deterministic algorithm that this process has run (see `benchmarks.training.determinism`).
    """

    def __init__(
        self,
        plan: Plan,
        task: Task,
        progress: Progress,
        stop: Stop,
        fresh: bool = False,
        met: set[str] | None = None,
    ) -> None:
        self.plan, self.task, self.progress, self.stop, self.fresh = plan, task, progress, stop, fresh
        self.given = plan.dense
        self.met = set() if met is None else met
        self.path = plan.checkpoint(task)
        spe = task.steps_per_epoch()
        self.dense_steps = dense_schedule(plan.recipe).boundaries(spe)[-1]
        self.plans = {name: arm_plan(plan.recipe, name, spe) for name in plan.arms}
        self.forks = forks(list(self.plans.values()), spe)
        self._shared_steps = 0 if self.given else self.dense_steps
        arm_steps = sum(one.schedule.boundaries(spe)[-1] for one in self.plans.values())
        self.watch = Watch(plan, task, self._shared_steps + arm_steps)
        self._waiting: set[str] = set()  # arms whose first phases another arm is training
        self.dense: Dense | None = None
        self.dense_said: list[dict[str, str]] = []
        self.started = result.as_text(datetime.now(UTC))
        self.interruptions = 0
        self.earlier: list[str] = []
        self.learners: dict[str, Learner] = {}
        self._evaluations: dict[str, Evaluation] = {}
        self._saved = time.perf_counter()
        self._save_took = 0.0

    def run(self) -> Path:
        """Train to the end and return the path of the record.

        Raises:
            InterruptedTrial: a stop was requested; the checkpoint is written.
            NonFiniteError: a loss or a score was NaN or infinite; a record of the failure is written.
            TakenError: another process is running this trial, or has just run it.
            ValueError: the checkpoint cannot be read or is from another version.
        """
        with contextlib.ExitStack() as holding:
            distributed.on_rank_zero(lambda: self._take(holding))
            try:
                return self._run()
            finally:
                if distributed.is_rank_zero() and not self.path.exists():
                    # Some file systems delete an open lock file only later, so removing its folder may fail.
                    shutil.rmtree(self.path.parent, ignore_errors=True)

    def _take(self, holding: contextlib.ExitStack) -> None:
        """Lock the trial until `holding` is closed."""
        holding.enter_context(lock.held(self.path.parent, self.plan.command))
        if self.fresh:
            self.path.unlink(missing_ok=True)
        elif not self.path.exists() and (done := ended(self.plan, self.task)):
            raise lock.TakenError(f"another process has just run this trial: {done[0]}")

    def _run(self) -> Path:
        saved = checkpoint.load(self.path) if self.path.exists() else None
        distributed.barrier()  # no process may write or delete the checkpoint before all have read it
        if saved is not None:
            if (of := saved["numerics"]) != self.plan.row.numerics:
                raise ValueError(f"{self.path} is of numerics {of}, these are {self.plan.row.numerics}: use --fresh")
            self.started, self.interruptions = saved["started"], saved["interruptions"] + 1
            self.met.update(saved.get("met", ()))
            sessions = [*saved["earlier"], saved["session"]]
            self.earlier = [one for one in dict.fromkeys(sessions) if one != self.plan.provenance.sentence()]
        before = {name: state["step"] for name, state in saved["learners"].items()} if saved else {}
        self.watch.begin(self._done(before), self.interruptions, saved.get("progress", 0) if saved else 0)
        learners: dict[str, Learner] = {}
        try:
            learners = self._fork(saved) if saved and saved["dense"] else self._fork(self._train_dense(saved))
            self._train(learners)
        except NonFiniteError as error:
            first = self._first(error)
            failure = Failure(arm=first.arm, phase=first.phase, step=first.step, message=str(first))
            costs = [learner.journal.spent(learner.step) for learner in self.learners.values()]
            distributed.on_rank_zero(lambda: self._conclude({}, failure, costs, {}))
            self.watch.end("failed", self._steps(self.learners), message=str(first))
            raise first from None
        finally:
            for learner in learners.values():
                learner.finish()
        final = {name: self._final(learner) for name, learner in learners.items()}
        arms = {name: Arm(**learner.results(final[name])) for name, learner in learners.items()}
        said = {"dense": self.dense_said}
        said |= {name: evaluation.samples for name, evaluation in final.items()}
        costs = [learner.journal.spent(learner.step) for learner in learners.values()]
        path = distributed.on_rank_zero(lambda: self._conclude(arms, None, costs, said))
        self.watch.end("finished", self._steps(learners), record=path.stem)
        return path

    def _first(self, error: NonFiniteError) -> NonFiniteError:
        """Read all arms, and return the failure with the smallest step. If several arms fail there, return the first arm's."""
        found = {error.arm: error}
        for name, learner in self.learners.items():
            try:
                learner.read()
            except NonFiniteError as other:
                found[name] = other
        return min((found[name] for name in self.learners if name in found), key=lambda one: one.step)

    def _conclude(
        self, arms: dict[str, Arm], failure: Failure | None, costs: list[Cost], said: dict[str, list[dict[str, str]]]
    ) -> Path:
        """Write the record and delete the checkpoint."""
        history = result.History(self.started, self.interruptions, tuple(self.earlier), frozenset(self.met))
        path = result.write(self.plan, self.task, history, self.dense, arms, failure, costs, said)
        self.path.unlink(missing_ok=True)
        return path

    def _train_dense(self, saved: dict[str, Any] | None) -> dict[str, Any]:
        """Train D (or use the given network) and return the state from which the arms start."""
        model = self.task.model()
        plan = ArmPlan("dense", dense_schedule(self.plan.recipe), follow_weights=True)
        learner = Learner(plan, self.task, model, make_optimizer(self.plan.recipe, model))
        if self.given is not None:
            self.given.load_into(model)
            started = time.perf_counter()
            final = self.task.evaluate(model, True)
            learner.journal.spend(time.perf_counter() - started)
        else:
            if saved is not None:
                learner.restore(saved["learners"]["dense"])
                self.progress.skip(learner.step)
            self._train({"dense": learner})
            final = self._final(learner)
        source, sha256 = (self.given.source, self.given.sha256) if self.given else ("trained", None)
        self.dense = Dense(source=source, sha256=sha256, **learner.results(final))
        return {"dense": self.dense.model_dump(), "dense_said": final.samples, "start": learner.state()}

    def _fork(self, state: dict[str, Any]) -> dict[str, Learner]:
        """Return one learner per arm, all from the same dense network and optimizer state, or from the checkpoint."""
        self.dense = Dense.model_validate(state["dense"])
        self.dense_said = state["dense_said"]
        start = self.task.model()
        if self.given is not None:
            self.given.load_into(start)
        learners: dict[str, Learner] = {}
        for name, plan in self.plans.items():
            model = copy.deepcopy(start)
            optimizer = make_optimizer(self.plan.recipe, model)
            seed = derive(self.plan.stream(), "mask", name)
            learners[name] = Learner(plan, self.task, model, optimizer, self.dense_steps, seed)
            if name in state.get("learners", {}):
                learners[name].restore(state["learners"][name])
                self.progress.skip(learners[name].step)
            elif name in self.forks:
                self._waiting.add(name)
            else:
                model.load_state_dict(state["start"]["model"])
                optimizer.load_state_dict(copy.deepcopy(state["start"]["optimizer"]))
        if "learners" in state:
            self.progress.skip(0 if self.given else self.dense_steps)
        else:
            self._save(learners)
        return learners

    def _train(self, learners: dict[str, Learner]) -> None:
        self.learners = learners
        lead = next(iter(learners.values()))
        steps = lead.steps
        noise = derive(self.plan.stream(), "noise")
        first, last = lead.offset + lead.step, lead.offset + steps
        for number, batch in enumerate(self._fetch(learners, first, last), start=first):
            awake = self._awake(learners)
            for learner in awake.values():
                learner.train_step(batch, derive(noise, number))
            for name, learner in awake.items():
                if learner.due():
                    self._evaluations[name] = learner.evaluate()
                if self.plan.save_weights and distributed.is_rank_zero():
                    saved_weights.save(learner, self.plan, self.task)
            self._fork_off(learners)
            numbers = {name: learner.journal.take_unread() for name, learner in awake.items()}
            self.progress.step(awake, numbers)
            self.watch.step(awake, numbers, self._steps(learners))
            self._stop_if_asked(learners)
            if lead.step < steps and self._save_due(lead):
                self._save(learners)

    def _steps(self, learners: Mapping[str, Learner]) -> int:
        """Return the arm-steps taken so far."""
        return self._done({name: one.step for name, one in learners.items()})

    def _done(self, steps: Mapping[str, int]) -> int:
        """Return the arm-steps taken, given the step of each learner."""
        return sum(steps.values()) + (0 if "dense" in steps or not steps else self._shared_steps)

    def _awake(self, learners: dict[str, Learner]) -> dict[str, Learner]:
        return {name: one for name, one in learners.items() if name not in self._waiting}

    def _fork_off(self, learners: dict[str, Learner]) -> None:
        """Start the arms whose shared phases have just ended."""
        for name, (leader, phases) in self.forks.items():
            if name in self._waiting and leader not in self._waiting:
                one = learners[leader]
                if one.step == one.ends[phases - 1]:
                    learners[name].fork(one, phases)
                    self._waiting.remove(name)
                    self.progress.skip(one.step)

    def _fetch(self, learners: dict[str, Learner], first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps [first, last). All learners share the loading time."""
        batches = self.task.batches(first, last)
        loading = Stopwatch(self.plan.device)
        while True:
            loading.start()
            try:
                batch = next(batches)
            except StopIteration:
                return
            except (LoaderError, RuntimeError):
                # A stop signal may have ended the loader's processes first. With several trainer processes, the other ones wait
                # at another operation, so no checkpoint can be written, and the run resumes from the last one.
                if distributed.world_size() == 1:
                    self._stop_if_asked(learners)
                raise
            loading.stop()
            passed = loading.take()
            awake = self._awake(learners)
            for learner in awake.values():
                learner.journal.spend(passed / len(awake))
            yield batch

    def _stop_if_asked(self, learners: dict[str, Learner]) -> None:
        reason = self.stop.agreed()
        if reason is not None:
            self._save(learners)
            self.watch.end("interrupted", self._steps(learners), reason=reason)
            distributed.barrier()  # when one process ends, torchrun ends all processes, even while one writes
            raise InterruptedTrial(reason)

    def _final(self, learner: Learner) -> Evaluation:
        """Return the evaluation after the last step. Repeat it if it was made before an interruption."""
        return self._evaluations.get(learner.name) or self.task.evaluate(learner.model, True)

    def _save_due(self, lead: Learner) -> bool:
        pause = max(CHECKPOINT_EVERY_SECONDS, self._save_took / CHECKPOINT_SHARE)
        return lead.at_phase_end() or time.perf_counter() - self._saved > pause

    def _save(self, learners: dict[str, Learner]) -> None:
        for learner in self._awake(learners).values():
            learner.read()  # in every process
        if not distributed.is_rank_zero():
            return
        started = time.perf_counter()
        state = {
            "started": self.started,
            "interruptions": self.interruptions,
            "numerics": self.plan.row.numerics,
            "session": self.plan.provenance.sentence(),
            "earlier": self.earlier,
            "met": sorted(self.met),
            "dense": self.dense.model_dump() if self.dense else None,
            "dense_said": self.dense_said,
            "progress": self.watch.length,
            "learners": {name: learner.state() for name, learner in self._awake(learners).items()},
        }
        checkpoint.save(state, self.path)
        self._saved = time.perf_counter()
        self._save_took = self._saved - started
