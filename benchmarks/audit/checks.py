"""Check that a record is consistent with itself and with the files beside it, without training again.

Each check recomputes a part of the record from the rest: masks from the sparsity, steps and rates from the recipe, scores from the
outcomes of the test examples, bootstraps from their seed. The rules are implemented again here on purpose, independent of training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.audit import costs, curves, identity, masks, schedules, scores
from benchmarks.audit.check import Check, NotApplicableError, Outcome
from benchmarks.records import outputs as output_files
from benchmarks.records import store
from benchmarks.records.schema import Record

_SHOWN = 3

CHECKS: Mapping[str, Check] = {
    "identity": identity.identity,
    "recipe": identity.recipe,
    "schedule": schedules.schedule,
    "masks": masks.masks,
    "clipping": schedules.clipping,
    "scores": scores.scores,
    "bootstrap": scores.bootstraps,
    "curve": curves.curve,
    "cost": costs.cost,
}
"""The checks of a record alone. They read no file."""


@dataclass(frozen=True)
class Finding:
    """The result of a check. `detail` names the problems, the checked part, or why the check does not apply."""

    check: str
    status: Literal["holds", "fails", "not applicable"]
    detail: str


Stale = Callable[[Path, list[Record]], list[str]]
"""Takes a results folder and its records. Returns the names of the folder's files that differ from files generated again."""


def audit_files(paths: Sequence[Path], stale_files: Stale) -> Iterator[tuple[Path, list[Finding]]]:
    """Yield each file with its findings, in the given order. A file that is not a record has a single finding."""
    stale: dict[Path, list[str]] = {}
    for path in paths:
        try:
            record = store.read(path)
        except ValueError as error:
            yield path, [Finding("file", "fails", str(error))]
            continue
        readable = Finding("file", "holds", f"schema {record.schema_version}, content hash, name")
        outputs = _finding("outputs", _outputs, path, record)
        tables = _finding("tables", _tables, path, record, stale, stale_files)
        yield path, [readable, *audit(record), outputs, tables]


def audit(record: Record) -> list[Finding]:
    """Return the findings of all checks of the record alone."""
    return [_finding(name, check, record) for name, check in CHECKS.items()]


def _finding(name: str, check: Callable[..., Outcome], *arguments: Any) -> Finding:
    try:
        problems, detail = check(*arguments)
    except NotApplicableError as reason:
        return Finding(name, "not applicable", str(reason))
    if not problems:
        return Finding(name, "holds", detail)
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return Finding(name, "fails", "; ".join([*problems[:_SHOWN], *more]))


def _outputs(path: Path, record: Record) -> Outcome:
    """The file of outputs has the recorded SHA-256."""
    folder, name = path.parent.parent / "outputs", f"{record.id}.csv.gz"
    if not record.outputs:
        raise NotApplicableError("the record names no file of outputs")
    if not (folder / name).is_file():
        raise NotApplicableError(f"there is no file {folder / name}")
    altered = output_files.altered(folder, {record.id: record.outputs})
    return [f"the SHA-256 of {file} differs from the recorded one" for file in altered], name


def _tables(path: Path, record: Record, stale: dict[Path, list[str]], stale_files: Stale) -> Outcome:
    """The tables of the record's row equal tables generated again from the records. `stale` caches each folder's stale files."""
    out = path.parent.parent
    if path.parent.name != "records" or not (out / "tables").is_dir():
        raise NotApplicableError("there are no tables beside the record")
    detail = f"{out / 'tables' / record.row}.*"
    if out not in stale:
        try:
            stale[out] = stale_files(out, store.read_all(out / "records"))
        except ValueError as error:
            return [f"the tables cannot be made: {error}"], detail
    pages = f"tables/{record.row}.", "tables/smoke."
    mine = [name for name in stale[out] if name.startswith(pages)]
    return [f"{out / name} differs from what the records give" for name in mine], detail
