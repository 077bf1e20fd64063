"""The records of one group, and the failed trials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.arms.registry import DENSE
from benchmarks.datasets import DATASETS, prepared
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
        gain("over_baseline", "gain over D", {seed: dsd[seed] for seed in dsd if seed in control}),
        gain("control_over_baseline", "control over D", control),
        Column("commit", "commit", lambda one: Cell(formatting.commits([one]))),
        Column("finished", "finished", lambda one: Cell(one.finished)),
        Column("state", "state", lambda one: Cell(states[one.id])),
    ]
    return table(columns, group.everything, PAGES, group=group)


def rerun(group: Group) -> Details:
    """Return how to run the trials of the group again: per seed the command, commit, data, threads and Python version."""
    guide = Cell("benchmarks/README.md", address="../benchmarks/README.md")
    items: list[Text] = [
        ("Check out the commit and install as in ", guide, "."),
        *_data(group),
        "Set OMP_NUM_THREADS to the number of threads: another number may round differently.",
        f"Replace `--data NAME`{' and `--weights NAME`' if _weights(group) else ''} by the path of your copy, such as `data/NAME`, "
        "and `--out NAME` by a new folder. Then compare the two records: `python -m benchmarks compare OLD NEW`.",
    ]
    items += [
        f"Seed {one.seed}: `{one.command}`; commit {formatting.commits([one])}, data {one.data.name} with fingerprint "
        f"{one.data.fingerprint}, threads: {one.hardware.threads}{_python(one)}"
        for one in group.records
    ]
    return Details("Rerun these trials", tuple(items))


def _data(group: Group) -> Iterator[Text]:
    """Yield how to get the group's data set and frozen network; nothing if the command generates the data."""
    if group.synthetic:
        return
    for name in (group.key.data, *_weights(group)):
        found = prepared(name, "source")
        if found is None:
            yield f"Get {name} as the README of the row's domain in `tasks/` says."
            continue
        dataset, command = found
        get = " && ".join(source.get for source in dataset.sources)
        forms = [source.url for source in dataset.sources if source.form]
        first = (
            f"apply at {formatting.listed(forms)}, put the downloads into the new folder `source`, " if forms else ""
        )
        run = f"`{'' if forms else 'mkdir -p source && '}cd source && {get} && cd ..`"
        same = (
            "Every commit makes the same data."
            if dataset.exact
            else f"Your copy will differ from ours: {dataset.note}."
        )
        yield f"Make `data/{name}`: {first}run {run}, then `{command}`. {same}"


def _weights(group: Group) -> list[str]:
    """Return the files of frozen networks among `DATASETS` that the group's features were computed with."""
    return [one.made for one in DATASETS.values() if not one.row and one.made in (group.sample.data.features or "")]


def _python(record: Record) -> str:
    return f", Python {record.versions['python']}" if "python" in record.versions else ""


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
