"""The options of each command as typed data (no torch): `__main__` parses them, the command modules read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from tyro.conf import Positional, arg

from benchmarks.arms.registry import ARMS, DEFAULT_ARMS, ArmName
from benchmarks.campaign.submit import Backend
from benchmarks.datasets import Name
from benchmarks.rows import OPTIONS, ROWS
from tasks.recipe import Scale

T = TypeVar("T")
Device = Annotated[str, arg(metavar="{auto,cpu,cuda,cuda:K}")]

_ROWS = f"{{{','.join(ROWS)}}}"
# Strings, not `Literal`: for a misspelt name, our own error suggests the nearest one in one line.
RowName = Annotated[str, arg(metavar=_ROWS)]
Rows = Annotated[tuple[str, ...], arg(metavar=f"[{_ROWS} ...]")]
Folder = Annotated[Path, arg(metavar="DIR")]
NetworkFile = Annotated[str, arg(metavar="FILE|NAME")]
MaybeFolder = Annotated[Path | None, arg(metavar="DIR")]
MaybeFile = Annotated[Path | None, arg(metavar="FILE")]
MaybeNetworkFile = Annotated[str | None, arg(metavar="FILE|NAME")]
Count = Annotated[int | None, arg(metavar="N")]
Number = Annotated[float | None, arg(metavar="X")]


def _arms() -> str:
    """Return the help text of `--arms`."""
    names: dict[str, list[str]] = {}
    for name, arm in ARMS.items():
        names.setdefault(arm.meaning, []).append(name)
    return "What to do with the budget after D. " + "; ".join(f"{', '.join(of)}: {text}" for text, of in names.items())


Arms = Annotated[tuple[ArmName, ...], arg(help=_arms())]


def _with_flags_of_domains(scoring: bool = False) -> Callable[[type[T]], type[T]]:
    """Add the flags that domains declare (`tasks.options`). With `scoring`, add only those that `evaluate` needs."""

    def compose(command: type[T]) -> type[T]:
        assert dataclasses.is_dataclass(command)
        types = get_type_hints(command, include_extras=True)
        flags: list[tuple[str, Any, Any]] = [
            (own.name, types[own.name], dataclasses.field(default=own.default)) for own in dataclasses.fields(command)
        ]
        for option in OPTIONS:
            if scoring and not option.scores:
                continue
            text = "As in `run`." if scoring else option.help
            kind = Annotated[option.type, arg(metavar=option.metavar, help=text)]  # type: ignore[name-defined]
            names = [name for name, *_ in flags]
            place = names.index(option.after) + 1 if option.after else len(names)
            flags.insert(place, (option.name, kind, dataclasses.field(default=option.default)))
        # A dataclass orders its fields as its last base does.
        order = dataclasses.make_dataclass("Flags", flags, frozen=True)
        kept = {name: getattr(command, name) for name in ("__doc__", "__module__", "__qualname__")}
        return dataclasses.make_dataclass(command.__name__, (), bases=(command, order), frozen=True, namespace=kept)

    return compose


@_with_flags_of_domains()
@dataclass(frozen=True)
class Run:
    """Train one row and print its table: per seed, D once, then every arm from that checkpoint on the same batches."""

    row: Positional[RowName]
    """Which row."""
    scale: Scale = "smoke"
    """smoke: generated data, about two minutes; small: real but small data; paper: the published recipe."""
    data: MaybeFolder = None
    """The data set's folder. Required at small and paper scale; smoke generates its own data."""
    seeds: Count = None
    """Number of seeds, one trial each. Default: 1 at smoke, 5 at small, 3 at paper scale."""
    first_seed: int = 0
    """The first seed; the others follow consecutively. Use it to spread trials over machines."""
    arms: Arms = DEFAULT_ARMS
    device: Device = "auto"
    """auto uses a GPU if one is available, cuda:K the GPU of number K, from 0."""
    subset: float = 1.0
    """Train on this share of each class's pictures (captions: all pictures; speech: all utterances). The test set stays whole."""
    out: MaybeFolder = None
    """Folder for records, tables, figures and checkpoints. Default: runs."""
    fresh: bool = False
    """Start over, even if a finished record or a checkpoint exists."""
    dense: MaybeNetworkFile = None
    """Start from this network instead of training D: a file (.safetensors or a saved state_dict) or a torchvision weights name."""
    sparsity: Number = None
    """Prune this share instead of the recipe's. The record is marked `custom` and never compared with the paper."""
    lr_factor: Number = None
    """Multiply every learning rate by this. The record is marked `custom` too."""
    workers: Count = None
    """Number of loader processes. Default: 0 if the pictures fit in memory. It does not affect results."""
    save_weights: bool = False
    """Save the weights after D, after every S and after every arm in OUT/weights."""


@dataclass(frozen=True)
class Estimate(Run):
    """Estimate the time, disk space and memory of `run` with the same flags from a probe of about 50 steps."""

    json: bool = False
    """Print the estimate as JSON, and nothing else."""


@dataclass(frozen=True)
class Evidence:
    """Run the planned trials that are missing from the published results, the most informative per hour first."""

    data: Folder = Path("data")
    """The folder with the data sets that `prepare` makes: tiny-imagenet-50, flickr8k, noisy-digits-0db, noisy-digits-5db and
    squeezenet1_0-imagenet-pruned.safetensors."""
    plan: bool = False
    """Only show the finished trials, the trials left and their cost."""
    dry_run: bool = False
    """Only show the trials that would be submitted, in order, with their commands, time and cost."""
    json: bool = False
    """With --plan or --dry-run: print both as JSON, and nothing else."""
    campaign: MaybeFile = None
    """Run the trials of this TOML file instead of the planned ones, such as benchmarks/campaign/paper.toml."""
    resources: MaybeFile = None
    """What a planned trial needs: a TOML file such as benchmarks/campaign/planned.toml. A campaign says it in its own file."""
    backend: Backend = "local"
    """local: this machine; ray: a Ray cluster; submitit: Slurm jobs, requeued before their time limit. Other than local, it needs
    --campaign or --resources."""
    jobs: int = 1
    """local: this many trials at a time, spread over the GPUs."""
    hours: Number = None
    """Start no trial expected to end after this many hours."""
    rows: Rows = ()
    """Run only these rows' trials. Default: all rows."""
    out: MaybeFolder = None
    """The folder that records are read from and written to. Default: results; runs with --campaign."""


@dataclass(frozen=True)
class Tables:
    """Make the tables and figures from records."""

    records: Folder = Path("results/records")
    """The folder of records. Tables are written beside it."""
    check: bool = False
    """Write nothing; fail if a table does not match the records, or an outputs file does not match its record."""


@dataclass(frozen=True)
class Report:
    """Make one self-contained HTML page of all results, with a viewer for captions and transcripts."""

    records: Folder = Path("results/records")
    """The folder of records. Outputs files are read from the folder beside it."""
    out: MaybeFile = None
    """The page to write. Default: report.html beside the folder of records; the page's links to records assume that place."""


@dataclass(frozen=True)
class Verify:
    """Count, decode and fingerprint a row's data set and name every bad file; or check records. Nothing is trained."""

    row: Positional[Annotated[str | None, arg(metavar=f"[{_ROWS}]")]] = None
    """Which row."""
    data: MaybeFolder = None
    """The data set's folder. Default: the generated smoke set."""
    subset: float = 1.0
    """As in `run`."""
    scale: Scale = "paper"
    """The scale of the recipe that uses the data. At small scale, held-out training pictures form the test set."""
    record: Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]")] = ()
    """Check these records instead of data: that their numbers are consistent, and the files beside them."""


@dataclass(frozen=True)
class Prepare:
    """Make a planned data set from its public download and compare its fingerprints with the plan."""

    name: Positional[Name]
    """Which data set."""
    source: Annotated[Path, arg(name="from")]
    """The folder with the unzipped download (see the README of the data set's domain in tasks)."""
    out: Path | None = None
    """The folder to make (a file for squeezenet1_0). It must not exist. Default: data/NAME."""
    snr: int | None = None
    """noisy-digits: the signal-to-noise ratio in dB. Default: 0."""


@dataclass(frozen=True)
class Compare:
    """Compare two records or folders of records: settings, and whether results differ by more than the spread.

    Exit status: 0 same experiment, results agree; 1 settings or results differ, or the spread is unknown; 2 invalid input.
    """

    a: Positional[Path]
    """A record, or a folder of records such as results/records."""
    b: Positional[Path]
    """The record or folder of records to compare with, such as one from another machine or commit."""


@dataclass(frozen=True)
class Status:
    """List the finished, failed and unfinished trials of every row, and where those that run now stand."""

    out: MaybeFolder = None
    """The results folder (the --out of the runs). Default: both runs and results."""
    json: bool = False
    """Print the same as JSON, and nothing else."""


@_with_flags_of_domains(scoring=True)
@dataclass(frozen=True)
class Evaluate:
    """Score a network with a row's evaluation protocol."""

    row: Positional[RowName]
    """Which row."""
    model: NetworkFile
    """The trained network: a file (.safetensors or a saved state_dict) or a torchvision weights name."""
    data: MaybeFolder = None
    """The data set's folder. Default: the generated smoke set. Only test examples are scored. For captions the training set
    is also read, because the network depends on its words and on the mean of its features."""
    subset: float = 1.0
    """The subset that the network was trained on. For captions, the vocabulary depends on it."""
    scale: Scale = "paper"
    """The scale whose preprocessing to use."""
    device: Device = "auto"
    """auto uses a GPU if one is available, cuda:K the GPU of number K, from 0."""


@dataclass(frozen=True)
class PackageWeights:
    """Write the saved networks of trials, their masks and model cards to a folder for release. Scores and masks are checked."""

    out: Folder
    """The folder to write. It must not exist, or be empty."""
    ids: Positional[Annotated[tuple[str, ...], arg(metavar="[RECORD_ID ...]")]] = ()
    """The trials, by the ids of their records. Default: seed 0 of each planned row that has saved weights."""
    records: Folder = Path("results/records")
    """The folder of records."""
    weights: Folder = Path("results/weights")
    """The folder of saved weights (OUT/weights of the runs)."""
    data: Folder = Path("data")
    """The folder with the data sets, as in `evidence`."""
    device: Device = "auto"
    """The device to score on. Other hardware than the trial's may round differently."""


@dataclass(frozen=True)
class Tensorboard:
    """Write the progress files of trials as TensorBoard logs, and follow them until stopped. Needs `tensorboard`."""

    out: Folder = Path("runs")
    """The results folder (the --out of the runs)."""
    logs: MaybeFolder = None
    """The folder of TensorBoard logs, one run for each trial and arm. Default: OUT/tensorboard."""
    once: bool = False
    """Stop after what is there now."""
