"""The overview of all groups, a table for each kind of result, and how its lines are told apart."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.analysis import answers, label_noise, summary
from benchmarks.analysis.groups import SECTIONS, Group, Section
from benchmarks.analysis.summary import LABELS
from benchmarks.arms.registry import DENSE
from benchmarks.paper import Row
from benchmarks.reporting import formatting, headings
from benchmarks.reporting.document import Block, frame
from benchmarks.reporting.formatting import NONE, interval, mean_sd, number
from benchmarks.reporting.group_names import name, where
from benchmarks.reporting.tables import planned, regime
from benchmarks.reporting.wording import HEADINGS, INTRODUCTIONS

PAPERS = "paper: "
"""How the data cell of a line starts whose figures are the paper's."""

_NOISE = "Label noise: a share of the training labels wrong, drawn at random"
_OTHERS = "Small scale: trials of no plan"


def blocks(groups: Sequence[Group]) -> list[Block]:
    """Return the tables of the overview: of each kind of result that there is, and of the planned rows whatever there is."""
    found = []
    rows = answers.rows(groups)
    for section in SECTIONS:
        chosen = [group for group in groups if group.section == section and not label_noise.share(group)]
        if section == "regime" and any(group.section not in ("smoke", "custom") for group in groups):
            found += planned.blocks(groups, rows)
            chosen = [group for group in chosen if answers.row_of(group, rows) is None]
            if chosen:
                found.append(Block(_OTHERS, "No verdict is given.", frame([_plain(one, groups) for one in chosen])))
            found += regime.blocks(groups, rows)
        elif section == "paper" and chosen:
            lines = [
                line for k, group in enumerate(chosen) for line in _as_table_1(group, groups, _is_first(chosen, k))
            ]
            found.append(Block(HEADINGS[section], _introduction(section, chosen), frame(lines)))
        elif chosen:
            lines = [_plain(group, groups) for group in chosen]
            found.append(Block(HEADINGS[section], INTRODUCTIONS[section], frame(lines)))
        if section == "custom" and (
            noisy := [one for one in groups if one.section == section and label_noise.share(one)]
        ):
            text = f"{INTRODUCTIONS[section]} Beside the same without noise: under the row's heading *label noise*."
            found.append(Block(_NOISE, text, frame([_plain(group, groups) for group in noisy])))
    return found


def _introduction(section: Section, groups: Sequence[Group]) -> str:
    """Return what must be known to read the paper's lines beside ours."""
    rows = _rows(groups)
    text = INTRODUCTIONS[section]
    text += (
        " Gains over the baseline stand side by side: DSD's, as in the paper's Table 1, in points and in percent of the baseline, "
        "and the control's, which has no mask."
    )
    text += _unequal(rows)
    if section == "paper":
        notes = [f"{row.network}: {row.note}" for row in rows if not row.same_data]
        text = " ".join([text, *dict.fromkeys(notes)])
    return text


def _rows(groups: Sequence[Group]) -> list[Row]:
    return [row for group in groups if (row := group.paper)]


def _unequal(rows: Sequence[Row]) -> str:
    """Return of which of its figures the paper compares unequal budgets, empty where of none."""
    names = dict.fromkeys(row.network for row in rows if row.iterated)
    return (
        f" {' and '.join(names)}: the paper compares unequal budgets, DSD having trained for longer." if names else ""
    )


_OVER = "DSD over baseline"


def _as_table_1(group: Group, groups: Sequence[Group], first: bool) -> list[dict[str, str]]:
    """Return the paper's line, above the `first` group of its row, and ours under it."""
    cells, over = summary.stages(group), summary.over_baseline(group)
    ours = {
        "network": name(group),
        "data": where(group, groups),
        "metric": headings.metric_name(group.metric, group),
    }
    for heading, arm in (("baseline", DENSE), ("control", "control"), ("DSD", "dsd")):
        cell = cells.get(LABELS[arm], {}).get(group.metric)
        ours[heading] = number(cell.mean) if cell else NONE
    relative = summary.relative(group)
    share = f" ({_percent(relative)})" if relative is not None else ""
    ours[_OVER] = f"{mean_sd(over[0], signed=True)}{share}" if over else NONE
    ours["control over baseline"] = mean_sd(over[1], signed=True) if over else NONE
    ours["DSD over control [95 %]"] = formatting.gain(group)
    ours["n"] = str(over[0].n if over else max((one[group.metric].n for one in cells.values()), default=0))
    return [*([_papers(group.paper, ours["metric"])] if group.paper and first else []), ours]


def _papers(row: Row, metric: str) -> dict[str, str]:
    mark = "" if row.overview.verified else " *unverified*"
    of = row.overview
    line = {"network": row.network, "data": f"{PAPERS}{row.data}", "metric": metric}
    line |= {"baseline": f"{of.baseline:.1f}{mark}", "control": NONE, "DSD": f"{of.dsd:.1f}{mark}"}
    return line | {_OVER: f"{of.absolute:+.1f} ({_percent(of.relative)}){mark}", "n": NONE}


def _plain(group: Group, groups: Sequence[Group]) -> dict[str, str]:
    """Return the line of a group that gets no verdict: without the paper's figures."""
    primary = summary.primary(group)
    line = {"network": name(group), "data": where(group, groups)}
    line["metric"] = headings.metric_name(group.metric, group)
    line |= {"baseline": _cell(group, DENSE), "control": _cell(group, "control"), "DSD": _cell(group, "dsd")}
    line["gain over control"] = interval(primary)
    return line | {"n": str(primary.n if primary else len(group.records))}


def _cell(group: Group, arm: str) -> str:
    return mean_sd(summary.stages(group).get(LABELS[arm], {}).get(group.metric))


def _percent(value: float) -> str:
    return f"{number(value, True, digits=1)} %"


def _is_first(groups: Sequence[Group], index: int) -> bool:
    return all(one.key.row != groups[index].key.row for one in groups[:index])
