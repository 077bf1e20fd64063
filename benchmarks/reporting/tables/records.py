"""The records of one group, and the trials that failed."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.analysis import summary
from benchmarks.analysis.groups import Group
from benchmarks.arms import registry
from benchmarks.records.schema import Record
from benchmarks.reporting import formatting
from benchmarks.reporting.formatting import NONE


def record_lines(group: Group, prefix: str) -> list[dict[str, str]]:
    """Return one line a record, whose links start with `prefix`."""
    pairs = (("dsd", "control"), ("dsd", registry.DENSE), ("control", registry.DENSE))
    over = [summary.gains(group, *pair) for pair in pairs]
    found = []
    states = group.states
    for record in group.everything:
        used = states[record.id] == "used"
        values = [
            formatting.number(gains[record.seed], True) if used and record.seed in gains else NONE for gains in over
        ]
        found.append(
            {
                # The heading says row and scale; whole ids would make the table wider than a page.
                "record": f"[{record.id.removeprefix(f'{record.row}-{record.scale}-')}]"
                f"({prefix}records/{record.id}.json)",
                "seed": str(record.seed),
                "gain over control": values[0],
                "gain over baseline": values[1] if values[2] != NONE else NONE,
                "control's over baseline": values[2],
                "commit": formatting.commits([record]),
                "finished": record.finished,
                "state": states[record.id],
            }
        )
    return found


def failures(failed: Sequence[Record], prefix: str) -> list[str]:
    """Return the Markdown section of the failed trials, whose links start with `prefix`; nothing where there are none."""
    if not failed:
        return []
    found = []
    for record in failed:
        failure = record.failure
        where = f"{failure.arm}, {failure.phase}, step {failure.step}: " if failure else ""
        message = " ".join((failure.message if failure else "no message").split())
        found.append(
            f"- [{record.id}]({prefix}records/{record.id}.json): {record.scale}, seed {record.seed}, {where}{message}"
        )
    return [f"## Failed trials, left out: {len(failed)}\n\n" + "\n".join(found)]
