"""Writes the progress file of a running trial (`benchmarks.records.progress`; `benchmarks/README.md` documents its lines)."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.records.progress import FORMAT, Writer
from benchmarks.training.learner import Learner
from benchmarks.training.plan import Plan
from benchmarks.training.timing import peak_of_this_process
from tasks import distributed
from tasks.task import Task

LINE_EVERY_SECONDS = 10.0
"""Time between two `train` lines of an arm."""


class Watch:
    """The progress file of one trial. Only the first process of a run writes.

    Args:
        plan: the trial's plan.
        task: the trial's task.
        total: the trial's arm-steps. An arm-step is one optimizer step of one arm.
    """

    def __init__(self, plan: Plan, task: Task, total: int) -> None:
        self._plan, self._task, self._total = plan, task, total
        self._writer: Writer | None = None
        self._began, self._begun_at = time.perf_counter(), 0
        self._last_line = -LINE_EVERY_SECONDS

    @property
    def length(self) -> int:
        """The length of the file in bytes, which a checkpoint stores."""
        return self._writer.length if self._writer else 0

    def begin(self, done: int, interruptions: int, length: int) -> None:
        """Start or continue the file after `done` arm-steps; `length` is the length in bytes that the checkpoint stored."""
        self._began, self._begun_at = time.perf_counter(), done
        if not distributed.is_rank_zero():
            return
        plan, metric = self._plan, self._task.metric
        self._writer = Writer(plan.progress(self._task), length)
        self._writer.write(
            "start",
            format=FORMAT,
            trial=plan.key(self._task),
            row=plan.row.name,
            scale=plan.scale,
            seed=plan.seed,
            arms=list(plan.arms),
            metric=metric.name,
            unit=metric.unit,
            lower_is_better=metric.lower_is_better,
            done=done,
            total=self._total,
            interruptions=interruptions,
            host=socket.gethostname(),
            pid=os.getpid(),
            device=plan.provenance.hardware.gpu or "cpu",
        )

    def step(
        self, learners: Mapping[str, Learner], numbers: Mapping[str, Sequence[Mapping[str, float]]], done: int
    ) -> None:
        """Write lines for starts and ends of phases, for evaluations and, every few seconds, for the training numbers.

        Args:
            learners: the learners that took the step.
            numbers: the training numbers of all steps that were read from the device since the last call.
            done: the trial's arm-steps so far.
        """
        if self._writer is None:
            return
        now = time.perf_counter()
        due = now - self._last_line >= LINE_EVERY_SECONDS
        for name, learner in learners.items():
            if learner.schedule.at(learner.step - 1, learner.steps_per_epoch).first:
                self._line("phase_start", learner, done)
            if due and (read := numbers.get(name)):
                self._last_line = now
                self._line("train", learner, done, **read[-1], **self._pace(done), **self._memory(learner))
            if learner.due():
                point = learner.journal.curve[-1]
                self._line("evaluation", learner, done, test=point.test, train=point.train)
            if learner.at_phase_end():
                phase = learner.journal.phases[-1]
                self._line("phase_end", learner, done, test=phase.test, train=phase.train)

    def end(self, status: str, done: int, **fields: Any) -> None:
        """Write the last line: "finished", "failed" or "interrupted" after `done` arm-steps."""
        if self._writer is not None:
            self._writer.write("end", status=status, done=done, total=self._total, **fields)

    def _line(self, event: str, learner: Learner, done: int, **fields: Any) -> None:
        position = learner.schedule.at(learner.step - 1, learner.steps_per_epoch)
        assert self._writer is not None
        self._writer.write(
            event,
            arm=learner.name,
            phase=position.phase.kind,
            phase_number=position.index,
            step=learner.offset + learner.step,
            epoch=round((learner.offset + learner.step) / learner.steps_per_epoch, 4),
            done=done,
            total=self._total,
            lr=position.lr,
            **fields,
        )

    def _pace(self, done: int) -> dict[str, float]:
        rate = (done - self._begun_at) / max(time.perf_counter() - self._began, 1e-9)
        return {
            "samples_per_second": round(rate * self._task.recipe.batch_size, 1),
            "seconds_left": round((self._total - done) / max(rate, 1e-9), 1),
        }

    def _memory(self, learner: Learner) -> dict[str, int]:
        cuda = next(learner.model.parameters()).is_cuda
        return {
            "memory": peak_of_this_process(),
            "device_memory": torch.cuda.max_memory_allocated() if cuda else 0,
        }
