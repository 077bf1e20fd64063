"""The command `tables`: make or check the tables and figures of a folder of records."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cli.console import say
from benchmarks.cli.options import Tables
from benchmarks.records import outputs, store
from benchmarks.records.schema import Record
from benchmarks.reporting import results_folder
from benchmarks.reporting.results_folder import front_page, publish, records_folder, with_headline


def tables(options: Tables) -> int:
    """Make (or check) the tables and figures of a folder of records; return 1 if a check finds a difference.

    Raises:
        ValueError: the folder is not a folder of records.
    """
    folder = records_folder(options.records)
    out = folder.parent
    if options.check:
        return _check(out, store.read_all(folder))
    records, drawn = publish(out)
    say(f"{len(records)} records: wrote {out / 'README.md'}, {out / 'tables'}, {drawn} figures")
    return 0


def _check(out: Path, records: list[Record]) -> int:
    stale = [str(out / name) for name in results_folder.check(out, records)]
    front = front_page(out)
    if front is not None and front.read_text(encoding="utf-8") != with_headline(front, records):
        stale.append(front.name)
    altered = outputs.altered(out / "outputs", {record.id: record.outputs for record in records})
    for name in stale:
        say(f"stale: {name}")
    for path in altered:
        say(f"altered: {path}: its SHA-256 differs from the one in its record")
    if stale:
        say("run `nox -s tables` and commit what changes")
    if altered:
        say("outputs files cannot be regenerated: restore or delete them")
    if not stale and not altered:
        say(f"{len(records)} records: tables and figures are up to date")
    return 1 if stale or altered else 0
