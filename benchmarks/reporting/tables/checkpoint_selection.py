"""The arms at the best validation perplexity, the checkpoint that NeuralTalk's own code keeps."""

from __future__ import annotations

from benchmarks.analysis import checkpoint_selection, metrics, summary
from benchmarks.analysis.groups import Group
from benchmarks.arms.registry import SENSITIVITY
from benchmarks.reporting.document import Line
from benchmarks.reporting.formatting import interval, mean_sd
from benchmarks.reporting.headings import metric_name


def selection_lines(group: Group) -> list[Line]:
    """Return the arms at the best validation perplexity of their last phase; none where that was not measured."""
    found = {label: one for label, one in checkpoint_selection.choices(group).items() if label not in SENSITIVITY}
    measured = {metric for one in found.values() for metric in one.cells}
    names = metrics.ordered({m for m in measured if metrics.family(m) == ""} | {*summary.variants(group)} & measured)
    lines = []
    for label, one in found.items():
        line = {"arm": label}
        line |= {metric_name(m, group, True): mean_sd(one.cells.get(m), digits=metrics.digits(m)) for m in names}
        line["epoch, mean"] = f"{one.epoch:.1f} of {one.epochs:g}"
        line["gain over control"] = interval(one.gain)
        line["n"] = str(max(cell.n for cell in one.cells.values()))
        lines.append(line)
    return lines
