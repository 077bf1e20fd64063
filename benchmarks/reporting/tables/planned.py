"""The planned rows: the answer in words, and the table of answers.

Pure functions of `benchmarks.analysis.answers`. Rows without a trial have a line too.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import paper
from benchmarks.analysis import answers, metrics, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS, Average
from benchmarks.arms.registry import DENSE
from benchmarks.reporting import formatting, group_names, verdict_words
from benchmarks.reporting.document import PAGES, Cell, Column, Format, Table
from benchmarks.reporting.document import table as made
from benchmarks.reporting.formatting import number
from benchmarks.reporting.tables import gate
from benchmarks.reporting.verdict_words import CLAIMS, DIRECTIONS
from benchmarks.statistics.random_effects import NOTE

RULE = (
    "*Gain* is DSD over the control, in points of the metric (positive: DSD is better), with a 95 % interval over seeds and test "
    "examples.",
    "The *claim* is the paper's gain as a share of its baseline; in brackets the points that this share is here. For the CNNs and "
    "NeuralTalk the paper compares DSD with D, which trained for fewer epochs. We compare with the control, which trains D further "
    "for DSD's epochs at DSD's learning rates. So the gain is what the mask adds, not what further training does. For speech, the "
    "paper's headline has unequal epochs: two iterations of DSD against a shorter baseline. So the claim is its gain after one "
    "iteration, at equal epochs. Our gain is after two iterations, also at equal epochs.",
    "The claim is *reached* if the one-sided 95 % lower bound is at least the claim, *not excluded* if the claim is between the "
    "bounds, and *excluded* if the upper bound is below the claim. *Even half the claim* is excluded if the upper bound is below "
    "half of it; this is the strongest exclusion.",
    "A verdict needs all planned seeds and a gate that holds (D has fitted its training data and levelled off, and errors are "
    "left). It applies to DSD on this data and at this size.",
)
"""How to read the table of answers."""
_SPEECH = "In speech, test utterances share recordings; the interval ignores this and is somewhat too narrow."
_BOTH = ("dsd", "control")


def trials(row: Row, *arms: str) -> tuple[str, ...]:
    """Return the row's trials that have all of these arms."""
    return summary.trials(row.group, *arms) if row.group else ()


def network(row: Row) -> str:
    """Return the network with its reduction."""
    return group_names.reduced(paper.ROWS[row.wanted.row].network, row.wanted.recipe.reduction)


def metric(of: paper.Row) -> str:
    """Return the display name of the paper's metric for a row."""
    return metrics.with_unit(of.metric, metrics.unit(of.metric, of.metric, of.unit))


def answered(rows: Mapping[str, Row]) -> tuple[str | Cell, ...]:
    """Return the answer: the verdicts, and the gains without a verdict."""
    have, wanted = sum(row.have for row in rows.values()), sum(row.wanted.seeds for row in rows.values())
    both = tuple(trial for row in rows.values() for trial in trials(row, *_BOTH))
    parts: list[str | Cell] = [f"Does DSD beat ordinary training of equal budget? {_standing(rows)} "]
    parts += [Cell(f"{have} of {wanted}", have, both), " planned trials are finished.", *pool(rows)]
    for row in rows.values():
        if row.lacks and (gain := row.answer.gain):
            parts += [
                f" Interim, {row.have} of {row.wanted.seeds} seeds, not a verdict: the gain of {network(row)} is ",
                _gain(row),
                f" points; the interval {'includes' if gain.low <= 0 <= gain.high else 'excludes'} zero.",
            ]
    return tuple(parts)


def here(row: Row) -> float | None:
    """Return the paper's claim in points of our metric: its share of our control's mean. None without a control."""
    return None if row.control is None else row.claim.share * row.control


def average(group: Group, arm: str) -> Average | None:
    """Return the average of the group's metric for an arm."""
    return summary.stages(group).get(LABELS[arm], {}).get(group.metric)


def table(rows: Mapping[str, Row], where: frozenset[Format] = PAGES) -> Table:
    """Return the table of answers for some formats, rows with a gain first."""
    return made(_ANSWERS, sorted(rows.values(), key=lambda row: row.evidence is None), where, caption=" ".join(RULE))


def explanation(rows: Mapping[str, Row]) -> tuple[str, ...]:
    """Return how to read the table of answers."""
    spoken = any(row.group and row.wanted.row.startswith("librispeech") for row in rows.values())
    gain, *rest = RULE
    return (f"{gain} {_SPEECH}" if spoken else gain, *rest)


def pool(rows: Mapping[str, Row]) -> tuple[str | Cell, ...]:
    """Return the mean over rows with its note; empty below two rows with a verdict."""
    found = answers.pooled(rows)
    if found is None:
        return ()
    names = ", ".join(paper.ROWS[name].network for name in found.rows)
    mean, low, high = (f"{number(100 * value, True, 0)} %" for value in (found.mean, found.low, found.high))
    trials = tuple(record.id for name in found.rows for record in rows[name].records)
    return (
        f" Over the {len(found.rows)} rows with a verdict ({names}) the gain is ",
        Cell(f"{mean} of the claim [{low}, {high}]", found.mean, trials),
        f" (random effects, 95 %; spread between rows {number(100 * found.tau, digits=0)} %). {NOTE}",
    )


def _standing(rows: Mapping[str, Row]) -> str:
    """Return which rows have which verdict."""
    given = [row for row in rows.values() if not row.lacks]
    if not given:
        return f"No verdict yet on any of the {len(rows)} planned rows:"
    alike: dict[str, list[str]] = {}
    for row in given:
        claim, direction = row.answer.claim, row.answer.direction
        assert claim is not None
        assert direction is not None
        said = f"{CLAIMS[claim].sentence}, and {DIRECTIONS[direction].sentence}.{_beside(row)}"
        alike.setdefault(said, []).append(paper.ROWS[row.wanted.row].network)
    told = " ".join(f"{', '.join(names)}: {said}" for said, names in alike.items())
    return f"{len(given)} of {len(rows)} planned rows {'has' if len(given) == 1 else 'have'} a verdict. {told}"


def _beside(row: Row) -> str:
    """Return where DSD and the control end beside D and LLR, the other arm of equal length: only what the intervals show."""
    found: dict[str, list[str]] = {}
    for over, name in ((DENSE, "D"), ("llr", "further training at a low rate, LLR")):
        dsd, control = (_shown(row, arm, over) for arm in _BOTH)
        who = {"Both": dsd} if dsd == control else {"DSD": dsd, "The control": control}
        for arms, word in who.items():
            if word:
                found.setdefault(arms, []).append(f"{word} than {name}")
    ends = {arms: "end" if arms == "Both" else "ends" for arms in found}
    return "".join(f" {arms} {ends[arms]} {', and '.join(told)} (secondary)." for arms, told in found.items())


def _shown(row: Row, arm: str, over: str) -> str:
    """Return "better" or "worse" if the 95 % interval of a gain excludes zero, otherwise an empty text."""
    gain = summary.crossed(row.group, arm, over) if row.group else None
    if gain is None or gain.low <= 0 <= gain.high:
        return ""
    return "better" if gain.mean > 0 else "worse"


def _gain(row: Row) -> Cell:
    return Cell(formatting.gain(row.group), trials=trials(row, *_BOTH)) if row.group else Cell()


def _claim(row: Row) -> Cell:
    points, share = here(row), f"{number(100 * row.claim.share, True, 1)} %"
    text = share if points is None else f"{share} ({number(points, True)})"
    return Cell(f"{text}, after one iteration" if paper.ROWS[row.wanted.row].iterated else text, row.claim.share)


def _verdict(row: Row) -> Cell:
    """Return the verdict, or what is missing for it except what the columns of gate and n say."""
    return Cell(verdict_words.verdict(row, untold=("no trial", "gate fails", "seeds not run")))


def _data(row: Row) -> Cell:
    return Cell(f"{row.wanted.data}, {row.wanted.examples}, {metric(paper.ROWS[row.wanted.row])}")


_ANSWERS: tuple[Column[Row], ...] = (
    Column("network", "network", lambda row: Cell(network(row), trials=trials(row))),
    Column("gain", "gain [95 %]", _gain),
    Column("claim", "paper's gain, % (points here)", _claim),
    Column("verdict", "verdict", _verdict),
    Column("gate", "gate", lambda row: Cell(gate.of_row(row))),
    Column("n", "n", lambda row: Cell(f"{row.have} of {row.wanted.seeds}", row.have, trials(row, *_BOTH))),
    Column("data", "data, metric", _data),
)
