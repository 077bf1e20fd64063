"""What each command can be told, as typed data (no torch): `__main__` fills it in, `commands` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from benchmarks.arms.registry import ARMS, DEFAULT_ARMS, ArmName
from benchmarks.datasets import Name
from benchmarks.rows import ROWS
from tasks.recipe import Scale

Precision = Literal["float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]

_ROWS = f"{{{','.join(ROWS)}}}"
# Names, not `Literal`: of one that is nearly right the nearest is suggested, in one line.
RowName = Annotated[str, arg(metavar=_ROWS)]
Rows = Annotated[tuple[str, ...], arg(metavar=f"[{_ROWS} ...]")]
Folder = Annotated[Path, arg(metavar="DIR")]
NetworkFile = Annotated[str, arg(metavar="FILE|NAME")]
MaybeFolder = Annotated[Path | None, arg(metavar="DIR")]
MaybeFile = Annotated[Path | None, arg(metavar="FILE")]
MaybeNetworkFile = Annotated[str | None, arg(metavar="FILE|NAME")]
MaybeNetworkName = Annotated[str | None, arg(metavar="NAME")]
Count = Annotated[int | None, arg(metavar="N")]
Number = Annotated[float | None, arg(metavar="X")]


def _arms() -> str:
    """Return what `--help` says of the arms."""
    names: dict[str, list[str]] = {}
    for name, one in ARMS.items():
        names.setdefault(one.meaning, []).append(name)
    return "How to spend the budget after D. " + "; ".join(f"{', '.join(of)}: {text}" for text, of in names.items())


Arms = Annotated[tuple[ArmName, ...], arg(help=_arms())]


@dataclass(frozen=True)
class Run:
    """Train one row: D once per seed, then every arm from that checkpoint on the same batches, and print the table."""

    row: Positional[RowName]
    """Which row."""
    scale: Scale = "smoke"
    """smoke: generated data, about two minutes; small: real but small data; paper: the published recipe."""
    data: MaybeFolder = None
    """The data set's folder. Needed at small and paper scale; smoke makes its own."""
    seeds: Count = None
    """How many seeds, one trial each. By default 1 at smoke, 5 at small, 3 at paper scale."""
    first_seed: int = 0
    """The first of the consecutive seeds: to spread trials over machines."""
    arms: Arms = DEFAULT_ARMS
    device: Device = "auto"
    """auto takes a GPU if there is one."""
    precision: Precision = "float32"
    """bfloat16: networks of classification compute in it under autocast, weights, optimizer and scoring staying float32: faster
    where the hardware has it."""
    subset: float = 1.0
    """Train on this share of every class's pictures (for captions, of all pictures; for speech, of all utterances); the test set
    stays whole."""
    weights: MaybeNetworkFile = None
    """Weights of the frozen network whose features a captioner is trained on: a file or a torchvision weights name."""
    network: MaybeNetworkName = None
    """That network, by torchvision's name, such as squeezenet1_0. By default the recipe's."""
    out: MaybeFolder = None
    """Where records, tables, figures and checkpoints go. By default runs."""
    fresh: bool = False
    """Run again even if there is a finished record or a checkpoint to go on from."""
    dense: MaybeNetworkFile = None
    """Start from this network instead of training D: a file (.safetensors or a saved state_dict) or a torchvision weights name."""
    sparsity: Number = None
    """Prune this share instead of the recipe's. The record says `custom` and enters no comparison with the paper."""
    lr_factor: Number = None
    """Multiply every learning rate. The record says `custom` too."""
    probe: bool = False
    """Test on examples that no trial trains or is tested on (pictures set aside at small scale, utterances of dev), to choose a
    rate or a length before a row's first trial. The record says `custom` too."""
    label_noise: Number = None
    """Give this share of the training pictures a wrong class. The record says `custom` too."""
    workers: Count = None
    """Loader processes. By default none where the pictures fit in memory. The result does not depend on it."""
    save_weights: bool = False
    """Keep the weights at the end of D, of every S and of every arm under OUT/weights."""


@dataclass(frozen=True)
class Estimate(Run):
    """Say what time, disk and memory `run` with the same flags would take, from a probe of some 50 steps."""


@dataclass(frozen=True)
class Evidence:
    """Run the trials that the published results want and do not have, whatever resolves most per hour first."""

    data: Folder = Path("data")
    """The folder that holds what `prepare` makes: tiny-imagenet-50, flickr8k, noisy-digits-0db, noisy-digits-10db and
    squeezenet1_0-imagenet-pruned.safetensors."""
    plan: bool = False
    """Only show what is there, how many seeds it takes to resolve the rest, and what that costs."""
    hours: Number = None
    """Begin no trial that would end later than so long from now; one of which nothing tells the length is begun."""
    rows: Rows = ()
    """Only these rows' trials. By default all."""
    out: MaybeFolder = None
    """Where the records are and go. By default results."""


@dataclass(frozen=True)
class Tables:
    """Make the tables and figures from records, and nothing else."""

    records: Folder = Path("results/records")
    """The folder of records; the tables go beside it."""
    check: bool = False
    """Write nothing; fail if a table differs from what the records give, or a file of outputs from what its record says."""


@dataclass(frozen=True)
class Report:
    """Make one HTML page of all results, with a viewer of captions and transcripts, that needs no network."""

    records: Folder = Path("results/records")
    """The folder of records; the files of outputs are looked for beside it."""
    out: MaybeFile = None
    """The page. By default report.html beside the folder of records, which its links to records expect."""


@dataclass(frozen=True)
class Verify:
    """Count, decode and fingerprint a row's data set, and name every bad file; or check records, without training."""

    row: Positional[Annotated[str | None, arg(metavar=f"[{_ROWS}]")]] = None
    """Which row."""
    data: MaybeFolder = None
    """The data set's folder; without it, the embedded smoke set."""
    subset: float = 1.0
    """As in `run`."""
    scale: Scale = "paper"
    """Whose recipe uses the data: at small scale, training pictures that are not trained on are tested on."""
    record: Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]")] = ()
    """Records to check in place of data: what of their numbers follows from the others, and the files beside them."""


@dataclass(frozen=True)
class Prepare:
    """Make a data set of the plan from its public download, and compare its fingerprints with the planned ones."""

    name: Positional[Name]
    """Which data set."""
    source: Annotated[Path, arg(name="from")]
    """The folder that holds the download, unzipped (see the README of the data set's domain under tasks)."""
    out: Path | None = None
    """What to make: a folder, or for squeezenet1_0 a file. By default data/NAME. It must not be there yet."""
    snr: int | None = None
    """noisy-digits: how far speech is above the noise, in dB. By default 0."""


@dataclass(frozen=True)
class Compare:
    """Show what differs between two records or two folders of them, and whether the results do by more than the spread."""

    a: Positional[Path]
    """A record, or a folder of records such as results/records."""
    b: Positional[Path]
    """What to compare it with: a record or a folder of records too, of another machine, commit or data set."""


@dataclass(frozen=True)
class Status:
    """Show every row: finished trials, unfinished checkpoints, failures."""

    out: MaybeFolder = None
    """The folder that runs were told to write to. By default both runs and results."""


@dataclass(frozen=True)
class Evaluate:
    """Score a network with a row's own protocol."""

    row: Positional[RowName]
    """Which row."""
    model: NetworkFile
    """The trained network: a file (.safetensors or a saved state_dict) or a torchvision weights name."""
    data: MaybeFolder = None
    """The data set's folder; without it, the embedded smoke set. Only test examples are scored; for captions the training
    set is read too: its words and the mean of its features belong to the network."""
    subset: float = 1.0
    """What the network was trained with: of captions, the vocabulary depends on it."""
    weights: MaybeNetworkFile = None
    """As in `run`."""
    network: MaybeNetworkName = None
    """As in `run`."""
    scale: Scale = "paper"
    """Whose preprocessing to use."""
    device: Device = "auto"
    """auto takes a GPU if there is one."""
