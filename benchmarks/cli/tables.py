"""The command `tables`: makes or checks everything that follows from the records in a folder."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cli.console import say
from benchmarks.cli.options import Tables
from benchmarks.records import outputs, store
from benchmarks.records.schema import Record
from benchmarks.reporting import results_folder
from benchmarks.reporting.results_folder import front_page, publish, records_folder, with_headline


def tables(options: Tables) -> int:
    """Make (or compare) everything that follows from the records in a folder; return 1 where something differs.

    Raises:
        ValueError: that is no folder of records.
    """
    folder = records_folder(options.records)
    out = folder.parent
    if options.check:
        return _check(out, store.read_all(folder))
    found, drawn = publish(out)
    say(f"{len(found)} records: wrote {out / 'README.md'}, {out / 'tables'}, {drawn} figures")
    return 0


def _check(out: Path, found: list[Record]) -> int:
    stale = [str(out / name) for name in results_folder.check(out, found)]
    front = front_page(out)
    if front is not None and front.read_text(encoding="utf-8") != with_headline(front, found):
        stale.append(front.name)
    altered = outputs.altered(out / "outputs", {one.id: one.outputs for one in found})
    for name in stale:
        say(f"stale: {name}")
    for path in altered:
        say(f"altered: {path} is not the file that its record was written with: another SHA-256")
    if stale:
        say("run `nox -s tables` and commit what changes")
    if altered:
        say("no command makes such a file again: restore it, or delete it")
    if not stale and not altered:
        say(f"{len(found)} records: the tables are theirs")
    return 1 if stale or altered else 0
