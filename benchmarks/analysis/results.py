"""All records of a folder: their groups, the failed trials and the planned rows. Computed once for all pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.analysis import answers
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group, failed_records, group_records, row_order
from benchmarks.records.schema import Record


@dataclass(frozen=True)
class Results:
    """The results of some records. `rows` are the planned rows."""

    records: tuple[Record, ...]
    groups: tuple[Group, ...]
    failed: tuple[Record, ...]
    rows: Mapping[str, Row]

    @property
    def names(self) -> list[str]:
        """The rows that have a record, failed ones included, in the paper's order."""
        return sorted({record.row for record in self.records}, key=row_order)

    def of(self, row: str) -> list[Group]:
        """Return the groups of a row."""
        return [group for group in self.groups if group.key.row == row]


def results(records: Sequence[Record]) -> Results:
    """Return the results of the records of a folder.

    Raises:
        ValueError: records of one group disagree (see `group_records`).
    """
    groups = group_records(records)
    return Results(tuple(records), tuple(groups), tuple(failed_records(records)), answers.rows(groups))
