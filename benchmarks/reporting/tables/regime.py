"""The trials in the regime of the claim, one line each, and what the gate says of their rows. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.analysis import answers, gate, mask_lineage, metrics, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.arms import registry
from benchmarks.records.schema import Arm, Record
from benchmarks.reporting import headings
from benchmarks.reporting.document import Block, frame
from benchmarks.reporting.formatting import NONE, number

Line = dict[str, str]

HEADING = "Trials in the regime of the claim"


def blocks(groups: Sequence[Group], rows: Mapping[str, Row]) -> list[Block]:
    """Return a table of all trials and one of the gate; none where there is no trial."""
    chosen = [group for group in groups if group.section == "regime"]
    if not chosen:
        return []
    trials = [_trial(group, record) for group in chosen for record in group.records]
    found = [Block(HEADING, _TRIALS, frame(trials))]
    lines = [line for row in rows.values() for line in _gate(row)]
    return [*found, Block("The gate", _GATE, frame(lines))] if lines else found


_TRIALS = (
    "Every finished trial, by seed. Scores are of the row's metric. *Fit* is the score after D on training examples, as the test "
    "sees them. Gains are in points, positive where the first is better: DSD over the control of equal budget, with D2 at the "
    "tables' rate and at the text's (a tenth of D's); and what LLR gains over D. *Drop* is what pruning does to the test before S "
    "repairs it. *Released* is the mean magnitude of the weights that S had pruned, at the end of D2, in percent of the "
    "survivors': at the tables' rate and at the text's. The gate is that of the row, applied to the one trial."
)
_GATE = (
    "Whether a row's networks are in the regime of the claim: means over its planned trials, from D, control and LLR alone. The "
    "thresholds were fixed before the first trial."
)


def _trial(group: Group, record: Record) -> Line:
    line = {"network": headings.network(group), "seed": str(record.seed), "metric": metrics.label(record.metric)}
    dense = record.dense
    fit = dense.phases[-1].train if dense and dense.phases else None
    line["fit after D"] = number(fit[record.metric]) if fit and record.metric in fit else NONE
    line["D"] = number(dense.test[record.metric]) if dense else NONE
    for heading, name in (("control", "control"), ("DSD", "dsd")):
        line[heading] = number(record.arms[name].test[record.metric]) if name in record.arms else NONE
    line["DSD over control"] = _gain(record, "dsd", "control")
    line["the text's D2"] = _gain(record, "dsd-text", "control-text")
    line["LLR over D"] = _gain(record, "llr", registry.DENSE)
    line["drop at pruning"] = _drop(record)
    line["released, %"] = (
        " and ".join(one for one in (_released(record, "dsd"), _released(record, "dsd-text")) if one) or NONE
    )
    wanted = answers.wanted_of(group)
    line["gate"] = answer(answers.gate_of([record], wanted)) if wanted else NONE
    return line


def _gate(row: Row) -> list[Line]:
    if row.gate is None or row.group is None:
        return []
    return [
        {
            "network": headings.network(row.group),
            "row": answer(row.gate, row.have < row.wanted.seeds),
            "condition": one.name + ("" if one.counts else " (not gated)"),
            "holds": "yes" if one.holds else "no",
            "found": one.detail,
            "n": str(row.have),
        }
        for one in row.gate.conditions
    ]


def answer(found: gate.Result | None, so_far: bool = False) -> str:
    """Return what the gate says in a few words, a dash where nobody can tell."""
    if found is None:
        return NONE
    return ("holds so far" if so_far else "holds") if found.holds else f"fails: {', '.join(found.failed)}"


def _run(record: Record, name: str) -> Arm | None:
    return record.dense if name == registry.DENSE else record.arms.get(name)


def _gain(record: Record, name: str, over: str) -> str:
    after, before = _run(record, name), _run(record, over)
    return number(summary.gain(record, before.test, after.test), True) if after and before else NONE


def _drop(record: Record) -> str:
    """Return what each pruning of the dsd arm costs on the test set."""
    arm, shown = record.arms.get("dsd"), []
    before = record.dense.test if record.dense else None
    for phase in arm.phases if arm else ():
        if phase.pruned and before:
            shown.append(number(-summary.gain(record, before, phase.pruned.test), True))
        before = phase.test
    return ", ".join(shown) or NONE


def _released(record: Record, name: str) -> str:
    sizes = [
        one.size[mask_lineage.ALL] for one in mask_lineage.iterations(record, name) if mask_lineage.ALL in one.size
    ]
    return ", ".join(f"{100 * size:.2g}" for size in sizes)
