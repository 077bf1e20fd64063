"""The paired gains of one group. Only the first, DSD over the control, has a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.analysis import answers, metrics, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms.registry import DENSE
from benchmarks.reporting import verdict_words
from benchmarks.reporting.display_names import metric_name
from benchmarks.reporting.document import Table
from benchmarks.reporting.group_names import caption
from benchmarks.reporting.tables import estimates
from benchmarks.reporting.tables.estimates import Quantity
from benchmarks.reporting.wording import COMPARISONS


def table(group: Group, rows: Mapping[str, Row]) -> Table:
    """Return the paired gains of one group; without rows if the trials have neither DSD nor control."""
    name = f"Paired gains in {metric_name(group.metric, group)}"
    both = group.quotable and summary.crossed(group) is not None
    counts = " the interval over seeds and test examples counts; the t interval is for comparison." if both else ""
    said = f"{name}:{counts}"
    return estimates.gains(
        group, _gains(group, rows), sentences=said, caption=caption(group, name, counts.strip().capitalize())
    )


def _gains(group: Group, rows: Mapping[str, Row]) -> Iterator[Quantity]:
    """Yield the gains. DSD's gain over D is yielded only if the control's gain over D, shown below it, exists."""
    for arm, over in COMPARISONS:
        paired = summary.compare(group, arm, over)
        if paired is None or ((arm, over) == ("dsd", DENSE) and not summary.over_baseline(group)):
            continue
        row, of, primary = group.paper, answers.row_of(group, rows), (arm, over) == COMPARISONS[0]
        yield Quantity(
            group,
            f"gain of {LABELS[arm]} over {LABELS[over]}",
            group.metric,
            group.sample.unit,
            paired,
            summary.trials(group, arm, over),
            f"{LABELS[arm]} over {LABELS[over] if over in (DENSE, 'llr') else LABELS[over].lower()}",
            summary.crossed(group, arm, over),
            of.answer.p_holm if primary and of else None,
            verdict_words.standing(group, rows) if primary else "secondary",
            primary,
            (row.overview.absolute, row.overview.mark)
            if row and not row.iterated and (arm, over) == ("dsd", DENSE)
            else None,
        )
    for metric in summary.variants(group):
        if paired := summary.compare(group, "dsd", "control", metric):
            name, label = f"gain of {LABELS['dsd']} over {LABELS['control']}", metrics.label(metric)
            yield Quantity(
                *(group, name, metric, group.sample.unit, paired, summary.trials(group, "dsd", "control")),
                label=f"DSD over control, {label}",
            )
