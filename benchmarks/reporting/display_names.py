"""Display names of a group's network, data and metrics."""

from __future__ import annotations

from benchmarks import paper
from benchmarks.analysis import metrics
from benchmarks.analysis.groups import Group


def metric_name(name: str, group: Group, short: bool = False) -> str:
    """Return the display name of a metric, with its unit if known."""
    return metrics.with_unit(name, metrics.unit(name, group.metric, group.sample.unit), short)


def network(group: Group) -> str:
    """Return the network's name as the paper prints it, noting a given dense start."""
    row = paper.ROWS.get(group.key.row)
    name = row.network if row else str(group.sample.recipe.get("network", group.key.row))
    return name if group.key.start == "trained" else f"{name}, given dense start"


def data_name(group: Group) -> str:
    """Return the data set's name, noting a subset or synthetic data."""
    name = group.key.data + (f" ({100 * group.key.subset:g} % subset)" if group.key.subset < 1 else "")
    return f"SYNTHETIC {name}" if group.synthetic else name


def paper_heading(group: Group) -> str:
    """Return the heading of the paper's column. It names the paper's data if ours is not comparable."""
    row = group.paper
    assert row is not None
    if group.comparable:
        return "paper"
    return f"paper ({row.data}, full recipe)" if row.same_data else f"the paper's, on {row.data}"
