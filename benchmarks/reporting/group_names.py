"""Unique display names of groups in the overview: network and data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.analysis.groups import Group
from benchmarks.reporting import display_names

SHORT = 45
"""Maximum length of a reduction in a network's name. Longer ones are explained beside the table."""


def name(group: Group) -> str:
    """Return the network with its reduction and overrides, which distinguish custom recipes."""
    network = display_names.network(group)
    if group.section == "regime":
        network = reduced(network, str(group.sample.recipe.get("reduction", "")))
    return ", ".join((network, *group.key.custom))


def reduced(network: str, reduction: str) -> str:
    """Return the network, with the first part of its reduction if that is short enough for a cell."""
    size = reduction.partition(";")[0]
    return f"{network}, {size}" if 0 < len(size) <= SHORT else network


def where(group: Group, groups: Sequence[Group]) -> str:
    """Return the data, and each fact that distinguishes the group from others of the same name and data."""
    words, rest = [_data(group)], [one for one in groups if (name(one), _data(one)) == (name(group), _data(group))]
    for read in _FACTS:
        if any(read(one) != read(group) for one in rest):
            words.append(read(group))
            rest = [one for one in rest if read(one) == read(group)]
    return ", ".join(words)


def title(group: Group) -> str:
    """Return the title that distinguishes a group from others of its row."""
    custom = f", custom: {', '.join(group.key.custom)}" if group.key.custom else ""
    start = "" if group.key.start == "trained" else f", dense start {group.key.start}"
    recipe = f"recipe {group.key.recipe_hash}, {numerics(group)}"
    processes = "" if group.key.processes == 1 else f", {group.key.processes} processes"
    autocast = ", bfloat16" if group.key.autocast else ""
    return f"{group.key.scale} scale, {display_names.data_name(group)}, {recipe}{custom}{start}{processes}{autocast}"


def numerics(group: Group) -> str:
    """Return the version of the arithmetic; for older records that of the suite."""
    return f"numerics version {group.key.numerics}" if group.sample.numerics else group.key.numerics


def caption(group: Group, name: str, sentences: str = "") -> str:
    """Return title and explanation of a group's table, for formats without text around the table.

    The group's page appends the group's introduction.
    """
    return f"{name}: {title(group)}. {sentences}".rstrip()


def _data(group: Group) -> str:
    """Return a shorter form of `display_names.data_name`."""
    part = "" if group.key.subset == 1 else f"{100 * group.key.subset:g} % of "
    return f"{'SYNTHETIC ' if group.synthetic else ''}{part}{group.key.data}"


def _pixels(group: Group) -> str:
    crop = (group.sample.recipe.get("data") or {}).get("crop")
    return f"{crop} px" if crop else ""


def _features(group: Group) -> str:
    return str((group.sample.recipe.get("data") or {}).get("network", ""))


def _length(group: Group) -> str:
    """Return the number of epochs of D and one arm. A subset's steps do not divide evenly into epochs."""
    runs = [*([group.sample.dense] if group.sample.dense else []), *group.sample.arms.values()][:2]
    epochs = round(sum(phase.epochs for run in runs for phase in run.phases), 1)
    return f"{epochs:g} {'epoch' if epochs == 1 else 'epochs'}"


_FACTS: tuple[Callable[[Group], str], ...] = (
    _pixels,
    _features,
    _length,
    lambda group: f"{group.key.scale} scale",
    lambda group: f"recipe {group.key.recipe_hash[:6]}",
    lambda group: f"data {group.key.fingerprint[:6]}",
    lambda group: group.key.numerics,
    lambda group: f"{group.key.processes} processes",
    lambda group: f"start {group.key.start}",
    lambda group: "bfloat16" if group.key.autocast else "float32",
)
