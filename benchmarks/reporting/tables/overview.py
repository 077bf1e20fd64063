"""All groups of trials that are not in the plan, one table per kind of result, and every group for CSV."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.analysis import answers, label_noise, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group, Section
from benchmarks.arms.registry import DENSE, label
from benchmarks.reporting import display_names, formatting, group_names, verdict_words
from benchmarks.reporting.document import CSV, Block, Cell, Column, Table, headed, table
from benchmarks.reporting.formatting import averaged, gained, mean_sd
from benchmarks.reporting.tables import gate, planned
from benchmarks.reporting.tables.estimates import IDENTITY, exported
from benchmarks.reporting.wording import FROM_MEMORY, HEADINGS, INTRODUCTIONS
from benchmarks.statistics.intervals import Paired

SCORES = "The planned rows: scores, and readings without a verdict"
_SCORES = (
    "The last two columns are secondary and get no verdict: D2 at the learning rate in the paper's text, against a control at that "
    "rate; and BLEU-4 with beam size 20, whose interval covers seeds only. *n* counts the trials with DSD and control."
)
_PAPER = (
    f"{INTRODUCTIONS['paper']} Gains over D are shown for DSD, as the paper's Table 1 shows them over its baseline, and for the "
    "control, which has no mask. UNEQUAL budgets: the paper trained DSD for longer than its baseline."
)
_BOTH, _TEXT = ("dsd", "control"), ("dsd-text", "control-text")
_INTERVAL = ("mean", "low", "high", "lower", "upper")
_STAGES = {"baseline": DENSE, "control": "control", "dsd": "dsd"}


def blocks(groups: Sequence[Group], rows: Mapping[str, Row]) -> list[Block]:
    """Return the tables: one per kind of result, except smoke tests."""
    noisy = [group for group in groups if label_noise.share(group)]

    def of(section: Section) -> list[Group]:
        return [group for group in groups if group.section == section and group not in noisy]

    short = [
        column for column in _columns(groups) if column.key != "metric"
    ]  # with it, these tables are too wide for a page
    published, outside = of("paper"), [group for group in of("regime") if answers.outside(group, groups)]
    scored = [row.group for row in rows.values() if row.group]
    paper: Column[Group] = Column("paper", "the paper: baseline to DSD", _papers)
    noise = "No verdict. The page that lists the trials, linked below, compares them with training without noise."
    return [
        *headed(HEADINGS["paper"], _PAPER, [*short, *_OVER_BASELINE, paper], published),
        *headed(SCORES, _SCORES, [*short, *_OVER_BASELINE, *_SECONDARY], scored),
        *plain("Small scale: trials outside the plan", "No verdict.", outside, groups),
        *plain(HEADINGS["custom"], INTRODUCTIONS["custom"], of("custom"), groups),
        *plain("Label noise: a random share of the training labels is wrong", noise, noisy, groups),
        *plain(HEADINGS["small"], INTRODUCTIONS["small"], of("small"), groups),
    ]


def plain(heading: str, sentences: str, chosen: Sequence[Group], groups: Sequence[Group]) -> list[Block]:
    """Return the table of groups without a verdict. It omits the paper's figures."""
    return headed(heading, sentences, _columns(groups), chosen)


def _columns(groups: Sequence[Group]) -> list[Column[Group]]:
    """Return the columns of every table of groups. The name of the data distinguishes each group from the others in `groups`."""

    def n(group: Group) -> Cell:
        both = summary.trials(group, *_BOTH)
        trials = both or summary.trials(group)
        return Cell(str(len(trials)), trials=trials)

    return [
        Column("network", "network", lambda group: Cell(group_names.name(group), trials=summary.trials(group))),
        Column("data", "data", lambda group: Cell(group_names.where(group, groups))),
        Column("metric", "metric", lambda group: Cell(display_names.metric_name(group.metric, group))),
        *(_score(name, arm) for name, arm in _STAGES.items()),
        Column(
            "gain",
            "gain over control [95 %]",
            lambda group: Cell(formatting.gain(group), trials=summary.trials(group, *_BOTH)),
        ),
        Column("n", "n", n),
    ]


def _score(name: str, arm: str) -> Column[Group]:
    return Column(
        name, "control" if arm == "control" else label(arm), lambda group: averaged(planned.average(group, arm))
    )


def _over_baseline(index: int, heading: str) -> Column[Group]:
    def cell(group: Group) -> Cell:
        found = summary.over_baseline(group)
        return Cell(mean_sd(found[index] if found else None, True), trials=summary.trials(group, DENSE, *_BOTH))

    return Column(heading, heading, cell)


def _papers(group: Group) -> Cell:
    if group.paper is None:
        return Cell()
    row, of = group.paper, group.paper.overview
    marks = f"{'' if of.verified else f' {FROM_MEMORY}'}{', UNEQUAL budgets' if row.iterated else ''}"
    gain = f"{of.absolute:+.1f} ({of.relative:+.1f} %){marks}"
    return Cell(f"{of.baseline:.1f} to {of.dsd:.1f} {planned.metric(row)}, {row.data}: {gain}")


_OVER_BASELINE = (_over_baseline(0, "DSD over D"), _over_baseline(1, "control over D"))
_SECONDARY: tuple[Column[Group], ...] = (
    Column(
        "text",
        "D2 at the text's rate [95 %]",
        lambda group: Cell(formatting.crossed(summary.crossed(group, *_TEXT)), trials=summary.trials(group, *_TEXT)),
    ),
    Column(
        "beam",
        "beam 20 [95 %, seeds]",
        lambda group: gained(summary.compare(group, *_BOTH, answers.BEAM), summary.trials(group, *_BOTH), sd=False),
    ),
)


def export(groups: Sequence[Group], rows: Mapping[str, Row]) -> Table:
    """Return the overview for CSV: one line per group, and one per planned row without a trial."""
    lines = [
        _of_group(group) | _of_row(answers.row_of(group, rows)) | {"verdict": verdict_words.standing(group, rows)}
        for group in groups
    ]
    lines += [_of_plan(row) | _of_row(row) for row in rows.values() if row.group is None]
    keys = dict.fromkeys(key for line in lines for key in line)
    return table([exported(key, operator.methodcaller("get", key)) for key in keys], lines, CSV)


def _of_group(group: Group) -> dict[str, Any]:
    """Return what was measured in a group, by column."""
    line = {key: read(group) for key, read in IDENTITY.items()}
    primary, crossed = summary.primary(group), summary.crossed(group)
    line |= {"processes": group.key.processes, "metric": group.metric, "unit": group.sample.unit}
    line["n"] = primary.n if primary else 0
    dsd, control = summary.over_baseline(group) or (None, None)
    gains = {"gain_over_baseline": dsd, "control_gain_over_baseline": control, "gain_over_control": primary}
    means = {name: planned.average(group, arm) for name, arm in _STAGES.items()} | gains
    for name, found in means.items():
        line |= {name: getattr(found, "mean", None), f"{name}_sd": getattr(found, "sd", None)}
    line |= _ends("seeds", primary)
    line |= _parts("crossed_", crossed, *_INTERVAL) | {"crossed_p": crossed.p if crossed and group.quotable else None}
    line |= _parts("paper_", group.paper and group.paper.overview, "baseline", "dsd", "absolute", "relative")
    return line | {"paper_comparable": group.comparable}


def _of_plan(row: Row) -> dict[str, Any]:
    """Return what is known of a planned row without a trial."""
    recipe = row.wanted.recipe
    known = {"row": row.wanted.row, "data": row.wanted.data, "recipe": recipe.hash(), "reduction": recipe.reduction}
    return known | {"section": "regime", "scale": "small", "verdict": verdict_words.verdict(row)}


def _of_row(row: Row | None) -> dict[str, Any]:
    """Return a planned row's answers, by column; nothing for trials outside the plan."""
    if row is None:
        return {}
    line = _parts("", row.answer, "claim", "direction", "p_holm")
    line |= _parts("claim_", row.claim, "points", "share") | _parts("", row.answer.share, "share")
    line |= _parts("share_", row.answer.share, *_INTERVAL[1:])
    line |= {"planned": row.wanted.seeds, "planned_have": row.have, "gate": gate.of_row(row)}
    line |= _parts("text_crossed_", row.text, *_INTERVAL, "p") | _parts("beam20_", row.beam, "mean")
    return line | _ends("beam20_seeds", row.beam)


def _parts(prefix: str, found: object, *names: str) -> dict[str, Any]:
    """Return the attributes `names` of `found`, with None for missing, infinite and NaN ones."""
    read = {f"{prefix}{name}": getattr(found, name, None) for name in names}
    return {name: None if isinstance(of, float) and not math.isfinite(of) else of for name, of in read.items()}


def _ends(prefix: str, found: Paired | None) -> dict[str, float | None]:
    low, high = (found and found.interval) or (None, None)
    return {f"{prefix}_low": low, f"{prefix}_high": high}
