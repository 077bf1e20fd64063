"""The trials of a campaign file: which are missing, what they need, how long they take."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.table import Table

from benchmarks import rows
from benchmarks.analysis.trial_priority import mean_hours
from benchmarks.campaign import file
from benchmarks.cli import named_inputs, option_checks, recorded_command
from benchmarks.cli.display import duration
from benchmarks.cli.engines import Planned
from benchmarks.cli.options import Evidence, Run
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.rows import BFLOAT16
from benchmarks.training import lock

State = Literal["finished", "failed", "running", "left"]


@dataclass(frozen=True)
class Entry:
    """A trial of the campaign and its state."""

    planned: Planned
    state: State


class CampaignQueue:
    """The trials of a campaign file, seed by seed: the first seed of every row, then the second.

    Finished and failed trials are not run again. Trials that another process is running are not started.

    Raises:
        ValueError: the file, or an option of `run` in it, is invalid.
    """

    def __init__(self, given: Evidence) -> None:
        assert given.campaign is not None
        self._given, self._campaign = given, file.read(given.campaign)
        self.out = given.out or Path("runs")
        self.resources, self.price = self._campaign.resources, self._campaign.price
        self.slurm: Mapping[str, Any] = self._campaign.slurm
        here = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        self.gpu = (self._campaign.gpu or here) if self.resources.gpus else None
        asked = {rows.row(name).name for name in given.rows} or set(self._campaign.rows)
        if missing := asked - set(self._campaign.rows):
            raise ValueError(f"--rows {', '.join(sorted(missing))}: not in {given.campaign}")
        names = [name for name in self._campaign.rows if name in asked]
        most = max((max(self._campaign.seeds_of(name), default=-1) for name in names), default=-1)
        self._options = [
            self._run(name, seed) for seed in range(most + 1) for name in names if seed in self._campaign.seeds_of(name)
        ]
        self._pending: list[Planned] | None = None

    def require(self) -> None:
        """Check the options of every trial, data included.

        Raises:
            ValueError: one is invalid.
            OSError: the output folder cannot be written.
        """
        for options in self._options:
            option_checks.run(options)

    def next(self) -> Planned | None:
        """Return the next trial that is left; None if there is none."""
        if self._pending is None:
            self._pending = self.left()
        return self._pending.pop(0) if self._pending else None

    def ended(self, trial: Planned, status: int) -> None:
        """Do nothing: a trial of a campaign runs once."""

    def left(self) -> list[Planned]:
        """Return the trials that are left."""
        return [entry.planned for entry in self._entries() if entry.state == "left"]

    def table(self) -> Table:
        """Return the state of every row as a table."""
        grid = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("row", "seeds", "finished", "failed", "running", "left", "a trial"):
            grid.add_column(heading, justify="left" if heading == "row" else "right")
        for name, entries in self._by_row().items():
            counts = [sum(one.state == state for one in entries) for state in ("finished", "failed", "running", "left")]
            hours = entries[0].planned.hours
            time = "unknown" if hours is None else duration(3600 * hours)
            grid.add_row(name, str(len(entries)), *map(str, counts), time)
        return grid

    def facts(self) -> dict[str, Any]:
        """Return the campaign and the state of every trial."""
        states = [
            {"row": one.planned.options.row, "seed": one.planned.options.first_seed, "state": one.state}
            for one in self._entries()
        ]
        resources = dataclasses.asdict(self.resources)
        return {"plan": str(self._given.campaign), "gpu": self.gpu, "resources": resources, "states": states}

    def _by_row(self) -> dict[str, list[Entry]]:
        found: dict[str, list[Entry]] = {}
        for entry in self._entries():
            found.setdefault(entry.planned.options.row, []).append(entry)
        return found

    def _run(self, name: str, seed: int) -> Run:
        """Return the options of one trial."""
        campaign, own, root = self._campaign, self._campaign.rows[name], self._given.data
        more = {key: _inside(root, value) for key, value in own.options.items()}
        try:
            return Run(
                **{
                    "row": name,
                    "scale": campaign.scale,
                    "data": root / own.data if own.data else None,
                    "seeds": 1,
                    "first_seed": seed,
                    "arms": own.arms or campaign.arms,
                    "out": self.out,
                    **more,
                }
            )
        except TypeError as error:
            raise ValueError(f"{self._given.campaign}: rows.{name}.options: {error}") from error

    def _entries(self) -> list[Entry]:
        folder = self.out / "records"
        records = store.read_all(folder)
        held = lock.commands(self.out / "checkpoints")
        return [self._entry(options, records, held) for options in self._options]

    def _entry(self, options: Run, records: list[Record], held: set[str]) -> Entry:
        alike = _alike(records, options)
        own = [record for record in alike if record.seed == options.first_seed]
        finished = [record for record in alike if record.status == "finished"]
        hours = mean_hours(finished, self.gpu) or self._campaign.rows[options.row].expected_hours
        planned = Planned(options, f"{rows.row(options.row).title} seed {options.first_seed}", hours)
        if any(record.status == "finished" for record in own):
            return Entry(planned, "finished")
        if recorded_command.command("run", options) in held:
            return Entry(planned, "running")
        return Entry(planned, "failed" if own else "left")


def _inside(root: Path, value: Any) -> Any:
    """Return the path of a file in the data folder, or the value itself."""
    return str(root / value) if isinstance(value, str) and (root / value).is_file() else value


def _alike(records: list[Record], options: Run) -> list[Record]:
    """Return the records, of any seed, of the trials that `options` ask for."""
    row = rows.row(options.row)
    recipe_hash = option_checks.recipe_of(row, options).hash()
    wanted = (row.numerics, row.name, options.scale, recipe_hash, named_inputs.custom(row, options), options.subset)
    given, autocast = options.dense is not None, option_checks.own(row, options).get("precision") == "bfloat16"

    def covers(record: Record) -> bool:
        facts = (
            record.numerics,
            record.row,
            record.scale,
            record.recipe_hash,
            tuple(record.custom),
            record.data.subset,
        )
        return (
            facts == wanted
            and (options.data is None or record.data.name == options.data.name)
            and set(record.arms) >= (set(options.arms) if record.status == "finished" else set())
            and record.hardware.processes == 1
            and (record.dense is not None and record.dense.source != "trained") == given
            and (record.precision == BFLOAT16) == autocast
        )

    return [record for record in records if covers(record)]
