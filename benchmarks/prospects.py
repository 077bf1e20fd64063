"""What it would take to resolve what is not: a sentence for each row whose verdict is still open."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks import overview, paper, render, statistics, summary
from benchmarks.group import Group
from benchmarks.statistics import Paired
from benchmarks.summary import LABELS

_MANY = 1000  # seeds; beyond, a number says no more than that word does


def sentences(groups: Sequence[Group]) -> list[str]:
    """Return a sentence for each row, at each scale, without a verdict that stands, then the rows without real data."""
    shown = overview.chosen(groups)
    found = [f"**{_name(group, groups)}**: {text}." for group in shown if (text := _sentence(group))]
    measured = {group.key.row for group in shown}
    missing = [row.network for row in paper.ROWS.values() if row.name not in measured]
    if missing and shown:
        found.append(f"Not measured on real data: {', '.join(missing)}.")
    return found


def _sentence(group: Group) -> str:
    """Return what would resolve one group, without its full stop; empty where its verdict stands."""
    primary, row = summary.primary(group), group.paper
    if primary is None:
        return f"{summary.missing(group)}: a trial needs both"
    if summary.within_noise(group):
        return f"{summary.verdict(group)} over seeds, {_test_set(group)}"
    if primary.sd is None or primary.half_width is None or primary.n < statistics.MINIMUM_SEEDS:
        return (
            f"n = {primary.n}; a verdict takes {statistics.MINIMUM_SEEDS} seeds{_cost(group, statistics.MINIMUM_SEEDS)}"
        )
    if summary.verdict(group) != "not resolved":
        return ""
    reached, needed = (
        f"the gain over the control is known to ± {render.number(primary.half_width)}",
        summary.needed(group),
    )
    if row is None or needed is None:
        return reached
    half = row.gain / 2
    of = f"half the paper's gain{' at equal budget' if row.equal_budget else ''} ({half:.2f})"
    if primary.half_width >= half:
        text = f"{reached}; {of} would take n = {needed} seeds of this spread{_cost(group, needed)}"
    else:  # it holds zero, so that one narrower than the paper's gain cannot hold that too
        text = f"{reached}, within {of}, and the interval excludes the paper's {row.gain:.2f}"
        text += _out_of_reach(group, row) + _own_size(group, primary)
    sampling = summary.over_examples(group)
    if sampling and (sampling.high - sampling.low) / 2 > half:
        text += f"; and {_test_set(group)}"
    return text


def _out_of_reach(group: Group, row: paper.Row) -> str:
    """Return that no arm could gain what the paper did, where the control is nearer than that to no error at all."""
    left = summary.stages(group)[LABELS["control"]][group.metric].mean
    if not row.lower_is_better or left >= row.gain:
        return ""
    return f" (as it must: the control's {render.number(left)} leaves no more to gain)"


def _own_size(group: Group, primary: Paired) -> str:
    """Return how many seeds would tell a gain as small as the one seen from none."""
    seen = abs(primary.mean)
    assert primary.sd is not None, "there is an interval"
    share = f"in {100 * statistics.POWER:.0f} % of experiments"
    # It takes about 7.8 (sd / gain)^2 seeds: beyond this ratio more than 1,000, however many.
    needed = statistics.needed_to_find(primary.sd, seen) if primary.sd < 12 * seen else math.inf
    if needed > _MANY:
        return f"; to tell a gain as small as the one seen from none {share} would take over {_MANY:,} seeds"
    return (
        f"; to tell a gain as small as the one seen ({render.number(primary.mean, True)}) from none {share} would take "
        f"n = {needed}"
    )


def _test_set(group: Group) -> str:
    """Return what the finite test set leaves open, whatever the number of seeds."""
    return (
        f"the interval over test examples is {render.over_examples(group)}: more seeds hardly narrow it, "
        f"more test examples than {group.sample.data.counts['test']:,} would"
    )


def _cost(group: Group, seeds: int) -> str:
    primary = summary.primary(group)
    more = seeds - (primary.n if primary else 0)
    hours = more * sum(record.cost.seconds for record in group.records) / len(group.records) / 3600
    time = f"{hours:.1f} h" if hours >= 0.1 else f"{60 * hours:.0f} min"
    return (
        f", {more} more {'trial' if more == 1 else 'trials'} (about {time} one after another on the hardware of these)"
    )


def _name(group: Group, groups: Sequence[Group]) -> str:
    return f"{render.network(group)} ({overview.where(group, groups)})"
