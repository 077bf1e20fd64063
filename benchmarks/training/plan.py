"""The plan of a trial: its name, its random streams and its files."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import torch

from benchmarks.records import store
from benchmarks.records.naming import key, weights_file
from benchmarks.records.schema import Record
from benchmarks.training.provenance import Provenance
from tasks.pretrained import Weights
from tasks.random_streams import derive
from tasks.recipe import Recipe, Scale
from tasks.row import Row
from tasks.task import Task


@dataclass(frozen=True)
class Plan:
    """The facts that decide a trial's outcome, and where its files go."""

    row: Row
    scale: Scale
    recipe: Recipe
    seed: int
    arms: tuple[str, ...]
    custom: tuple[str, ...]
    command: str
    out: Path
    device: torch.device
    provenance: Provenance
    dense: Weights | None = None
    save_weights: bool = False

    def key(self, task: Task) -> str:
        """Return the trial's name: readable, and unique to the facts that decide its outcome."""
        return key(
            self.row.name,
            self.scale,
            self.seed,
            task.report.fingerprint,
            self.recipe.hash(),
            self.arms,
            self.dense.sha256 if self.dense else None,
            self.custom,
            self.provenance.hardware.processes,
            self.provenance.precision,
        )

    def stream(self) -> int:
        """Return the seed from which all of the trial's random streams are derived."""
        return derive(self.row.name, self.scale, self.seed)

    def records(self) -> Path:
        """Return the folder of records."""
        return self.out / "records"

    def weights(self, task: Task, arm: str, phase: str = "") -> Path:
        """Return the path for an arm's final weights, or for those at the end of one of its phases."""
        return self.out / "weights" / weights_file(self.key(task), arm, phase)

    def ends(self, started: str) -> datetime:
        """Return the end time: now, but after `started` and after the end of earlier trials of its seed.

        The clock may be set back, and tables use the newest record of a seed by this time.
        """
        later = [datetime.fromisoformat(started)]
        for path in self.records().glob(f"{self.row.name}-{self.scale}-seed{self.seed}-*.json"):
            with contextlib.suppress(ValueError):  # ignore files with other names
                stamp = path.stem.rpartition("-")[2].removesuffix("Z")
                later.append(datetime.strptime(f"{stamp}000+0000", "%Y%m%dT%H%M%S%f%z") + timedelta(seconds=1))
        return max(datetime.now(UTC), *later)

    def checkpoint(self, task: Task) -> Path:
        """Return the path of the unfinished trial's checkpoint."""
        return self.out / "checkpoints" / self.key(task) / "trial.pt"

    def progress(self, task: Task) -> Path:
        """Return the path of the trial's progress file."""
        return self.out / "progress" / f"{self.key(task)}.jsonl"


def ended(plan: Plan, task: Task) -> tuple[Path, Record] | None:
    """Return the newest record of this trial with the current numerics, preferring finished over failed ones."""
    found = [(path, store.read(path)) for path in sorted(plan.records().glob(f"{plan.key(task)}-*.json"))]
    ours = [(path, record) for path, record in found if record.numerics == plan.row.numerics]
    return max(ours, key=lambda one: (one[1].status == "finished", one[1].finished), default=None)
