"""What a reader calls the network, the data and the metrics of a group."""

from __future__ import annotations

from benchmarks import paper
from benchmarks.analysis import metrics
from benchmarks.analysis.groups import Group


def metric_name(name: str, group: Group, short: bool = False) -> str:
    """Return what a reader calls a metric, with its unit where that is known."""
    return metrics.with_unit(name, metrics.unit(name, group.metric, group.sample.unit), short)


def network(group: Group) -> str:
    """Return the network's name as the paper prints it, and whether its dense start was given."""
    row = paper.ROWS.get(group.key.row)
    name = row.network if row else str(group.sample.recipe.get("network", group.key.row))
    return name if group.key.start == "trained" else f"{name}, given dense start"


def data_name(group: Group) -> str:
    """Return the data set's name, with what was left out of it or made up."""
    name = group.key.data + (f" ({100 * group.key.subset:g} % subset)" if group.key.subset < 1 else "")
    return f"SYNTHETIC {name}" if group.synthetic else name


def paper_heading(group: Group) -> str:
    """Return the heading of the paper's column: what its figures were measured on, where that is not what ours were."""
    row = group.paper
    assert row is not None
    if group.comparable:
        return "paper"
    return f"paper ({row.data}, full recipe)" if row.same_data else f"the paper's, on {row.data}"
