"""The command `report`: write one HTML page of all results."""

from __future__ import annotations

from benchmarks.cli.console import say
from benchmarks.cli.options import Report
from benchmarks.records import store
from benchmarks.reporting.html import page
from benchmarks.reporting.results_folder import records_folder


def report(options: Report) -> int:
    """Write the HTML page of the records in a folder.

    Raises:
        ValueError: the folder is not a folder of records, an outputs file does not match its record, or the page is too large.
    """
    folder = records_folder(options.records)
    path = options.out or folder.parent / "report.html"
    records = store.read_all(folder)
    size = page.write(path, records, folder.parent / "outputs")
    say(f"{len(records)} records: wrote {path}, {size:,} bytes")
    return 0
