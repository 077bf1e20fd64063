"""The planned rows: the overview's first table, the mean over rows, the README headline, and what is missing.

Pure functions of `benchmarks.analysis.answers`. Rows without a trial have a line too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks import paper
from benchmarks.analysis import answers
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.reporting import group_names
from benchmarks.reporting.document import PRINT, Block, Bullets, Cell, Document, Paragraph, Text, headed, table
from benchmarks.reporting.formatting import number
from benchmarks.reporting.tables.overview_columns import Entry, data, network, percent, pick
from benchmarks.reporting.wording import HEADINGS, INTRODUCTIONS
from benchmarks.statistics.random_effects import NOTE

_ANSWERS = (
    "*Gain over control* is in points of the metric, with a 95 % interval over seeds and test examples; the next column gives it "
    "as a share of the control's metric. *The paper's claim* is the paper's gain, in points and as a share of its baseline (for "
    "speech, the gain at equal budget). *n* counts the planned seeds."
)
_SCORES = (
    "Gains over the baseline are shown for DSD and for the control. The two columns before *n* are secondary and get no verdict: "
    "D2 at the learning rate in the paper's text, against a control at that rate; and BLEU-4 with beam size 20, whose interval "
    "covers seeds only. *n* counts the trials with DSD and control."
)
SCORES = "The planned rows: scores, and readings without a verdict"
_SPEECH = "Speech: test utterances share recordings. The interval ignores this and is somewhat too narrow."


def blocks(groups: Sequence[Group], rows: Mapping[str, Row]) -> list[Block]:
    """Return the table of answers, with the mean over rows with a verdict, and the table of the underlying scores."""
    told = any(row.group and row.wanted.row.startswith("librispeech") for row in rows.values())
    parts = [INTRODUCTIONS["regime"], _ANSWERS, _reductions(rows), *([_SPEECH] if told else [])]
    lines = _entries(groups, rows)
    sentences = (" ".join(part for part in parts if part), *pool(rows))
    picked = pick("network", "data", "metric", "crossed_mean", "share", *_SAID)
    return [
        *headed(HEADINGS["regime"], sentences, picked, lines),
        *headed(SCORES, _SCORES, pick(*_SCORED), [one for one in lines if one.group]),
    ]


_SAID = ("claim_points", "verdict", "direction", "gate", "planned_have")
_SCORED = (
    *("network", "data", "baseline", "control", "dsd", "gain_over_baseline", "control_gain_over_baseline"),
    *("text_crossed_mean", "beam20_gain", "n"),
)


def _entries(groups: Sequence[Group], rows: Mapping[str, Row]) -> list[Entry]:
    return [Entry(row.group, row, groups) for row in rows.values()]


def pool(rows: Mapping[str, Row]) -> tuple[str | Cell, ...]:
    """Return the mean over rows with its note; empty below two rows with a verdict."""
    found = answers.pooled(rows)
    if found is None:
        return ()
    names = ", ".join(paper.ROWS[name].network for name in found.rows)
    gain = f"{percent(100 * found.mean)} of the claim [{percent(100 * found.low)}, {percent(100 * found.high)}]"
    trials = tuple(record.id for name in found.rows for record in rows[name].records)
    return (
        f" Over the {len(found.rows)} rows with a verdict ({names}) the gain is ",
        Cell(gain, found.mean, trials),
        f" (random effects, 95 %; spread between rows {number(100 * found.tau, digits=0)} %). {NOTE}",
    )


def headline(groups: Sequence[Group], rows: Mapping[str, Row]) -> Document:
    """Return a short summary and one table of the planned rows, for the README at the repository root."""
    link = Cell("results/README.md", address="README.md")
    if all(group.section in ("smoke", "custom") for group in groups):
        return (Paragraph(("No result on real data yet: see ", link, ".")),)
    asked = f"Does DSD beat ordinary training of equal budget? {_standing(rows)}"
    rule = " A verdict applies to DSD on this data and at this size. It needs all planned seeds and a gate that holds ("
    parts = [
        "). *Gain over control* is in points of the metric (positive: DSD is better), with a 95 % interval over seeds and test "
        "examples. *The paper's claim* is the paper's gain, in points and as a share of its baseline (for speech, at equal budget)."
    ]
    if published := sum(group.section == "paper" for group in groups):
        parts.append(
            f"Not in this table: {published} {_plural('group', published)} at the published recipe's full size."
        )
    if old := sum(group.section == "small" for group in groups):
        parts.append(f"Not counted here: {old} superseded {_plural('group', old)} of trials of suite 0.1.")
    text = (asked, *pool(rows), rule, link, " ".join(parts))
    picked = pick("network", "data", "metric", "crossed_mean", *_SAID)
    return (Paragraph(text), table(picked, _entries(groups, rows), PRINT))


def lacking(rows: Mapping[str, Row], groups: Sequence[Group]) -> Bullets:
    """Return one sentence per planned row without a verdict: what is missing and the time it needs."""
    found: list[Text] = []
    for entry in _entries(groups, rows):
        row = entry.planned
        if row.lacks is None:
            continue
        parts = [row.lacks]
        if row.gate and not row.gate.holds:
            parts += [f"{one.name}: {one.detail}" for one in row.gate.conditions if one.counts and not one.holds]
        left = row.wanted.seeds - row.have
        if left:
            times = [record.cost.seconds / 3600 for record in row.records]
            hours = left * (sum(times) / len(times) if times else row.wanted.hours)
            where = "by the finished trials" if times else "by the plan, on one core"
            time = Cell(_time(hours), hours, tuple(record.id for record in row.records))
            said = f"**{network(entry)}** ({data(entry)}): {'; '.join(parts)}; {left} {_plural('trial', left)} left, about "
            found.append((said, time, f" {where}."))
        else:
            found.append(f"**{network(entry)}** ({data(entry)}): {'; '.join(parts)}.")
    return Bullets(tuple(found))


def _standing(rows: Mapping[str, Row]) -> str:
    """Return how many rows have which verdict, and how many planned trials are finished."""
    given = [row.answer for row in rows.values() if row.lacks is None]
    have, planned = sum(row.have for row in rows.values()), sum(row.wanted.seeds for row in rows.values())
    if not given:
        return (
            f"No verdict yet on any of the {len(rows)} planned rows: {have} of {planned} planned trials are finished."
        )
    claims = Counter(str(answer.claim) for answer in given)
    directions = Counter(str(answer.direction) for answer in given)
    told = ["; ".join(f"{word} in {count}" for word, count in of.items()) for of in (claims, directions)]
    return (
        f"Of {len(rows)} planned rows, {len(given)} {'has' if len(given) == 1 else 'have'} a verdict. The paper's gain is "
        f"{told[0]}. Direction: {told[1]}. {have} of {planned} planned trials are finished."
    )


def _reductions(rows: Mapping[str, Row]) -> str:
    """Return the reductions that are too long for a table cell."""
    told = {
        name: str(row.group.sample.recipe.get("reduction", "")) if row.group else row.wanted.recipe.reduction
        for name, row in rows.items()
    }
    long = [f"{paper.ROWS[name].network}: {text}." for name, text in told.items() if len(text) > group_names.SHORT]
    return " ".join(["Reductions:", *long]) if long else ""


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 0.1 else f"{60 * hours:.0f} min"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
