"""The command `report`: writes the HTML page of all results."""

from __future__ import annotations

from benchmarks.cli.console import say
from benchmarks.cli.options import Report
from benchmarks.records import store
from benchmarks.reporting.html import page
from benchmarks.reporting.results_folder import records_folder


def report(options: Report) -> int:
    """Make the HTML page of the records in a folder.

    Raises:
        ValueError: that is no folder of records; a file of outputs is not its record's; the page is too large.
    """
    folder = records_folder(options.records)
    path = options.out or folder.parent / "report.html"
    found = store.read_all(folder)
    size = page.write(path, found, folder.parent / "outputs")
    say(f"{len(found)} records: wrote {path}, {size:,} bytes")
    return 0
