"""What a line of the overview calls a group: its network and its data, so that no two groups have the same name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.analysis.groups import Group
from benchmarks.reporting import headings
from benchmarks.reporting.wording import INTRODUCTIONS

SHORT = 40
"""Letters of a reduction that a network's name carries; a longer one is told beside the table."""


def name(group: Group) -> str:
    """Return the network with its reduction and what was overridden: all that tells one custom recipe from another."""
    network = headings.network(group)
    if group.section == "regime":
        network = reduced(network, str(group.sample.recipe.get("reduction", "")))
    return ", ".join((network, *group.key.custom))


def reduced(network: str, reduction: str) -> str:
    """Return the network with its reduction, where that is short enough for a cell."""
    return f"{network}, {reduction}" if 0 < len(reduction) <= SHORT else network


def where(group: Group, groups: Sequence[Group]) -> str:
    """Return the data and what else, in a word or two, tells the group from the others of its network.

    What pictures and lengths differ from those of its own section is always said, the rest only where nothing else tells.
    """
    like = [one for one in groups if one.key != group.key and name(one) == name(group)]
    beside = [one for one in like if one.section == group.section]
    shown: list[_Reader] = [_data]
    shown += [read for read in _TELLING if read(group) and any(read(one) != read(group) for one in beside)]
    words = [read(group) for read in shown]
    rest = [one for one in like if all(read(one) == read(group) for read in shown)]
    for read in _LAST:
        if any(read(one) != read(group) for one in rest):
            words.append(read(group))
            rest = [one for one in rest if read(one) == read(group)]
    return ", ".join(words)


def title(group: Group) -> str:
    """Return what tells a group from the others of its row."""
    custom = f", custom: {', '.join(group.key.custom)}" if group.key.custom else ""
    start = "" if group.key.start == "trained" else f", dense start {group.key.start}"
    recipe = f"recipe {group.key.recipe_hash}, {group.key.numerics}"
    processes = "" if group.key.processes == 1 else f", {group.key.processes} processes"
    autocast = ", bfloat16" if group.key.autocast else ""
    return f"{group.key.scale} scale, {headings.data_name(group)}, {recipe}{custom}{start}{processes}{autocast}"


def caption(group: Group, name: str, sentences: str = "") -> str:
    """Return what a table of the group is called where it stands by itself, and what must be known to read it."""
    return f"{name}: {title(group)}. {INTRODUCTIONS[group.section]} {sentences}".rstrip()


def _data(group: Group) -> str:
    """Return what `headings.data_name` does, in fewer words."""
    part = "" if group.key.subset == 1 else f"{100 * group.key.subset:g} % of "
    return f"{'SYNTHETIC ' if group.synthetic else ''}{part}{group.key.data}"


def _pixels(group: Group) -> str:
    data = group.sample.recipe.get("data")
    crop = data.get("crop") if isinstance(data, dict) else None
    return f"{crop} px" if crop else ""


def _features(group: Group) -> str:
    data = group.sample.recipe.get("data")
    return str(data.get("network", "")) if isinstance(data, dict) else ""


def _epochs(group: Group) -> float:
    """Return how long the group trained, D included."""
    runs = [*([group.sample.dense] if group.sample.dense else []), *group.sample.arms.values()][:2]
    return round(sum(phase.epochs for run in runs for phase in run.phases), 1)  # a subset's steps do not come out even


def _length(group: Group) -> str:
    return f"{_epochs(group):g} {'epoch' if _epochs(group) == 1 else 'epochs'}"


_Reader = Callable[[Group], str]
_TELLING: tuple[_Reader, ...] = (_pixels, _features, _length)
_LAST: tuple[_Reader, ...] = (
    lambda group: f"{group.key.scale} scale",
    lambda group: f"recipe {group.key.recipe_hash[:6]}",
    lambda group: f"data {group.key.fingerprint[:6]}",
    lambda group: group.key.numerics,
    lambda group: f"{group.key.processes} processes",
    lambda group: f"start {group.key.start}",
    lambda group: "bfloat16" if group.key.autocast else "float32",
)
