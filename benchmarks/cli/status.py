"""The command `status`: what there is of every row."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from benchmarks.cli.console import show
from benchmarks.records import store
from benchmarks.rows import ROWS
from tasks.recipe import SCALES


def status(out: Path | None) -> int:
    """Print what there is of every row: finished seeds, failures, and checkpoints from which a run goes on."""
    folders = [out] if out else [Path("results"), Path("runs")]
    table = Table("row", "scale", "data", "finished seeds", "failed", "unfinished", box=None, padding=(0, 2, 0, 0))
    found = [one for folder in folders for one in store.read_all(folder / "records")]
    unfinished = [path.parent.name for folder in folders for path in sorted(folder.glob("checkpoints/*/trial.pt"))]
    for name in ROWS:
        for scale in SCALES:
            trials = [one for one in found if (one.row, one.scale) == (name, scale)]
            waiting = [key for key in unfinished if key.startswith(f"{name}-{scale}-")]
            for data in sorted({one.data.name for one in trials}) or ([""] if waiting else []):
                mine = [one for one in trials if one.data.name == data]
                seeds = sorted({one.seed for one in mine if one.status == "finished"})
                failed = sum(one.status == "failed" for one in mine)
                cells = (", ".join(map(str, seeds)) or "-", str(failed), ", ".join(waiting) or "-")
                table.add_row(name, scale, escape(data), *cells)
        if not any(one.row == name for one in found) and not any(key.startswith(name) for key in unfinished):
            table.add_row(name, "-", "-", "-", "-", "-")
    show(table)
    return 0
