"""The arms at the best validation perplexity, the checkpoint that NeuralTalk's own code keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.analysis import checkpoint_selection, metrics, summary
from benchmarks.analysis.checkpoint_selection import WHERE, Chosen
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms.registry import SENSITIVITY
from benchmarks.reporting.display_names import metric_name
from benchmarks.reporting.document import PRINT, Cell, Column, Table, table
from benchmarks.reporting.formatting import gained
from benchmarks.reporting.group_names import caption
from benchmarks.reporting.tables.arms import metric_column
from benchmarks.reporting.tables.estimates import Quantity, quantities

_QUANTITY = f"at best {metrics.PERPLEXITY} of the last phase"


@dataclass(frozen=True)
class _Kept:
    label: str
    chosen: Chosen

    @property
    def trials(self) -> tuple[str, ...]:
        return next(iter(self.chosen.cells.values())).trials


def tables(group: Group) -> list[Table]:
    """Return the arms at the best validation perplexity of their last phase; empty if it was not measured."""
    found = checkpoint_selection.choices(group)
    lines = [_Kept(label, one) for label, one in found.items() if label not in SENSITIVITY]
    measured = {metric for line in lines for metric in line.chosen.cells}
    shown = {m for m in measured if metrics.family(m) == ""} | {*summary.variants(group)} & measured
    names = metrics.ordered(m for m in shown if not metrics.family(m).startswith("beam"))
    columns: list[Column[_Kept]] = [
        Column("arm", "arm", lambda line: Cell(line.label)),
        *(metric_column(metric, group, lambda line: line.chosen.cells) for metric in names),
        Column(
            "epoch",
            "epoch, mean",
            lambda line: Cell(f"{line.chosen.epoch:.1f} of {line.chosen.epochs:g}", trials=line.trials),
        ),
        Column("gain", "gain over control", lambda line: gained(line.chosen.gain, line.trials)),
        Column("n", "n", lambda line: Cell(str(max(one.n for one in line.chosen.cells.values())), trials=line.trials)),
    ]
    sentences = (
        f"Test metrics {WHERE} instead of the last epoch. Each arm uses its own best point, never one in S. "
        f"Secondary: it does not decide the primary result. Gains in {metric_name(group.metric, group)}:"
    )
    by_arm = table(columns, lines, PRINT, sentences=sentences, caption=caption(group, f"Arms {WHERE}"))
    return [by_arm, quantities(_quantities(group, found))]


def _quantities(group: Group, found: dict[str, Chosen]) -> Iterator[Quantity]:
    for label, chosen in found.items():
        for metric in metrics.ordered(chosen.cells):
            unit = metrics.unit(metric, group.metric, group.sample.unit)
            yield Quantity(group, f"{label} {_QUANTITY}", metric, unit, chosen.cells[metric])
        if chosen.gain:
            name = f"gain of {label} over {LABELS['control']} {_QUANTITY}"
            yield Quantity(group, name, group.metric, group.sample.unit, chosen.gain)
