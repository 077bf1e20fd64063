"""The types of a record: one finished or failed trial, validated when written and when read.

`content_hash` covers everything else in a record, so that manual edits are detected.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.statistics.bootstrap import Bootstrap

Moment: TypeAlias = Literal["dense", "pruned", "sparse", "dropped", "redense"]

BINS: Final = 64
"""Number of bins in a weight histogram."""

MOMENTS: Final[tuple[Moment, ...]] = ("dense", "pruned", "sparse", "dropped", "redense")
"""The five points of the paper's Figure 2: after D, after pruning, after S, after the mask is dropped, after D2."""


class Part(BaseModel):
    """A part of a record: immutable, without extra or missing fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Regrown(Part):
    """The weights of one tensor that S pruned, in their state after D2.

    `weights` is their number. `threshold` is the smallest magnitude that S kept. `below` is the number of these weights with a
    smaller magnitude, which the same threshold would prune again. `magnitude` is their mean |w|, `survivors` the mean |w| of the
    weights that S kept.
    """

    name: str
    weights: int
    below: int
    threshold: float
    magnitude: float
    survivors: float


class Histogram(Part):
    """The number of weights in each bin of equal width, and `below` and `above` the range. Zeros are counted only in `zeros`."""

    moment: Moment
    counts: list[int]
    below: int
    above: int
    zeros: int


class Histograms(Part):
    """The weights of one tensor through the first iteration, as in the paper's Figure 2.

    `layer` is the largest pruned tensor (the first, if several are equal), by a rule fixed in advance; `weights` is its size.
    The bins range from -`limit` to `limit`, four standard deviations of these weights after D. Each includes its lower edge.
    """

    layer: str
    weights: int
    limit: float
    points: list[Histogram]


class Data(Part):
    """The training and test data. `counts` has at least `train` and `test`, in examples.

    `features` describes the frozen-network features in one line, if training used them; the fingerprint covers them. `warnings`
    are the warnings of verification, with counts: test examples that are also trained on or tested twice, files excluded by
    quarantine.txt, counts that differ from the published ones. Verification found no problems, since otherwise training would not
    have started. Every counted file was read and decoded. `published` states whether the counts are exactly the published ones.
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

    `threads` is the number of threads of each of the `processes` that shared every batch, perhaps on several such machines.
    """

    cpu: str
    cores: int
    threads: int
    memory_gib: float
    gpu: str | None
    platform: str
    processes: int = 1


class Cost(Part):
    """A cost: wall-clock seconds (including evaluation), optimizer steps, training samples seen."""

    seconds: float
    steps: int
    samples: int


class Point(Part):
    """One point of a curve: arm-local step, epoch, training numbers since the previous point, test metrics."""

    step: int
    epoch: float
    lr: float
    train: dict[str, float]
    test: dict[str, float] | None


class LayerMask(Part):
    """One pruned tensor: its number of weights, how many the mask keeps, and how many are exactly zero at the end of the phase.

    `again` is the number of weights pruned by the arm's previous sparse phase that are pruned again; null in the first.
    """

    name: str
    weights: int
    kept: int
    zeros: int
    again: int | None = None


class Clipping(Part):
    """Gradient-norm clipping in a phase: share of clipped steps, and the mean factor that scaled the gradient."""

    share: float
    factor: float


class Scores(Part):
    """A network's scores on the test set and on training examples, both without augmentation and dropout."""

    test: dict[str, float]
    train: dict[str, float]


class PhaseResult(Part):
    """One phase of an arm, with test metrics and, for sparse phases, the mask at its last step.

    `train` are scores at the last step on training examples preprocessed like test examples. `pruned` are the scores of a sparse
    phase right after pruning, before its first step; the scores before pruning are those of the previous phase. `clipping` is
    null if no norm is clipped. `regrown` is null except in D2 of the arms dsd and dsd-text. All of these are null in records older
    than the fields.
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
    """The result of one arm after D. `test` has the scores after the last step.

    `outcomes` are the packed outcomes of the test examples (see `pack_outcomes`); `samples` are a few outputs as text.
    `first_step_in_lr` is the mean size of the first update of each phase, in units of the learning rate. `histograms` are those of
    one tensor's weights, for arms with `follow_weights`. If another arm, `forked_from`, starts with the same phases, it trained
    the first `shared_phases` for both. The `cost` of each arm includes them.
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
        """The cost of the phases that another arm trained for this one."""
        costs = [phase.cost for phase in self.phases[: self.shared_phases]]
        return Cost(
            seconds=sum(cost.seconds for cost in costs),
            steps=sum(cost.steps for cost in costs),
            samples=sum(cost.samples for cost in costs),
        )


class Dense(Arm):
    """The dense start that all arms share: trained here (`source` "trained") or given (`source` the file's name)."""

    source: str
    sha256: str | None


class Failure(Part):
    """Where a trial failed."""

    arm: str
    phase: str
    step: int
    message: str


class Record(Part):
    """One trial. `command` repeats it from the root of a checkout at `commit`.

    `suite` is the version of the suite that wrote the record. `numerics` is the version of the domain's arithmetic: results with
    the same version are comparable. It is empty for suite 0.1, which had one version for all domains. `commit`, `dirty`, `versions`
    and `hardware` describe the process that finished the trial, read when it started. `earlier` describes the processes before an
    interruption that differed from it. `nondeterministic` are the operations used for which torch has no deterministic algorithm on
    that device. `outputs` is the SHA-256 of `outputs/ID.csv.gz`, beside the folder of records, with the outputs of D and every arm
    for every test example. It is empty if the row has no outputs. Fields added later have a default, so older records can be read.
    """

    schema_version: Literal[1] = 1
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

    @property
    def runs(self) -> dict[str, Arm]:
        """The dense start, if any, and the arms by name."""
        return ({"dense": self.dense} if self.dense else {}) | self.arms

    def sealed(self) -> Record:
        """Return the same record with its content hash filled in."""
        return self.model_copy(update={"content_hash": content_hash_of(self.model_dump())})


def content_hash_of(content: dict[str, Any]) -> str:
    """Return the SHA-256 of a file's content. It is not that of the parsed record, because the schema may gain fields."""
    kept = {key: value for key, value in content.items() if key != "content_hash"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
