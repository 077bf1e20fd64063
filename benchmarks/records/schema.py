"""The types of a record: one trial that finished or failed, validated when it is written and when it is read.

`content_hash` covers everything else in a record, so that an edit by hand is found.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.statistics.bootstrap import Bootstrap

Moment: TypeAlias = Literal["dense", "pruned", "sparse", "dropped", "redense"]

BINS: Final = 64
"""Bins of a histogram of weights."""

MOMENTS: Final[tuple[Moment, ...]] = ("dense", "pruned", "sparse", "dropped", "redense")
"""The five points of the paper's Figure 2: after D, after pruning, after S, after the mask is dropped, after D2."""


class Part(BaseModel):
    """A part of a record: nothing is added to it, left out of it or changed in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Regrown(Part):
    """The weights of one tensor that S had pruned, as D2 leaves them.

    There are `weights` of them. `below` have a magnitude under `threshold`, the smallest that S kept when it pruned: the same
    cut would prune them again. `magnitude` is their mean |w|, `survivors` that of the weights that S had kept.
    """

    name: str
    weights: int
    below: int
    threshold: float
    magnitude: float
    survivors: float


class Histogram(Part):
    """How many weights lie in each of the equal bins, `below` and `above` them; those that are exactly zero stand apart."""

    moment: Moment
    counts: list[int]
    below: int
    above: int
    zeros: int


class Histograms(Part):
    """The weights of one tensor through the first iteration, as in the paper's Figure 2.

    `layer` is, by a rule fixed beforehand, the largest tensor that is pruned (the first of equals), of so many `weights`.
    The bins reach from -`limit` to `limit`, four standard deviations of these weights after D; each holds its lower edge.
    """

    layer: str
    weights: int
    limit: float
    points: list[Histogram]


SCHEMA_VERSION: Final = 1


class Data(Part):
    """What was trained and tested on. `counts` has at least `train` and `test`, in examples.

    `features` says in a line what a frozen network made of the data, where that is what was trained on; the fingerprint
    covers it. `warnings` are what verification said of the files, each with how many: examples that are tested and trained on
    or tested twice, files left out by quarantine.txt, counts other than the published ones. There were no problems, or training
    had not started: every file that is counted was read and decoded. `published` says so where the counts are exactly the
    published ones.
    """

    name: str
    fingerprint: str
    counts: dict[str, int]
    synthetic: bool
    subset: float
    warnings: list[str]
    features: str = ""
    published: str = ""


class Hardware(Part):
    """The machine. `memory_gib` is what the operating system reports; `gpu` is null on CPU.

    `threads` is of each of the `processes` that shared every batch, which may lie on several such machines.
    """

    cpu: str
    cores: int
    threads: int
    memory_gib: float
    gpu: str | None
    platform: str
    processes: int = 1


class Cost(Part):
    """What something took: wall-clock seconds (evaluation included), optimizer steps, training samples seen."""

    seconds: float
    steps: int
    samples: int


class Point(Part):
    """One point of a curve: where (arm-local step, epoch), the training numbers since the last point, test metrics."""

    step: int
    epoch: float
    lr: float
    train: dict[str, float]
    test: dict[str, float] | None


class LayerMask(Part):
    """One pruned tensor: its size, how many weights the mask keeps, and how many are exactly zero now.

    `again` is how many of the weights pruned by the arm's sparse phase before this one are pruned again, null in its first.
    """

    name: str
    weights: int
    kept: int
    zeros: int
    again: int | None = None


class Clipping(Part):
    """What clipping the gradient's norm did in a phase: share of steps clipped, mean factor the gradient was scaled by."""

    share: float
    factor: float


class Scores(Part):
    """What a network scores on the test set and on training examples, these too without augmentation and dropout."""

    test: dict[str, float]
    train: dict[str, float]


class PhaseResult(Part):
    """One phase of an arm, with the test metrics at its last step and, for sparse ones, the mask at its last step.

    `train` are the scores on training examples at the last step, seen as test examples are. `pruned` are the scores of a
    sparse phase right after pruning, before its first step; those before pruning are the last of the phase before it.
    `clipping` is null where no norm is clipped, `regrown` but in a D2 of the arms dsd and dsd-text, and all of these in records
    older than they are.
    """

    kind: Literal["dense", "sparse", "redense"]
    steps: int
    epochs: float
    first_lr: float
    last_lr: float
    test: dict[str, float]
    mask: list[LayerMask] | None
    cost: Cost
    clipping: Clipping | None = None
    regrown: list[Regrown] | None = None
    train: dict[str, float] | None = None
    pruned: Scores | None = None


class Arm(Part):
    """One way to have spent the budget after D. `test` is the result after the last step.

    `outcomes` are those of the test examples, packed (see `pack_outcomes`); `samples` are a few of them, in words.
    `first_step_in_lr` is the mean size of the first update of each phase, in units of the learning rate. `histograms` are
    those of the weights of one tensor, where the masks are those of magnitude. Where another arm, `forked_from`, began with the
    same phases, it trained the first `shared_phases` for both; `cost` counts them for each.
    """

    phases: list[PhaseResult]
    test: dict[str, float]
    curve: list[Point]
    outcomes: str
    first_step_in_lr: list[float]
    samples: list[dict[str, str]]
    cost: Cost
    histograms: Histograms | None = None
    forked_from: str = ""
    shared_phases: int = 0

    @property
    def shared(self) -> Cost:
        """What the phases cost that another arm trained for this one."""
        costs = [phase.cost for phase in self.phases[: self.shared_phases]]
        return Cost(
            seconds=sum(one.seconds for one in costs),
            steps=sum(one.steps for one in costs),
            samples=sum(one.samples for one in costs),
        )


class Dense(Arm):
    """The dense start that all arms share: trained here (`source` "trained") or given (`source` the file's name)."""

    source: str
    sha256: str | None


class Failure(Part):
    """Where a trial stopped by itself."""

    arm: str
    phase: str
    step: int
    message: str


class Record(Part):
    """One trial. See the field groups above; `command` reruns it from the root of a checkout at `commit`.

    `suite` is the version of the suite that wrote it, `numerics` that of the arithmetic under which its domain's results are
    comparable (of 0.1, which had one version for all, it is empty). `commit`, `dirty`, `versions` and `hardware` are those of
    the process that finished the trial, read when it started; `earlier` says in words what differed in the processes
    before it, where the trial was interrupted. `nondeterministic` are the operations it used that torch has no deterministic
    algorithm for on that device. `outputs` is the SHA-256 of `outputs/ID.csv.gz`, beside the folder of records,
    which holds what D and every arm said of every test example, where the row has such. A field added later has a default, so that
    older records can be read.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    suite: str = "0.1"
    numerics: str = ""
    id: str
    status: Literal["finished", "failed"]
    row: str
    scale: Literal["smoke", "small", "paper"]
    seed: int
    custom: list[str]
    command: str
    started: str
    finished: str
    interruptions: int
    earlier: list[str] = Field(default=[])
    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    hardware: Hardware
    precision: str
    deterministic: bool
    nondeterministic: list[str] = Field(default=[])
    data: Data
    recipe: dict[str, Any]
    recipe_hash: str
    metric: str
    unit: str
    lower_is_better: bool
    dense: Dense | None
    arms: dict[str, Arm]
    bootstrap: dict[str, Bootstrap]
    cost: Cost
    failure: Failure | None
    outputs: str = ""
    content_hash: str = Field(default="")

    def sealed(self) -> Record:
        """Return the same record with its content hash filled in."""
        return self.model_copy(update={"content_hash": content_hash_of(self.model_dump())})


def content_hash_of(content: dict[str, Any]) -> str:
    """Return the SHA-256 of what a file holds, not of what the present schema makes of it: fields may be added."""
    kept = {key: value for key, value in content.items() if key != "content_hash"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
