"""Verdicts in words, and why there is none: in a cell, and in a sentence."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.analysis import answers, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group, Section
from benchmarks.analysis.verdicts import LEAST_SEEDS, ClaimAnswer, Direction, Lack, Reason


@dataclass(frozen=True)
class Words:
    """An answer in a cell and in a sentence."""

    cell: str
    sentence: str


CLAIMS: Mapping[ClaimAnswer, Words] = {
    "reached": Words("claim reached", "the paper's gain is reached"),
    "not excluded": Words("claim not excluded", "the paper's gain is not excluded"),
    "excluded": Words("claim excluded", "the paper's gain is excluded"),
    "half excluded": Words("even half the claim excluded", "even half of the paper's gain is excluded"),
}
DIRECTIONS: Mapping[Direction, Words] = {
    "DSD better": Words("DSD better", "DSD is better than the control"),
    "DSD worse": Words("DSD worse", "DSD is worse than the control"),
    "no difference shown": Words("no difference shown", "no difference between DSD and the control is shown"),
}
_UNPLANNED: Mapping[Section, str] = {"smoke": "smoke test only", "custom": "custom recipe", "small": "superseded"}
_ARMS = {"dsd": "DSD", "control": "control"}


def verdict(row: Row, untold: Collection[Lack] = ()) -> str:
    """Return a planned row's two answers, or why it has none, in a few words. Reasons of the kinds `untold` are left out."""
    if row.answer.claim and row.answer.direction:
        return f"{CLAIMS[row.answer.claim].cell}; {DIRECTIONS[row.answer.direction].cell}"
    why = reasons(row, untold)
    if not why:
        return "none yet" if row.left else "none"
    return f"none yet ({why})" if row.left else f"none: {why}"


def standing(group: Group, rows: Mapping[str, Row]) -> str:
    """Return the verdict on a group in a few words, or why it has none."""
    row = _planned(group, rows)
    if row:
        return verdict(row)
    return _unplanned(group) if group.section == "smoke" else f"none: {_unplanned(group)}"


def standings(groups: Sequence[Group]) -> list[str]:
    """Return the verdict on each group, or why it has none, among these groups alone."""
    rows = answers.rows(groups)
    return [standing(group, rows) for group in groups]


def sentence(group: Group, rows: Mapping[str, Row]) -> str:
    """Return the verdict on a group, or why it has none, as a sentence without its full stop."""
    row = _planned(group, rows)
    if row is None:
        return f"No verdict: {_unplanned(group)}"
    if not row.lacks:
        return f"Verdict: {verdict(row)}"
    return f"No verdict{' yet' if row.left else ''}: {reasons(row)}"


def reasons(row: Row, untold: Collection[Lack] = ()) -> str:
    """Return why a planned row has no verdict; empty if it has one. Reasons of the kinds `untold` are left out."""
    return "; ".join(_reason(one, row) for one in row.lacks if one.lack not in untold)


def no_gain(group: Group) -> str:
    """Return why a group has no gain of DSD over the control."""
    lacking = [_ARMS[arm] for arm in summary.missing(group)]
    return f"no {' or '.join(lacking)} arm" if lacking else "no trial with DSD and control arm"


def _planned(group: Group, rows: Mapping[str, Row]) -> Row | None:
    return None if group.section in _UNPLANNED else answers.row_of(group, rows)


def _unplanned(group: Group) -> str:
    return _UNPLANNED.get(group.section, "not in the plan")


def _reason(reason: Reason, row: Row) -> str:
    match reason.lack:
        case "no trial":
            return f"no trial; {row.outside} outside the plan" if row.outside else "no trial"
        case "no gain":
            return no_gain(row.group) if row.group else "no trial"
        case "gate fails":
            return f"gate does not hold{' so far' if row.left else ''}"
        case "too few seeds planned":
            return f"{len(reason.seeds)} seeds planned, {LEAST_SEEDS} needed"
        case "seeds not run":
            return f"{seeds(reason.seeds)} not run"
        case "seeds not planned" | "seeds trained more than once":
            return f"{reason.lack}: {', '.join(map(str, reason.seeds))}"
        case "gate not computed":
            return reason.lack


def seeds(numbers: Sequence[int]) -> str:
    """Return "seed 4", "seeds 3 and 4", "seeds 1 to 4" or "seeds 0, 2 to 4 and 6". `numbers` increase."""
    parts: list[str] = []
    for _, run in itertools.groupby(enumerate(numbers), key=lambda one: one[1] - one[0]):
        chosen = [number for _, number in run]
        parts += [f"{chosen[0]} to {chosen[-1]}"] if len(chosen) > 2 else map(str, chosen)
    *first, last = parts
    named = f"{', '.join(first)} and {last}" if first else last
    return f"seed{'s' if len(numbers) > 1 else ''} {named}"
