"""The command `evidence`: which trials the published results want, what they cost, and the missing ones in the best order.

What is wanted is `WANTED` or, asked for, `FULL_LENGTH`, below. A trial is there if a record of the same recipe, data set (by
the folder's name), subset and seed has all the arms that are wanted; it is not run again, nor is one that failed. The order is:
groups with too few seeds for a verdict first, the emptiest and cheapest of them before others; then, trial by trial, whatever
narrows an interval most per hour, in units of what it should come to: half the paper's gain. A group is done when its interval
is that narrow or it has as many seeds as are worth it, and never because the interval excludes zero: of results that may stop
there, one in six would be a verdict where there is no effect (3 to 10 seeds, simulated), and the interval would no longer be
one of 95 %.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rich.table import Table

from benchmarks import commands, group, lock, paper, provenance, record, statistics, summary
from benchmarks.console import say, show
from benchmarks.display import duration
from benchmarks.options import Evidence, Run
from benchmarks.record import Record
from benchmarks.registry import BFLOAT16, ROWS, SENSITIVITY, SUITE, ArmName, MainArm
from benchmarks.statistics import MINIMUM_SEEDS, Paired

_NOTHING = "nothing is missing, and nothing open is worth another trial"

_SPARE = 2
"""Seeds that may break down before a group is given up."""

_MAIN: tuple[ArmName, ...] = get_args(MainArm)


@dataclass(frozen=True)
class Wanted:
    """A group of trials of one row at small scale.

    Attributes:
        data, weights: the data set's folder and the frozen network's file, in the folder that `--data` names.
        seeds: how many are wanted in any case, and `most` how many are worth it while the interval is wide.
    """

    row: str
    data: str
    arms: tuple[ArmName, ...] = _MAIN
    subset: float = 1.0
    weights: str | None = None
    label_noise: float | None = None
    full_length: bool = False
    seeds: int = MINIMUM_SEEDS
    most: int = MINIMUM_SEEDS

    def recipe_hash(self) -> str:
        """Return the hash of the recipe that its trials have."""
        return ROWS[self.row].recipe("small", label_noise=self.label_noise, full_length=self.full_length).hash()

    def options(self, root: Path, seed: int, out: Path | None) -> Run:
        """Return what `run` is to be told."""
        return Run(
            row=self.row,
            scale="small",
            data=root / self.data,
            seeds=1,
            first_seed=seed,
            arms=self.arms,
            subset=self.subset,
            weights=str(root / self.weights) if self.weights else None,
            label_noise=self.label_noise,
            full_length=self.full_length,
            out=out,
        )

    def covers(self, other: Wanted) -> bool:
        """Return whether a trial of this is one of `other` too."""
        return (
            set(self.arms) >= set(other.arms)
            and dataclasses.replace(self, arms=other.arms, seeds=other.seeds, most=other.most) == other
        )

    @property
    def title(self) -> str:
        """What a reader calls it."""
        kinds = [f"{self.label_noise:.0%} wrong labels"] if self.label_noise else []
        kinds += ["sensitivity"] * bool(set(self.arms) & set(SENSITIVITY))
        return ROWS[self.row].title + (f" ({', '.join(kinds)})" if kinds else "")


_TINY = "tiny-imagenet-50"
_DIGITS = "connected-digits"
WANTED = (
    Wanted("imagenet_googlenet", _TINY, subset=0.25, seeds=5, most=10),
    Wanted("imagenet_vgg16", _TINY, subset=0.25, most=10),
    Wanted("imagenet_resnet18", _TINY, subset=0.25, seeds=5, most=10),
    Wanted("imagenet_resnet50", _TINY, subset=0.25, most=10),
    Wanted("flickr8k_neuraltalk", "flickr8k", weights="squeezenet1_0-imagenet-pruned.safetensors", most=5),
    Wanted("librispeech_deepspeech", _DIGITS, most=10),
    Wanted("librispeech_deepspeech2", _DIGITS, most=10),
    Wanted("imagenet_resnet18", _TINY, arms=("control", "dsd"), subset=0.25, label_noise=0.2),
    Wanted("imagenet_vgg16", _TINY, arms=(*_MAIN, *SENSITIVITY), subset=0.25),
    Wanted("imagenet_googlenet", _TINY, arms=(*_MAIN, *SENSITIVITY), subset=0.25),
)
"""The evidence that results/ is to hold, on data that one downloads in minutes, at a size that a CPU trains."""

FULL_LENGTH = tuple(
    Wanted(name, _TINY, full_length=True, seeds=5, most=10) for name, row in ROWS.items() if row.full_length
)
"""The same where there is a GPU: as long as in the paper, on four times as many pictures."""


@dataclass(frozen=True)
class Standing:
    """Where a wanted group stands.

    Attributes:
        have: how many seeds have a trial with all arms, `failed` how many have one that broke down, `running` how many another
            process has one of, and `missing` how many more are wanted in any case.
        found: DSD over control in the trials there are, those with fewer arms included; None below one.
        target: the half-width it should come to, half the paper's gain in its own unit.
        hours: what one trial takes, by the row's trials there are; None where there is none.
        next_seed: the first seed without a trial, None where there are as many as are worth it.
    """

    wanted: Wanted
    have: int
    failed: int
    running: int
    missing: int
    found: Paired | None
    target: float
    hours: float | None
    next_seed: int | None

    @property
    def narrow(self) -> bool:
        """Whether the interval is as narrow as it should come to, wherever it lies."""
        found = self.found
        if found is None or found.half_width is None or found.n < MINIMUM_SEEDS:
            return False
        return found.half_width <= self.target

    @property
    def sure(self) -> int:
        """How many seeds have a trial with all arms, or will have."""
        return self.have + self.running

    @property
    def open(self) -> bool:
        """Whether a trial beyond those wanted in any case is worth it; until trials enough for an interval are in, who knows."""
        told = self.found is not None and self.found.n >= MINIMUM_SEEDS
        return self.next_seed is not None and not self.narrow and (told or not self.running)

    @property
    def narrowing(self) -> float:
        """How much narrower one more trial makes the interval, in targets an hour."""
        found = self.found
        if found is None or found.sd is None or not self.hours:
            return math.inf
        step = statistics.half_width(found.sd, found.n) - statistics.half_width(found.sd, found.n + 1)
        return step / self.target / self.hours


Trial = tuple[Wanted, int]
"""Of a group, and its seed."""


def stand(records: Sequence[Record], wanted: Sequence[Wanted], running: Collection[Trial] = ()) -> list[Standing]:
    """Return where every wanted group stands by `records`, while other processes are at the trials `running`."""
    return [_standing(one, records, {seed for trial, seed in running if trial.covers(one)}) for one in wanted]


def _standing(wanted: Wanted, records: Sequence[Record], running: set[int]) -> Standing:
    mine = [one for one in records if _is(one, wanted)]
    # One folder's name may stand for two states of it: the table's cell is of one, here of that with more trials.
    groups = sorted(group.group_records(mine), key=lambda one: len(one.records))
    members = [*groups[-1].records, *groups[-1].superseded, *(one for one, _ in groups[-1].unused)] if groups else []
    seeds = {one.seed for one in members if set(one.arms) >= set(wanted.arms)}
    failed = {one.seed for one in mine if one.status == "failed"} - seeds
    running = running - seeds
    spent = seeds | failed | running
    of_row = [one for one in records if _finished(one, wanted)]
    times = [seconds for one in members or of_row if (seconds := _seconds(one, wanted)) is not None]
    unused = next(seed for seed in itertools.count() if seed not in spent)
    return Standing(
        wanted,
        have=len(seeds),
        failed=len(failed),
        running=len(running),
        missing=max(0, wanted.seeds - len(seeds | running)) if len(spent) < wanted.seeds + _SPARE else 0,
        found=summary.compare(groups[-1], "dsd", "control") if groups else None,
        target=abs(paper.ROWS[wanted.row].gain) / 2,
        hours=math.fsum(times) / len(times) / 3600 if times else None,
        next_seed=unused if len(spent) < max(wanted.seeds, wanted.most) + _SPARE else None,
    )


def _finished(one: Record, wanted: Wanted) -> bool:
    """Return whether a finished trial tells what one of `wanted` takes: of the row, and short or long as it is."""
    row = ROWS[wanted.row]
    long = row.full_length is not None and one.recipe_hash == row.recipe("small", full_length=True).hash()
    return (one.row, one.scale, one.status, long) == (wanted.row, "small", "finished", wanted.full_length)


def _is(one: Record, wanted: Wanted) -> bool:
    given = one.dense is not None and one.dense.source != "trained"
    return not given and (
        (one.suite, one.row, one.scale, one.data.name, one.data.subset, one.recipe_hash, one.hardware.processes)
        == (SUITE, wanted.row, "small", wanted.data, wanted.subset, wanted.recipe_hash(), 1)
        and one.precision != BFLOAT16
    )


def _seconds(one: Record, wanted: Wanted) -> float | None:
    """Return what a trial with the wanted arms takes by the times of another's, arms that it lacks at the mean of those it has."""
    if one.dense is None or not one.arms:
        return None
    arms = {name: arm.cost.seconds for name, arm in one.arms.items()}
    mean = math.fsum(arms.values()) / len(arms)
    return one.dense.cost.seconds + math.fsum(arms.get(name, mean) for name in wanted.arms)


def following(standings: Sequence[Standing]) -> Standing | None:
    """Return the group of which a trial is to be run next, None where there is nothing left to run.

    Where the same seed is missing with more arms too, those are trained at once: they take the place of a trial with fewer.
    """
    short = [one for one in standings if one.missing and one.next_seed is not None]
    if short:
        chosen = min(short, key=lambda one: (one.sure >= MINIMUM_SEEDS, one.sure, one.hours or 0.0))
    else:
        open_ = [one for one in standings if one.open]
        if not open_:
            return None
        chosen = max(open_, key=lambda one: one.narrowing)
    larger = [one for one in short if one.next_seed == chosen.next_seed and one.wanted.covers(chosen.wanted)]
    return max((chosen, *larger), key=lambda one: len(one.wanted.arms))


def evidence(options: Evidence, wanted: Sequence[Wanted] | None = None) -> int:
    """Show where every group stands and, but for `--plan`, run what is missing until all is there or the time is up.

    Several such processes with one `out` share the work: none takes a trial that another is at.

    Returns 1 if a trial failed; the others are run all the same.

    Raises:
        ValueError: a data set that is wanted is not there.
    """
    out = options.out or Path("results")
    wanted = wanted or (FULL_LENGTH if options.full_length else WANTED)
    began = time.monotonic()
    last: Trial | None = None
    refused: set[Trial] = set()
    failures = 0
    if not options.plan:
        require(options.data, wanted)
    while True:
        folder = out / "records"
        running = refused | running_elsewhere(options, out, wanted)
        standings = stand(record.read_all(folder) if folder.is_dir() else [], wanted, running)
        chosen = following(standings)
        show(plan_table(standings, chosen))
        if chosen is None:
            say(_NOTHING + (", beside what others are at" if running else ""))
            return int(failures > 0)
        spent = (time.monotonic() - began) / 3600
        if options.plan or (options.hours is not None and spent + (chosen.hours or 0.0) > options.hours):
            return int(failures > 0)
        assert chosen.next_seed is not None, "a group without one is never chosen"
        if (chosen.wanted, chosen.next_seed) == last:
            raise ValueError(
                f"seed {chosen.next_seed} of {chosen.wanted.title} was run and left no record in {folder} that counts"
            )
        last = chosen.wanted, chosen.next_seed
        try:
            status = commands.run(chosen.wanted.options(options.data, chosen.next_seed, options.out))
        except lock.TakenError as error:  # it was faster, or was told by other words
            say(str(error))
            refused.add(last)
            continue
        if status not in (0, 1):  # stopped, or told wrongly
            return status
        failures += status


def running_elsewhere(options: Evidence, out: Path, wanted: Sequence[Wanted]) -> set[Trial]:
    """Return which trials other processes are at, by the commands that hold a lock in `out`."""
    found = lock.commands(out / "checkpoints")
    trials = ((one, seed) for one in wanted for seed in range(max(one.seeds, one.most) + _SPARE)) if found else ()
    return {
        (one, seed)
        for one, seed in trials
        if provenance.command("run", one.options(options.data, seed, options.out)) in found
    }


def require(root: Path, wanted: Sequence[Wanted]) -> None:
    """Find out before the first trial whether all data sets are there.

    Raises:
        ValueError: one is not; all that are not are named.
    """
    names = dict.fromkeys(name for one in wanted for name in (one.data, one.weights) if name)
    absent = [str(root / name) for name in names if not (root / name).exists()]
    if absent:
        raise ValueError(f"--data {root}: not there: {', '.join(absent)}")


def plan_table(standings: Sequence[Standing], chosen: Standing | None) -> Table:
    """Return the plan of power: what was found, how wide, and what it takes to come to half the paper's gain."""
    found = Table(box=None, padding=(0, 2, 0, 0))
    for heading in (
        "",
        "group",
        "n",
        "gain over control",
        "half-width",
        "target",
        "n for it",
        "a trial",
        "to get there",
    ):
        found.add_column(heading, justify="left" if heading in ("", "group") else "right")
    for one in standings:
        found.add_row("next" if one is chosen else "", *_cells(one))
    return found


def _cells(one: Standing) -> list[str]:
    wanted, gain = one.wanted, one.found
    others = [f", {count} {what}" for count, what in ((one.failed, "failed"), (one.running, "running")) if count]
    cells = [wanted.title, f"{one.have} of {wanted.seeds}{''.join(others)}"]
    if gain is None or gain.sd is None or gain.half_width is None:
        cells += ["-", "-", f"{one.target:.2f}", "-"]
        more = one.missing
    else:
        needed = statistics.needed(gain.sd, one.target)
        cells += [f"{gain.mean:+.2f} ± {gain.sd:.2f}", f"{gain.half_width:.2f}", f"{one.target:.2f}", str(needed)]
        more = max(one.missing, 0 if one.narrow else needed - gain.n - one.running)
    if one.hours is None:
        return [*cells, "?", "?"]
    return [*cells, duration(3600 * one.hours), duration(3600 * one.hours * more) if more else "there"]
