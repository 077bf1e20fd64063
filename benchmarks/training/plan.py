"""What is to be run, and where: the name of a trial, its random streams, its files."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import torch

from benchmarks.records import store
from benchmarks.records.naming import key
from benchmarks.records.schema import Record
from benchmarks.training.provenance import Provenance
from tasks.pretrained import Weights
from tasks.random_streams import derive
from tasks.recipe import Recipe, Scale
from tasks.row import Row
from tasks.task import Task


@dataclass(frozen=True)
class Plan:
    """What is to be run: facts that decide the outcome, and where things go."""

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
        """Return the trial's name: readable, and different where anything that decides the outcome is."""
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
        """Return where an arm's final weights are kept, or those at the end of one of its phases, if they are."""
        return self.out / "weights" / f"{self.key(task)}-{arm}{phase and '-'}{phase}.safetensors"

    def ends(self, started: str) -> datetime:
        """Return when the trial ends, by the clock, but not before it `started` nor before an earlier trial of its seed ended.

        A clock may be set back. The newest record of a seed is the one that tables take, and "newest" is told by this.
        """
        later = [datetime.fromisoformat(started)]
        for path in self.records().glob(f"{self.row.name}-{self.scale}-seed{self.seed}-*.json"):
            with contextlib.suppress(ValueError):  # whatever a foreign file is called
                stamp = path.stem.rpartition("-")[2].removesuffix("Z")
                later.append(datetime.strptime(f"{stamp}000+0000", "%Y%m%dT%H%M%S%f%z") + timedelta(seconds=1))
        return max(datetime.now(UTC), *later)

    def checkpoint(self, task: Task) -> Path:
        """Return where the unfinished trial is kept."""
        return self.out / "checkpoints" / self.key(task) / "trial.pt"


def ended(plan: Plan, task: Task) -> tuple[Path, Record] | None:
    """Return the newest record of this trial by the domain's present arithmetic, finished ones before failed ones."""
    found = [(path, store.read(path)) for path in sorted(plan.records().glob(f"{plan.key(task)}-*.json"))]
    ours = [(path, record) for path, record in found if record.numerics == plan.row.numerics]
    return max(ours, key=lambda one: (one[1].status == "finished", one[1].finished), default=None)
