"""The command `status`: list the trials of every row."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from benchmarks.cli.console import show
from benchmarks.cli.options import Status
from benchmarks.records import store
from benchmarks.rows import ROWS
from tasks.recipe import SCALES


def status(options: Status) -> int:
    """Print for every row its finished seeds, failed trials and unfinished checkpoints."""
    folders = [options.out] if options.out else [Path("results"), Path("runs")]
    table = Table("row", "scale", "data", "finished seeds", "failed", "unfinished", box=None, padding=(0, 2, 0, 0))
    records = [record for folder in folders for record in store.read_all(folder / "records")]
    unfinished = [path.parent.name for folder in folders for path in sorted(folder.glob("checkpoints/*/trial.pt"))]
    for name in ROWS:
        for scale in SCALES:
            trials = [record for record in records if (record.row, record.scale) == (name, scale)]
            waiting = [key for key in unfinished if key.startswith(f"{name}-{scale}-")]
            for data in sorted({record.data.name for record in trials}) or ([""] if waiting else []):
                on_data = [record for record in trials if record.data.name == data]
                seeds = sorted({record.seed for record in on_data if record.status == "finished"})
                failed = sum(record.status == "failed" for record in on_data)
                cells = (", ".join(map(str, seeds)) or "-", str(failed), ", ".join(waiting) or "-")
                table.add_row(name, scale, escape(data), *cells)
        if not any(record.row == name for record in records) and not any(key.startswith(name) for key in unfinished):
            table.add_row(name, "-", "-", "-", "-", "-")
    show(table)
    return 0
