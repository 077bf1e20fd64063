"""Records: one JSON file per finished (or failed) trial, the only thing that tables are made from.

A record is validated against the types below when it is written and when it is read, is written atomically, and is never
changed or replaced afterwards. `content_hash` covers everything else in it, so that an edit by hand is found.
"""

from __future__ import annotations

import base64
import bz2
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.parts import Histograms, Part, Regrown

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


class Bootstrap(Part):
    """Paired bootstrap over test examples of (arm - control), in the primary metric's unit, as a gain."""

    mean: float
    low: float
    high: float
    resamples: int


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
        return self.model_copy(update={"content_hash": _hash(self.model_dump())})


def _hash(content: dict[str, Any]) -> str:
    """Return the SHA-256 of what a file holds, not of what the present schema makes of it: fields may be added."""
    kept = {key: value for key, value in content.items() if key != "content_hash"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _laid_out(value: Any, indent: str = "") -> str:
    """Return `value` as JSON, a line for whatever holds no list but counts: every point of a curve is one, every histogram."""
    if not _holds_list(value):
        return json.dumps(value)
    inner = indent + " "
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    lines = [("" if key is None else json.dumps(key) + ": ") + _laid_out(item, inner) for key, item in items]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{inner}" + f",\n{inner}".join(lines) + f"\n{indent}{end}" if lines else start + end


def _holds_list(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_list, value.values()))
    return isinstance(value, list) and not (value and all(type(item) is int for item in value))


def write(record: Record, folder: Path) -> Path:
    """Write `record` to `folder`/ID.json, whole or not at all, and return the path.

    Raises:
        ValueError: the record breaks the schema.
        FileExistsError: there is a record of that id; records are append-only.
    """
    sealed = Record.model_validate(record.sealed().model_dump())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sealed.id}.json"
    temporary = folder / f".{sealed.id}.{os.getpid()}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(_laid_out(sealed.model_dump()) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # unlike a rename, refuses to replace what is there
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with path.open("xb") as file:
            file.write(temporary.read_bytes())
            os.fsync(file.fileno())
    finally:
        temporary.unlink()
    return path


def read(path: Path) -> Record:
    """Return the record in `path`.

    Raises:
        ValueError: it is not a record of this schema, or was changed after it was written; the message names the file.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise ValueError("it is no file")
        content = json.loads(path.read_bytes())
        record = Record.model_validate(content)
        content_hash = _hash(content)
    except (ValueError, OSError, RecursionError) as error:
        raise ValueError(f"{path} is not a readable record: {error}") from error
    if record.content_hash != content_hash:
        raise ValueError(f"{path} was changed after it was written: its content does not match its content_hash")
    if path.stem != record.id:
        raise ValueError(f"{path} holds the record {record.id!r}: a record's file carries its id")
    return record


def read_all(folder: Path) -> list[Record]:
    """Return every record in `folder`, in the order of file names; hidden files (macOS leaves some) are none.

    Raises:
        ValueError: one of them cannot be read.
    """
    return [read(path) for path in sorted(folder.glob("[!.]*.json"))]


def pack_outcomes(outcomes: NDArray[np.float64]) -> str:
    """Return outcomes as text: a word for the form, the shape and base64, with colons between.

    A vector (n,) becomes packed bits where all are 0 or 1, else little-endian float32. A matrix (n, 2k) of counts becomes
    little-endian integers of the smallest type that holds them, column by column, compressed by bzip2.

    Raises:
        ValueError: a matrix is empty, or has a number that is not whole or not one of 32 bits.
    """
    if outcomes.ndim == 2:
        return _pack_counts(outcomes)
    if np.isin(outcomes, (0.0, 1.0)).all():
        return f"bits:{outcomes.size}:" + base64.b64encode(np.packbits(outcomes.astype(bool)).tobytes()).decode()
    return f"float32:{outcomes.size}:" + base64.b64encode(outcomes.astype("<f4").tobytes()).decode()


def unpack_outcomes(text: str) -> NDArray[np.float64]:
    """Return the outcomes of the test examples in the data set's order: one number each, or a line of counts.

    Raises:
        ValueError: the text is not what `pack_outcomes` makes.
    """
    form = _PACKED.fullmatch(text)
    if form is None or (form["columns"] is not None) != (form["kind"] in _COUNTS):
        raise ValueError(f"outcomes {text[:40]!r}: expected the form, the shape and base64, with colons between")
    kind, rows, columns = form["kind"], int(form["rows"]), int(form["columns"] or 1)
    size = rows * columns
    if kind in _COUNTS and not size:
        raise ValueError(f"outcomes {text[:40]!r}: a table of counts has a line and a column at least")
    expected = (size + 7) // 8 if kind == "bits" else size * np.dtype(_TYPES[kind]).itemsize
    try:
        raw = base64.b64decode(form["body"])
        if kind in _COUNTS:  # no further than that: a few bytes may stand for gigabytes
            raw = bz2.BZ2Decompressor().decompress(raw, max_length=expected + 1)
    except (ValueError, OSError) as error:
        raise ValueError(f"outcomes {text[:40]!r}: {error}") from error
    if len(raw) != expected:
        raise ValueError(f"outcomes {text[:40]!r}: {len(raw):,} bytes or more, expected {expected:,}")
    if kind == "bits":
        return np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=size).astype(np.float64)
    values = np.frombuffer(raw, dtype=_TYPES[kind]).astype(np.float64)
    return values if kind == "float32" else np.ascontiguousarray(values.reshape(columns, rows).T)


_COUNTS = {"uint8": "<u1", "uint16": "<u2", "int16": "<i2", "int32": "<i4"}
_TYPES = {"float32": "<f4", **_COUNTS}
_PACKED = re.compile(
    r"(?P<kind>bits|float32|uint8|uint16|int16|int32):(?P<rows>\d{1,9})(?:x(?P<columns>\d{1,4}))?:(?P<body>[A-Za-z0-9+/]*={0,2})",
    re.ASCII,
)


def _pack_counts(counts: NDArray[np.float64]) -> str:
    if not counts.size:
        raise ValueError(f"outcomes that are counts must have a line and a column at least, got {counts.shape}")
    holds = (k for k, t in _COUNTS.items() if np.iinfo(t).min <= counts.min() and counts.max() <= np.iinfo(t).max)
    kind = next(holds, None)
    if kind is None:
        raise ValueError(f"outcomes that are counts must be of 32 bits, got {counts.min():g} to {counts.max():g}")
    whole = counts.astype(_COUNTS[kind])
    if (counts != whole).any():
        raise ValueError(f"outcomes that are counts must be whole, got {counts[counts != whole][0]:g}")
    columns = whole.T.tobytes()  # a column's numbers are alike: in a row they take less
    return f"{kind}:{counts.shape[0]}x{counts.shape[1]}:{base64.b64encode(bz2.compress(columns)).decode()}"
