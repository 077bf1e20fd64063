"""The paired gains of one group; only the first one, DSD over the control, has a verdict."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.analysis import answers, checkpoint_selection, metrics, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms import registry
from benchmarks.reporting.document import Block, Line
from benchmarks.reporting.formatting import NONE, ends, interval, p_value
from benchmarks.reporting.headings import metric_name
from benchmarks.reporting.tables.arms import block
from benchmarks.reporting.tables.checkpoint_selection import selection_lines
from benchmarks.reporting.wording import COMPARISONS


def gain_blocks(group: Group, rows: Mapping[str, Row], title: str) -> list[Block]:
    """Return the paired gains of one group as a table of its own, then NeuralTalk's choice; those that have a line."""
    gains, chosen = gain_lines(group, rows), selection_lines(group)
    blocks = []
    if gains:  # none where the trials have neither DSD nor control
        blocks.append(block(group, f"Paired gains in {metric_name(group.metric, group)}: {title}", gains))
    if chosen:
        blocks.append(block(group, f"Arms {checkpoint_selection.WHERE}: {title}", chosen))
    return blocks


def gain_lines(group: Group, rows: Mapping[str, Row]) -> list[Line]:
    """Return the paired gains of one group; only the first, the primary figure, carries a verdict.

    The gain over the baseline is left out where the control's, which stands under it, cannot be told.
    """
    lines = []
    row = answers.row_of(group, rows)
    for arm, over, metric in (
        *((*pair, None) for pair in COMPARISONS),
        *(("dsd", "control", m) for m in summary.variants(group)),
    ):
        paired = summary.compare(group, arm, over, metric)
        if paired is None or ((arm, over) == ("dsd", registry.DENSE) and not summary.over_baseline(group)):
            continue
        primary = (arm, over, metric) == (*COMPARISONS[0], None)
        label = f"{LABELS[arm]} over {LABELS[over].lower() if over != 'llr' else 'LLR'}"
        label = f"DSD over control, {metrics.label(metric)}" if metric else label
        line = {"gain": label, "mean ± sd [95 % t interval over seeds]": interval(paired), "n": str(paired.n)}
        if group.section != "smoke":
            found = None if metric else summary.crossed(group, arm, over)
            line["95 % interval over seeds and test examples"] = ends(found.low, found.high) if found else NONE
            if group.quotable:
                line["p"] = p_value(found.p if found else None)
                line["p (Holm)"] = p_value(row.answer.p_holm if row else None) if primary else NONE
        line["verdict"] = answers.standing(group, rows) if primary else "secondary"
        lines.append(line)
    return lines
