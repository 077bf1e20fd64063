"""The overview of all groups: one table per kind of result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from benchmarks.analysis import answers, label_noise, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import SECTIONS, Group
from benchmarks.arms.registry import DENSE
from benchmarks.paper import Row as Published
from benchmarks.reporting.document import CSV, NONE, Block, Cell, Column, Table, headed, table
from benchmarks.reporting.formatting import mean_sd, number
from benchmarks.reporting.tables import planned, regime
from benchmarks.reporting.tables.overview_columns import BOTH, COLUMNS, Entry, metric_of, percent, pick
from benchmarks.reporting.wording import HEADINGS, INTRODUCTIONS

_NOISE = "Label noise: a random share of the training labels is wrong"
_OTHERS = "Small scale: trials outside the plan"
_PLAIN = ("network", "data", "metric", "baseline", "control", "dsd", "gain_over_control", "n")


def blocks(groups: Sequence[Group], rows: Mapping[str, Row]) -> list[Block]:
    """Return the tables of the overview: one per kind of result, and always the planned rows."""
    found: list[Block] = []
    for section in SECTIONS:
        chosen = [group for group in groups if group.section == section and not label_noise.share(group)]
        if section == "regime" and any(group.section not in ("smoke", "custom") for group in groups):
            found += planned.blocks(groups, rows)
            chosen = [group for group in chosen if answers.row_of(group, rows) is None]
            found += [*_plain(chosen, groups, _OTHERS, "No verdict."), *regime.blocks(groups, rows)]
        elif section == "paper":
            found += _table_1(chosen, groups)
        else:
            found += _plain(chosen, groups, HEADINGS[section], INTRODUCTIONS[section])
        if section == "custom":
            noisy = [one for one in groups if one.section == section and label_noise.share(one)]
            text = (
                f"{INTRODUCTIONS[section]} Compared with training without noise under the row's heading *label noise*."
            )
            found += _plain(noisy, groups, _NOISE, text)
    return found


def export(groups: Sequence[Group], rows: Mapping[str, Row]) -> Table:
    """Return the overview for CSV: one line per group, and one per planned row without a trial."""
    lines = [Entry(group, answers.row_of(group, rows), groups) for group in groups]
    lines += [Entry(None, row, groups) for row in rows.values() if row.group is None]
    return table(COLUMNS.values(), lines, CSV)


def _plain(chosen: Sequence[Group], groups: Sequence[Group], heading: str, sentences: str) -> list[Block]:
    """Return the table of groups without a verdict. It omits the paper's figures."""
    return headed(heading, sentences, pick(*_PLAIN), [Entry(group, None, groups) for group in chosen])


def _introduction(groups: Sequence[Group]) -> str:
    """Return the explanation of the table with the paper's lines beside ours."""
    rows = [row for group in groups if (row := group.paper)]
    text = (
        f"{INTRODUCTIONS['paper']} Gains over the baseline are shown for DSD, as in the paper's Table 1 (in points and in percent "
        "of the baseline), and for the control, which has no mask."
    )
    if names := dict.fromkeys(row.network for row in rows if row.iterated):
        text += f" {' and '.join(names)}: the paper compares unequal budgets: DSD trained for longer."
    notes = [f"{row.network}: {row.note}" for row in rows if not row.same_data]
    return " ".join([text, *dict.fromkeys(notes)])


_Line = Entry | Published


def _table_1(chosen: Sequence[Group], groups: Sequence[Group]) -> list[Block]:
    """Return the groups as in the paper's Table 1, with the paper's line above the first group of each row."""
    lines: list[_Line] = []
    for index, group in enumerate(chosen):
        if group.paper and all(one.key.row != group.key.row for one in chosen[:index]):
            lines.append(group.paper)
        lines.append(Entry(group, None, groups))
    return headed(HEADINGS["paper"], _introduction(chosen), _TABLE_1, lines)


def _beside(key: str, papers: Callable[[Published], str], ours: Callable[[Entry], Cell] | None = None) -> Column[_Line]:
    """Return a column that the paper has too. `ours` replaces the usual cell for our own lines."""
    column = COLUMNS[key]

    def cell(line: _Line) -> Cell:
        return Cell(papers(line)) if isinstance(line, Published) else (ours or column.cell)(line)

    return Column(key, column.heading, cell)


def _mean(arm: str) -> Callable[[Entry], Cell]:
    def cell(entry: Entry) -> Cell:
        found = entry.average(arm)
        return Cell(number(found.mean), found.mean, found.trials) if found else Cell()

    return cell


def _over_baseline(entry: Entry) -> Cell:
    over, relative = entry.over_baseline[0], summary.relative(entry.group) if entry.group else None
    share = f" ({percent(relative, 1)})" if relative is not None else ""
    return Cell(f"{mean_sd(over, signed=True)}{share}", over.mean, entry.trials(DENSE, *BOTH)) if over else Cell()


def _n(entry: Entry) -> Cell:
    stages = summary.stages(entry.group).values() if entry.group else ()
    over, tested = entry.over_baseline[0], [one.n for cells in stages for one in list(cells.values())[:1]]
    return Cell(str(over.n if over else max(tested, default=0)), trials=entry.trials())


def _verified(row: Published) -> str:
    return "" if row.overview.verified else " *unverified*"


_TABLE_1: tuple[Column[_Line], ...] = (
    _beside("network", lambda row: row.network),
    _beside("data", lambda row: f"paper: {row.data}"),
    _beside("metric", metric_of),
    _beside("baseline", lambda row: f"{row.overview.baseline:.1f}{_verified(row)}", _mean(DENSE)),
    _beside("control", lambda row: NONE, _mean("control")),
    _beside("dsd", lambda row: f"{row.overview.dsd:.1f}{_verified(row)}", _mean("dsd")),
    _beside(
        "gain_over_baseline",
        lambda row: f"{row.overview.absolute:+.1f} ({percent(row.overview.relative, 1)}){_verified(row)}",
        _over_baseline,
    ),
    _beside("control_gain_over_baseline", lambda row: NONE),
    Column(
        "gain",
        "DSD over control [95 %]",
        lambda line: Cell() if isinstance(line, Published) else COLUMNS["crossed_mean"].cell(line),
    ),
    _beside("n", lambda row: NONE, _n),
)
