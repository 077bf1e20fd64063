"""The records of one group, and the failed trials."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.arms.registry import DENSE
from benchmarks.records.schema import Record
from benchmarks.reporting import formatting
from benchmarks.reporting.document import (
    NONE,
    PAGES,
    Block,
    Bullets,
    Cell,
    Column,
    Details,
    Heading,
    Table,
    Text,
    table,
)


def trials(group: Group) -> Table:
    """Return one line per record of the group, used or not."""
    states = group.states
    over_control, dsd, control = (summary.gains(group, *pair) for pair in _PAIRS)

    def gain(key: str, heading: str, gains: dict[int, float]) -> Column[Record]:
        def text(record: Record) -> str:
            used = states[record.id] == "used" and record.seed in gains
            return formatting.number(gains[record.seed], True) if used else NONE

        return Column(key, heading, lambda record: Cell(text(record)))

    columns: list[Column[Record]] = [
        # The heading names row and scale; full ids would make the table too wide.
        Column("record", "record", lambda one: _link(one, one.id.removeprefix(f"{one.row}-{one.scale}-"))),
        Column("seed", "seed", lambda one: Cell(str(one.seed))),
        gain("over_control", "gain over control", over_control),
        gain("over_baseline", "gain over baseline", {seed: dsd[seed] for seed in dsd if seed in control}),
        gain("control_over_baseline", "control over baseline", control),
        Column("commit", "commit", lambda one: Cell(formatting.commits([one]))),
        Column("finished", "finished", lambda one: Cell(one.finished)),
        Column("state", "state", lambda one: Cell(states[one.id])),
    ]
    return table(columns, group.everything, PAGES, group=group)


def rerun(group: Group) -> Details:
    """Return how to run the trials of the group again: per seed the command, commit, data and threads."""
    items: list[Text] = [
        "Check out the commit, and set OMP_NUM_THREADS to the number of threads: another number may round differently. Commands "
        "name the last part of a path only. Data sets that `prepare` makes are the same at every commit."
    ]
    items += [
        f"Seed {one.seed}: `{one.command}`; commit {formatting.commits([one])}, data {one.data.name} with fingerprint "
        f"{one.data.fingerprint}, threads: {one.hardware.threads}"
        for one in group.records
    ]
    return Details("Rerun these trials", tuple(items))


_PAIRS = (("dsd", "control"), ("dsd", DENSE), ("control", DENSE))


def failures(failed: Sequence[Record]) -> list[Block]:
    """Return the section on failed trials; nothing if there are none."""
    items = []
    for record in failed:
        failure = record.failure
        where = f"{failure.arm}, {failure.phase}, step {failure.step}: " if failure else ""
        message = " ".join((failure.message if failure else "no message").split())
        items.append((_link(record, record.id), f": {record.scale}, seed {record.seed}, {where}{message}"))
    return [Heading(2, f"Failed trials, left out: {len(failed)}"), Bullets(tuple(items))] if items else []


def _link(record: Record, text: str) -> Cell:
    return Cell(text, record.id, address=f"records/{record.id}.json")
