"""The command `status`: list the trials of every row, and the progress of unfinished trials."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from benchmarks.cli.console import CONSOLE, show, write_json
from benchmarks.cli.display import PHASES, duration
from benchmarks.cli.options import Status
from benchmarks.records import progress, store
from benchmarks.records.schema import Record
from benchmarks.rows import ROWS
from benchmarks.training import lock
from tasks.recipe import SCALES


@dataclass(frozen=True)
class Unfinished:
    """A trial that runs, or that has a checkpoint.

    Attributes:
        trial: its name.
        alive: whether a process, on any machine, is running it, that is, holds the trial's lock.
        host, pid: the machine and id of that process, or of the last one.
        phase: the phase of the arms with masks.
        done, total: arm-steps, one for each optimizer step of each arm.
        seconds_left: the process's last estimate.
        updated: the time of its last line of progress, UTC.
        metric, score: the last test score of DSD, or of the arm that was tested last.
    """

    trial: str
    alive: bool
    host: str | None = None
    pid: int | None = None
    phase: str | None = None
    done: int | None = None
    total: int | None = None
    seconds_left: float | None = None
    updated: str | None = None
    metric: str | None = None
    score: float | None = None


def status(options: Status) -> int:
    """Print every row's finished seeds, failed trials and unfinished checkpoints, and the progress of unfinished trials."""
    folders = [options.out] if options.out else [Path("results"), Path("runs")]
    records = [record for folder in folders for record in store.read_all(folder / "records")]
    checkpoints = [path.parent.name for folder in folders for path in sorted(folder.glob("checkpoints/*/trial.pt"))]
    lines = [line for name in ROWS for line in _lines(name, records, checkpoints)]
    unfinished = [one for folder in folders for one in _unfinished(folder)]
    if options.json:
        write_json({"rows": lines, "unfinished": [dataclasses.asdict(one) for one in unfinished]})
        return 0
    table = Table("row", "scale", "data", "finished seeds", "failed", "unfinished", box=None, padding=(0, 2, 0, 0))
    for name in ROWS:
        own = [line for line in lines if line["row"] == name]
        for line in own:
            seeds = ", ".join(map(str, line["finished_seeds"])) or "-"
            waiting = ", ".join(line["unfinished"]) or "-"
            table.add_row(name, line["scale"], escape(line["data"]), seeds, str(line["failed"]), waiting)
        if not own:
            table.add_row(name, "-", "-", "-", "-", "-")
    show(table)
    if unfinished:
        CONSOLE.print()
        show(_table(unfinished))
    return 0


def _lines(name: str, records: list[Record], checkpoints: list[str]) -> list[dict[str, Any]]:
    """Return the facts about a row, a line for each scale and data set."""
    lines = []
    for scale in SCALES:
        trials = [record for record in records if (record.row, record.scale) == (name, scale)]
        waiting = [key for key in checkpoints if key.startswith(f"{name}-{scale}-")]
        for data in sorted({record.data.name for record in trials}) or ([""] if waiting else []):
            on_data = [record for record in trials if record.data.name == data]
            lines.append(
                {
                    "row": name,
                    "scale": scale,
                    "data": data,
                    "finished_seeds": sorted({record.seed for record in on_data if record.status == "finished"}),
                    "failed": sum(record.status == "failed" for record in on_data),
                    "unfinished": waiting,
                }
            )
    return lines


def _unfinished(folder: Path) -> list[Unfinished]:
    owners = lock.owners(folder / "checkpoints")
    waiting = {path.parent.name for path in folder.glob("checkpoints/*/trial.pt")}
    return [_one(name, folder, owners.get(name)) for name in sorted(waiting | set(owners))]


def _one(name: str, folder: Path, owner: lock.Owner | None) -> Unfinished:
    try:
        lines = progress.latest(folder / "progress" / f"{name}.jsonl")
    except (OSError, ValueError):  # missing (older suite) or damaged: the lock still shows whether it runs
        lines = []
    said: dict[str, Any] = {}
    for line in lines:
        said |= line
    steps = [line for line in lines if "phase" in line]
    now = [line["phase"] for line in steps if line["step"] == steps[-1]["step"]]
    tests = [line for line in lines if line["event"] == "evaluation"]
    score = next((line for line in reversed(tests) if line["arm"] == "dsd"), tests[-1] if tests else None)
    metric = said.get("metric")
    return Unfinished(
        name,
        alive=owner is not None,
        host=owner.host if owner else said.get("host"),
        pid=owner.pid if owner else said.get("pid"),
        phase=next((kind for kind in ("sparse", "redense", "dense") if kind in now), None),
        done=said.get("done"),
        total=said.get("total"),
        seconds_left=said.get("seconds_left"),
        updated=said.get("time"),
        metric=metric,
        score=score["test"].get(metric) if score else None,
    )


def _table(unfinished: list[Unfinished]) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("unfinished trial", "process", "phase", "progress", "time left", "last line", "test score"):
        grid.add_column(heading, justify="right" if heading in ("progress", "time left", "last line") else "left")
    for one in unfinished:
        where = f"{one.host}, pid {one.pid}" if one.host else "unknown"
        grid.add_row(
            one.trial,
            f"runs ({where})" if one.alive else f"none (last: {where})",
            PHASES[one.phase] if one.phase else "-",
            f"{one.done / one.total:.0%}" if one.done is not None and one.total else "-",
            duration(one.seconds_left) if one.alive and one.seconds_left is not None else "-",
            f"{duration(_age(one.updated))} ago" if one.updated else "-",
            f"{one.metric} {one.score:.2f}" if one.score is not None else "-",
        )
    return grid


def _age(moment: str) -> float:
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
