"""The planned rows in words: the overview's first table, the pool over rows, the headline for a README, and what is missing.

Pure functions of `benchmarks.analysis.answers`. A row without a trial has a line too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks import paper
from benchmarks.analysis import answers, metrics, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms.registry import DENSE
from benchmarks.reporting import formatting, group_names, markdown
from benchmarks.reporting.document import Block, frame
from benchmarks.reporting.formatting import NONE, mean_sd, number
from benchmarks.reporting.tables import regime
from benchmarks.reporting.wording import HEADINGS, INTRODUCTIONS

Line = dict[str, str]

_ANSWERS = (
    "*Gain over control* is in the metric's points, with the 95 % interval over seeds and test examples; beside it the same as a "
    "share of the control's metric. *The paper's claim* is its gain in points and as a share of what it improves on (of speech, "
    "that at equal budget). "
    "*n* counts the planned seeds."
)
_SCORES = (
    "What DSD gains over the baseline stands beside what the control gains over it. The last two columns are secondary and get no "
    "verdict: D2 at the rate of the paper's text, over a control of that rate, and BLEU-4 with a beam of 20, whose interval is "
    "over seeds alone. *n* counts the trials with DSD and control."
)
SCORES = "The planned rows: scores, and readings without a verdict"
_SPEECH = "Speech: test utterances share recordings, which the interval does not know; it is somewhat too narrow there."


def blocks(groups: Sequence[Group], rows: Mapping[str, Row]) -> list[Block]:
    """Return the table of the answers, with the pool over the rows that have a verdict, and that of the scores behind it."""
    told = any(row.group and row.wanted.row.startswith("librispeech") for row in rows.values())
    parts = [INTRODUCTIONS["regime"], _ANSWERS, _reductions(rows), *([_SPEECH] if told else []), pool_sentence(rows)]
    lines = [_line(row, groups) for row in rows.values()]
    found = [Block(HEADINGS["regime"], " ".join(part for part in parts if part), frame(lines))]
    scores = [_scores(row, row.group, groups) for row in rows.values() if row.group]
    return [*found, Block(SCORES, _SCORES, frame(scores))] if scores else found


def pool_sentence(rows: Mapping[str, Row]) -> str:
    """Return the pool over rows with its note, empty below two rows with a verdict."""
    found = answers.pooled(rows)
    if found is None:
        return ""
    names = ", ".join(paper.ROWS[name].network for name in found.rows)
    return (
        f"Over the {len(found.rows)} rows with a verdict ({names}) the gain is {_percent(100 * found.mean)} of the claim "
        f"[{_percent(100 * found.low)}, {_percent(100 * found.high)}] (random effects, 95 %; spread between rows "
        f"{number(100 * found.tau, digits=0)} %). {found.note}"
    )


def headline(groups: Sequence[Group]) -> str:
    """Return a few sentences and one table of the planned rows, for a README at the root of the repository."""
    link = "[results/README.md](results/README.md)"
    if all(group.section in ("smoke", "custom") for group in groups):
        return f"No result on real data yet: see {link}."
    rows = answers.rows(groups)
    parts = ["Does DSD beat ordinary training of equal budget?", _standing(rows), pool_sentence(rows)]
    parts.append(
        f"A verdict is about DSD on this data and at this size. It takes all planned seeds and a gate that holds ({link}). "
        "*Gain over control* is in the metric's points, positive where DSD is better, with a 95 % interval over seeds and test "
        "examples; *the paper's claim* is its gain, in points and as a share of what it improves on (of speech, at equal budget)."
    )
    if published := sum(group.section == "paper" for group in groups):
        parts.append(
            f"Not in this table: {published} {_plural('group', published)} at the published recipe's full size."
        )
    if old := sum(group.section == "small" for group in groups):
        parts.append(
            f"Not counted here: {old} {_plural('group', old)} of trials of suite 0.1 at their rows' own recipes: superseded."
        )
    text = " ".join(part for part in parts if part)
    return f"{text}\n\n{markdown.markdown_table([_line(row, groups, with_share=False) for row in rows.values()])}"


def lacking(rows: Mapping[str, Row], groups: Sequence[Group]) -> list[str]:
    """Return a sentence for each planned row without a verdict: what is missing, and how long that takes."""
    found = []
    for row in rows.values():
        if row.lacks is None:
            continue
        parts = [row.lacks]
        if row.gate and not row.gate.holds:
            parts += [f"{one.name}: {one.detail}" for one in row.gate.conditions if one.counts and not one.holds]
        left = row.wanted.seeds - row.have
        if left:
            times = [record.cost.seconds / 3600 for record in row.records]
            hours = left * (sum(times) / len(times) if times else row.wanted.hours)
            where = "by the trials there are" if times else "by the plan, of one core"
            parts.append(f"{left} {_plural('trial', left)} left, about {_time(hours)} {where}")
        found.append(f"**{_network(row)}** ({_data(row, groups)}): {'; '.join(parts)}.")
    return found


def _standing(rows: Mapping[str, Row]) -> str:
    """Return how many rows have which verdict, and how many trials there are."""
    given = [row.answer for row in rows.values() if row.lacks is None]
    have, planned = sum(row.have for row in rows.values()), sum(row.wanted.seeds for row in rows.values())
    if not given:
        return f"No verdict yet on any of the {len(rows)} planned rows: {have} of {planned} planned trials are there."
    claims = Counter(str(answer.claim) for answer in given)
    directions = Counter(str(answer.direction) for answer in given)
    told = ["; ".join(f"{word} in {count}" for word, count in of.items()) for of in (claims, directions)]
    return (
        f"Of {len(rows)} planned rows {len(given)} {'has' if len(given) == 1 else 'have'} a verdict. The paper's gain is "
        f"{told[0]}. Direction: {told[1]}. Of the planned trials {have} of {planned} are there."
    )


def _line(row: Row, groups: Sequence[Group], with_share: bool = True) -> Line:
    share = row.answer.share
    line = {"network": _network(row), "data": _data(row, groups), "metric": _metric(row)}
    line["gain over control [95 %]"] = _gain(row)
    if with_share:
        ends = (100 * share.share, 100 * share.low, 100 * share.high) if share else None
        line["share of control, %"] = f"{number(ends[0], True)} {formatting.ends(*ends[1:])}" if ends else NONE
    line |= {
        "the paper's claim": _claim(row),
        "verdict on the claim": _verdict(row),
        "direction": row.answer.direction or NONE,
    }
    return line | {
        "gate": regime.answer(row.gate, row.have < row.wanted.seeds),
        "n": f"{row.have} of {row.wanted.seeds}",
    }


def _scores(row: Row, group: Group, groups: Sequence[Group]) -> Line:
    cells, over = summary.stages(group), summary.over_baseline(group)
    line = {"network": _network(row), "data": _data(row, groups)}
    for heading, arm in (("baseline", DENSE), ("control", "control"), ("DSD", "dsd")):
        line[heading] = mean_sd(cells.get(LABELS[arm], {}).get(group.metric))
    line["DSD over baseline"] = mean_sd(over[0], signed=True) if over else NONE
    line["control over baseline"] = mean_sd(over[1], signed=True) if over else NONE
    line["D2 at the text's rate [95 %]"] = formatting.crossed(row.text)
    return line | {"beam 20 [95 %, seeds]": formatting.interval(row.beam, sd=False), "n": str(len(row.records))}


def _network(row: Row) -> str:
    if row.group:
        return group_names.name(row.group)
    return group_names.reduced(paper.ROWS[row.wanted.row].network, row.wanted.recipe.reduction)


def _reductions(rows: Mapping[str, Row]) -> str:
    """Return the reductions that are too long for a cell."""
    told = {
        name: str(row.group.sample.recipe.get("reduction", "")) if row.group else row.wanted.recipe.reduction
        for name, row in rows.items()
    }
    long = [f"{paper.ROWS[name].network}: {text}." for name, text in told.items() if len(text) > group_names.SHORT]
    return " ".join(["Reductions:", *long]) if long else ""


def _data(row: Row, groups: Sequence[Group]) -> str:
    return group_names.where(row.group, groups) if row.group else row.wanted.data


def _metric(row: Row) -> str:
    of = paper.ROWS[row.wanted.row]
    return metrics.with_unit(of.metric, metrics.unit(of.metric, of.metric, of.unit))


def _gain(row: Row) -> str:
    if row.answer.gain or row.group is None:
        return formatting.crossed(row.answer.gain)
    return formatting.gain(row.group)


def _claim(row: Row) -> str:
    return f"{row.claim.points:+.2f} ({_percent(100 * row.claim.share, 1)})"


def _verdict(row: Row) -> str:
    return str(row.answer.claim) if row.lacks is None else f"none: {row.lacks}"


def _percent(value: float, digits: int = 0) -> str:
    return f"{number(value, True, digits)} %"


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 0.1 else f"{60 * hours:.0f} min"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
