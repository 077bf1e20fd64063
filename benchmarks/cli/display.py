"""The live display of a running trial: time left, speed, phase, and each arm's loss and metric."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from benchmarks.training.learner import Learner
from tasks.recipe import Metric

PHASES = {"dense": "dense (D)", "sparse": "sparse (S)", "redense": "re-dense (D2)"}
_BESIDE = ("unmasked (S)", "unmasked (D2)")
"""Phase names of an arm without masks while the arms with masks are in S and in D2."""

_SMOOTHING = 0.95  # of the displayed training loss, per step
_LINE_EVERY_SECONDS = 15.0  # when output is not a terminal


class Display:
    """Progress over `total` arm-steps. An arm-step is one optimizer step of one arm."""

    def __init__(self, console: Console, total: int, metric: Metric, batch_size: int) -> None:
        self._console, self._total, self._metric, self._batch = console, total, metric, batch_size
        self._done = 0
        self._fresh = 0
        self._started = time.perf_counter()
        self._last_line = 0.0
        self._loss: dict[str, float] = {}
        self._title = ""
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a permanent line."""
        self._console.print(text, highlight=False, markup=False)

    def trial(self, title: str) -> None:
        """Start a new trial."""
        self._title, self._loss = title, {}

    def skip(self, arm_steps: int) -> None:
        """Count arm-steps already taken: by a finished trial or up to a checkpoint."""
        self._done += arm_steps

    def step(self, learners: Mapping[str, Learner], numbers: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
        """Show the state after one step of each learner. `numbers` are those of all steps read since the last call, by learner."""
        self._done += len(learners)
        self._fresh += len(learners)
        for name, steps in numbers.items():
            for step in steps:
                before = self._loss.get(name, step["loss"])
                self._loss[name] = _SMOOTHING * before + (1 - _SMOOTHING) * step["loss"]
        if self._live:
            self._live.update(self._table(learners))
        elif time.perf_counter() - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = time.perf_counter()
            arms = " | ".join(f"{name} {self._numbers(learner)}" for name, learner in learners.items())
            self.say(f"{self._title} · {self._where(learners)} · {self._speed()} | {arms}")

    def _where(self, learners: Mapping[str, Learner]) -> str:
        learner = learners.get("dsd") or next(iter(learners.values()))
        position = learner.schedule.at(learner.step - 1, learner.steps_per_epoch)
        spe = learner.steps_per_epoch
        done, length = (position.step + 1) / spe, position.steps / spe
        return f"{phase_name(learner)} {done:.2f}/{length:.2f} epochs"

    def _speed(self) -> str:
        rate = self._fresh / max(time.perf_counter() - self._started, 1e-9)
        left = (self._total - self._done) / max(rate, 1e-9)
        share = 100 * self._done / max(self._total, 1)
        return f"{rate * self._batch:,.0f} samples/s · {share:.0f} % · {duration(left)} left"

    def _numbers(self, learner: Learner) -> str:
        return f"loss {self._training(learner, 3)}, {self._metric.name} {self._test(learner)}"

    def _training(self, learner: Learner, digits: int) -> str:
        return f"{self._loss[learner.name]:.{digits}f}" if learner.name in self._loss else "-"

    def _test(self, learner: Learner) -> str:
        for point in reversed(learner.journal.curve):
            if point.test is not None:
                return f"{point.test[self._metric.name]:.2f} {self._metric.unit}"
        return "-"

    def _table(self, learners: Mapping[str, Learner]) -> RenderableType:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("arm", "phase", "rate", "training loss", f"last test {self._metric.name}"):
            table.add_column(heading, justify="left" if heading in ("arm", "phase") else "right")
        for name, learner in learners.items():
            position = learner.schedule.at(learner.step - 1, learner.steps_per_epoch)
            phase = phase_name(learner) + (f" {position.phase.sparsity:.0%} pruned" if learner.masks else "")
            table.add_row(name, phase, f"{position.lr:.2g}", self._training(learner, 4), self._test(learner))
        return Group(f"[bold]{self._title}[/] · {self._where(learners)} · {self._speed()}", table)


def phase_name(learner: Learner) -> str:
    """Return the display name of a learner's phase. Dense phases after D are called "unmasked", not D."""
    position = learner.schedule.at(learner.step - 1, learner.steps_per_epoch)
    if position.phase.kind == "dense" and learner.name != "dense":
        return _BESIDE[position.index % 2]
    return PHASES[position.phase.kind]


def duration(seconds: float) -> str:
    """Return a duration as text: "45 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"
