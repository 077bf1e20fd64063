"""Secondary readings of the planned rows: the other comparisons, and what would change the answer. They give no verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmarks import paper
from benchmarks.analysis import answers, mask_lineage, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.analysis.mask_lineage import Iteration
from benchmarks.arms.registry import DENSE
from benchmarks.reporting import formatting
from benchmarks.reporting.document import PAGES, Cell, Column, Table, Text
from benchmarks.reporting.document import table as made
from benchmarks.reporting.formatting import number
from benchmarks.reporting.tables import planned
from benchmarks.statistics.intervals import MINIMUM_SEEDS

TITLE = (
    "Secondary, without a verdict: other gains, in points of the metric (positive: the first is better). D is the network that all "
    "arms start from. LLR trains D further at a tenth of D's last rate; the paper reports it too."
)
REST = (
    "Rows with one or two seeds, the paper's other rate for D2, the size of the pruned weights after D2, and what would change an "
    "answer:"
)
SMALL = 0.1
"""Pruned weights are said to stay near zero if their mean magnitude after D2 is below this share of the other weights'."""
_PAIRS = (("dsd", DENSE), ("control", DENSE), ("llr", DENSE), ("dsd", "llr"), ("control", "llr"))
_Line = tuple[Row, Group]


def lines(rows: Mapping[str, Row]) -> list[_Line]:
    """Return the planned rows with a gain, with their trials."""
    return [(row, row.group) for row in rows.values() if row.group and summary.primary(row.group)]


def with_intervals(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the planned rows with seeds enough for an interval."""
    return {name: row for name, row in rows.items() if row.group and len(_trials(row.group)) >= MINIMUM_SEEDS}


def table(rows: Mapping[str, Row]) -> Table:
    """Return the arms' gains over D, and those of DSD and the control over LLR: one line per planned row with a gain."""
    columns: list[Column[_Line]] = [
        Column("network", "network", lambda line: Cell(planned.network(line[0]), trials=planned.trials(line[0]))),
        *(_gain_column(*pair) for pair in _PAIRS),
        Column("seeds", "seeds", lambda line: Cell(_seeds(line[1]), trials=_trials(line[1]))),
    ]
    return made(columns, lines(rows), PAGES)


def _gain_column(arm: str, over: str) -> Column[_Line]:
    def cell(line: _Line) -> Cell:
        group = line[1]
        # The control's gain over D shows what longer training does, so DSD's gain over D never stands without it.
        if over == DENSE and not summary.over_baseline(group):
            return Cell()
        return _gain(group, arm, over) if summary.compare(group, arm, over) else Cell()

    names = {"control": "control", "llr": "LLR", "dsd": "DSD", DENSE: "D"}
    heading = f"{names[arm]} over {names[over]}"
    return Column(heading, heading, cell)


def _trials(group: Group) -> tuple[str, ...]:
    return summary.trials(group, "dsd", "control")


def _seeds(group: Group) -> str:
    count = len(_trials(group))
    return "one: no interval" if count == 1 else str(count)


def outside(rows: Mapping[str, Row], groups: Sequence[Group]) -> tuple[str | Cell, ...]:
    """Return the gain of every group of a planned row that is outside the plan; empty without such a group."""
    parts: list[str | Cell] = []
    for name, row in rows.items():
        for group in groups:
            if group.key.row == name and answers.outside(group, groups) and summary.primary(group):
                same = "the same data" if _same_data(group, row) else f"other data, {group.key.data}"
                numbers = [str(seed) for seed in summary.gains(group, "dsd", "control")]
                seeds = f"{'seed' if len(numbers) == 1 else 'seeds'} {formatting.listed(numbers)}"
                network = paper.ROWS[row.wanted.row].network
                parts += [" "] if parts else []
                parts += [f"{network} outside the plan, with another recipe on {same} ({seeds}): DSD over control "]
                parts += [_gain(group, "dsd", "control"), "."]
    return tuple(parts)


def _same_data(group: Group, row: Row) -> bool:
    if row.group:
        return group.key.fingerprint == row.group.key.fingerprint
    return group.key.data == row.wanted.data


def secondary(rows: Mapping[str, Row]) -> tuple[Text, ...]:
    """Return the longer readings: one item per planned row with a gain, in points of its metric."""
    return tuple(_row(row, group) for row, group in lines(rows))


def _row(row: Row, group: Group) -> Text:
    one = " (one seed)" if len(summary.trials(group, "dsd", "control")) == 1 else ""
    parts: list[str | Cell] = [f"**{planned.network(row)}**{one}:"]
    if effect := _effect(group):
        parts.append(f" Training D further at DSD's learning rates {effect}.")
    if summary.compare(group, "dsd-text", "control-text"):
        parts += [
            " The paper's text and tables give different rates for D2. With the text's rate, DSD over its control: ",
            _gain(group, "dsd-text", "control-text"),
            ".",
        ]
    return (*parts, *_pruned(group), *turning(row))


def _gain(group: Group, arm: str, over: str) -> Cell:
    return Cell(formatting.gain(group, arm, over), trials=summary.trials(group, arm, over))


def _effect(group: Group) -> str:
    """Return what the control's further training does to the score; empty for one seed, which cannot show it."""
    found = summary.crossed(group, "control", DENSE)
    if found is None:
        return ""
    if found.low <= 0 <= found.high:
        return "makes no clear difference"
    return f"makes the network {'better' if found.mean > 0 else 'worse'}"


def _pruned(group: Group) -> tuple[str | Cell, ...]:
    """Return the mean magnitude after D2 of the weights that S had pruned, relative to the other weights; empty if unknown."""
    found = _sizes(group, "dsd")
    if not found:
        return ()
    text = _sizes(group, "dsd-text")
    parts: list[str | Cell] = [" After D2, the weights that S had pruned average "]
    for iteration, size in enumerate(found, 1):
        parts += [" and "] if iteration > 1 else []
        parts.append(Cell(_percent(size), size, summary.trials(group, "dsd")))
        parts += [f" (iteration {iteration})"] if len(found) > 1 else []
    parts.append(" of the other weights' size")
    if text:
        parts += [" (", Cell(_percent(text[-1]), text[-1], summary.trials(group, "dsd-text")), " with the text's rate)"]
    parts += [", so they stay near zero"] if max((*found, *text)) < SMALL else []
    return (*parts, ".")


def _sizes(group: Group, arm: str) -> list[float]:
    """Return the mean size after D2 by iteration, as a share; empty unless every iteration has one."""
    found = [told for record in group.records if (told := mask_lineage.iterations(record, arm))]
    most = max(map(len, found), default=0)
    by_iteration = [[size for told in found if len(told) > k and (size := _size(told[k]))] for k in range(most)]
    return [summary.average(sizes).mean for sizes in by_iteration] if all(by_iteration) else []


def _size(one: Iteration) -> float | None:
    return one.size.get(mask_lineage.ALL)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def turning(row: Row) -> tuple[str | Cell, ...]:
    """Return the bounds that decide the answer on the claim, beside the claim; empty without bounds."""
    points, share = planned.here(row), row.answer.share
    if points is None or row.control is None or share is None or not math.isfinite(share.lower + share.upper):
        return ()
    trials = planned.trials(row, "dsd", "control")
    claim, lower, upper = (
        Cell(number(value, True), value, trials)
        for value in (points, share.lower * row.control, share.upper * row.control)
    )
    if share.upper < row.claim.share:
        return " The one-sided upper bound is ", upper, "; the claim needs ", claim, "."
    if share.lower >= row.claim.share:
        return " The one-sided lower bound is ", lower, "; the claim needs ", claim, "."
    return " The one-sided bounds are ", lower, " and ", upper, "; the claim, ", claim, ", is between them."
