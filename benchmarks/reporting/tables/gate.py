"""The trials of a planned row, one line each, and its gate. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.analysis import answers, gate, mask_lineage, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.gate import Condition
from benchmarks.analysis.groups import Group
from benchmarks.arms import registry
from benchmarks.records.schema import Arm, Record
from benchmarks.reporting import formatting
from benchmarks.reporting.document import NONE, PRINT, Block, Bullets, Cell, Column, Paragraph, table
from benchmarks.reporting.formatting import number
from benchmarks.reporting.group_names import caption

_Trial = tuple[Group, Record]
_Held = tuple[Condition, tuple[str, ...]]
"""A condition and the trials that it was applied to."""


def blocks(group: Group, rows: Mapping[str, Row]) -> list[Block]:
    """Return the table of trials of a group at small scale and, if it is planned, that of its gate. Other tables are empty."""
    row, sentences = answers.row_of(group, rows), _GATE
    held = [(one, trials(row)) for one in row.gate.conditions] if row and row.gate else []
    if row is None and (plan := answers.plan_beside(group)):
        found, sentences = answers.gate_of(group.records, plan), f"{_GATE} {_OUTSIDE}"
        held = [(one, summary.trials(group)) for one in found.conditions] if found else []
    shown = [(group, record) for record in group.records] if group.section == "regime" else []
    terms = _terms(group)
    said: list[Block] = [Paragraph(_TRIALS), Bullets(terms)] if shown else []
    return [
        *said,
        table(_trial_columns(group), shown, PRINT, caption=caption(group, "Trials", " ".join((_TRIALS, *terms)))),
        table(
            _GATE_COLUMNS,
            held,
            PRINT,
            sentences=sentences,
            caption=caption(group, "Gate", sentences),
        ),
    ]


_TRIALS = "Every trial, by seed. Scores are in the row's metric, gains in points (positive: the first is better)."
_GATE = (
    "The gate checks whether the networks were trained well enough to test the claim. It uses means over trials of D, control and "
    "LLR only. Its thresholds were committed before the first planned trial of any row, and are the same in every plan "
    "of a row."
)
_OUTSIDE = "These trials are outside the plan: their result is shown for comparison and decides nothing."


def _terms(group: Group) -> tuple[str, ...]:
    """Return what the columns of the table of trials mean."""
    text, iterations, sizes = _has_text(group), _iterations(group), _sizes_of(group)
    gained = "with D2 at the rate in the paper's tables" if text else "the gain in this trial"
    terms = {
        "Fit after D": "the score after D on training examples preprocessed like test examples",
        "DSD over control": gained,
        "The text's D2": "the same with D2 at the rate in the paper's text, a tenth of D's, for DSD and its control",
        "LLR over D": "the gain of training on at a tenth of D's last rate",
        "Drop at pruning": f"the change of the test score right after pruning{f' in {iterations}' if iterations else ''}, before S "
        "trains (positive: the score got worse)",
        "Pruned weights after D2": "the mean magnitude at the end of D2 of the weights that S had pruned, in percent of the other "
        f"weights' mean{f' ({sizes})' if sizes else ''}",
        "Gate": "the row's gate, applied to this one trial",
    }
    return tuple(f"*{term}*: {meaning}." for term, meaning in terms.items() if text or term != "The text's D2")


def _has_text(group: Group) -> bool:
    return any("dsd-text" in record.arms for record in group.records)


def _iterations(group: Group) -> str:
    """Return which iterations of DSD a cell lists; empty if there is one."""
    count = summary.count_iterations(group)
    return f"iterations {formatting.listed([str(one) for one in range(1, count + 1)])}" if count > 1 else ""


def _sizes_of(group: Group) -> str:
    """Return what the numbers of a cell of pruned weights are; empty if there is one."""
    rates = "the tables' rate and the text's rate" if _has_text(group) else ""
    return ", ".join(one for one in (_iterations(group), rates) if one)


def of_row(row: Row) -> str:
    """Return the result of a planned row's gate in a few words, with "so far" if trials are left."""
    return answer(row.gate, so_far=row.left > 0)


def answer(found: gate.Result | None, so_far: bool = False) -> str:
    """Return the gate's result in a few words; a dash if it was not computed."""
    if found is None:
        return NONE
    far = " so far" if so_far else ""
    return f"holds{far}" if found.holds else f"fails{far}: {', '.join(found.failed)}"


def _column(heading: str, read: Callable[[Record], str | float | None]) -> Column[_Trial]:
    """Return a column of values of single trials. Numbers have two decimals."""

    def cell(trial: _Trial) -> Cell:
        found = read(trial[1])
        text = number(found) if isinstance(found, float) else found or NONE
        return Cell(text, found, (trial[1].id,))

    return Column(heading, heading, cell)


def _test(name: str) -> Callable[[Record], float | None]:
    def read(record: Record) -> float | None:
        run = _run(record, name)
        return run.test[record.metric] if run else None

    return read


def _gain(name: str, over: str) -> Callable[[Record], str]:
    def read(record: Record) -> str:
        after, before = _run(record, name), _run(record, over)
        return number(summary.gain(record, before.test, after.test), True) if after and before else ""

    return read


def _fit(record: Record) -> float | None:
    fit = record.dense.phases[-1].train if record.dense and record.dense.phases else None
    return fit.get(record.metric) if fit else None


def _run(record: Record, name: str) -> Arm | None:
    return record.dense if name == registry.DENSE else record.arms.get(name)


def _drop(record: Record) -> str:
    """Return the change of the test score at each pruning of the dsd arm."""
    return ", ".join(number(drop, True) for drop in drops(record))


def drops(record: Record) -> list[float]:
    """Return the loss in test score at each pruning of the dsd arm, in points; empty if the record lacks these scores."""
    dsd = record.arms.get("dsd")
    if dsd is None or record.dense is None:
        return []
    before = [record.dense.test, *(phase.test for phase in dsd.phases)]
    ends = zip(before, dsd.phases, strict=False)
    return [-summary.gain(record, test, phase.pruned.test) for test, phase in ends if phase.pruned]


def _pruned_sizes(record: Record) -> str:
    return " and ".join(one for one in (_sizes(record, "dsd"), _sizes(record, "dsd-text")) if one)


def _sizes(record: Record, name: str) -> str:
    sizes = [
        one.size[mask_lineage.ALL] for one in mask_lineage.iterations(record, name) if mask_lineage.ALL in one.size
    ]
    return ", ".join(f"{100 * size:.2g}" for size in sizes)


def _own_gate(trial: _Trial) -> Cell:
    group, record = trial
    wanted = answers.wanted_of(group) or answers.plan_beside(group)
    return Cell(answer(answers.gate_of([record], wanted)) if wanted else NONE)


def _trial_columns(group: Group) -> list[Column[_Trial]]:
    """Return the columns of the table of trials. Headings name the iterations and rates that a cell lists."""
    drop, sizes = (f" ({of})" if of else "" for of in (_iterations(group), _sizes_of(group)))
    return [
        Column("seed", "seed", lambda trial: Cell(str(trial[1].seed), trials=(trial[1].id,))),
        _column("fit after D", _fit),
        _column("D", _test(registry.DENSE)),
        _column("control", _test("control")),
        _column("DSD", _test("dsd")),
        _column("DSD over control", _gain("dsd", "control")),
        *([_column("the text's D2", _gain("dsd-text", "control-text"))] if _has_text(group) else []),
        _column("LLR over D", _gain("llr", registry.DENSE)),
        _column(f"drop at pruning{drop}", _drop),
        _column(f"pruned weights after D2, %{sizes}", _pruned_sizes),
        Column("gate", "gate", _own_gate),
    ]


def trials(row: Row) -> tuple[str, ...]:
    """Return the trials that a planned row's gate was applied to."""
    return tuple(record.id for record in row.records if record.seed < row.wanted.seeds)


def linked(condition: Condition, ids: tuple[str, ...]) -> tuple[str | Cell, ...]:
    """Return a condition's numbers in words. Measured numbers, at odd positions of `told`, link to the trials with these IDs."""
    return tuple(Cell(part, trials=ids) if index % 2 else part for index, part in enumerate(condition.told))


_GATE_COLUMNS: tuple[Column[_Held], ...] = (
    Column("condition", "gate", lambda held: Cell(held[0].name + ("" if held[0].counts else " (reported only)"))),
    Column("holds", "holds", lambda held: Cell("yes" if held[0].holds else "no")),
    Column("found", "found", lambda held: Cell(held[0].detail, trials=held[1])),
    Column("n", "n", lambda held: Cell(str(len(held[1])), len(held[1]), held[1])),
)
