"""The commands `tables` and `report`, and what a run does at its end: what follows from the records, written or compared."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from benchmarks import ROOT, figures, outputs, record
from benchmarks import report as html
from benchmarks import tables as tabulate
from benchmarks.console import say
from benchmarks.options import Report, Tables
from benchmarks.record import Record
from tasks.cache import write_whole

PRIVATE = "private"
"""The folder beside the records for what shows a user's own pictures: never published."""


def tables(options: Tables) -> int:
    """Make (or compare) everything that follows from the records in a folder; return 1 where something differs.

    Raises:
        ValueError: that is no folder of records; pictures are asked for and cannot be drawn.
    """
    folder = _records(options.records)
    if options.check and options.pictures:
        raise ValueError(f"--check writes nothing, so it draws no sheet of --pictures {options.pictures}")
    if options.pictures and not options.pictures.is_dir():
        raise ValueError(f"--pictures {options.pictures}: there is no such folder")
    out = folder.parent
    if options.check:
        return _check(out, record.read_all(folder))
    found, drawn = publish(out)
    say(f"{len(found)} records: wrote {out / 'README.md'}, {out / 'tables'}, {drawn} figures")
    if options.pictures:
        for path in figures.private(out / PRIVATE, found, options.pictures):
            say(f"with photographs, not to be passed on: {path}")
    return 0


def report(options: Report) -> int:
    """Make the HTML page of the records in a folder.

    Raises:
        ValueError: that is no folder of records; a file of outputs is not its record's; the page is too large.
    """
    folder = _records(options.records)
    path = options.out or folder.parent / "report.html"
    found = record.read_all(folder)
    size = html.write(path, found, folder.parent / "outputs")
    say(f"{len(found)} records: wrote {path}, {size:,} bytes")
    return 0


def publish(out: Path) -> tuple[list[Record], int]:
    """Write tables, figures and, for the checkout's own results, the headline in its README.

    Return the records and the number of figures. Runs that end at once in one folder do it one after another.
    """
    with FileLock(out / "records" / ".lock"):  # not beside the tables: of a bad record nothing is made
        found = record.read_all(out / "records")
        tabulate.write(out, found)
        front = _front_page(out)
        if front is not None:
            write_whole(front, _with_headline(front, found).encode())
        return found, len(figures.write(out, found))


def _records(folder: Path) -> Path:
    if folder.name != "records" or not folder.is_dir():
        raise ValueError(f"--records {folder}: expected a folder called records; what is made is written beside it")
    return folder


def _check(out: Path, found: list[Record]) -> int:
    stale = [str(out / name) for name in tabulate.check(out, found)]
    front = _front_page(out)
    if front is not None and front.read_text(encoding="utf-8") != _with_headline(front, found):
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


def _front_page(out: Path) -> Path | None:
    return ROOT / "README.md" if out.resolve() == ROOT / "results" else None


def _with_headline(front: Path, found: list[Record]) -> str:
    return tabulate.embed(front.read_text(encoding="utf-8"), tabulate.headline(found))
