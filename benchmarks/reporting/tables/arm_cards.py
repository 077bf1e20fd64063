"""A card per arm: its source, its authors' claims, how our version differs, and what our trials found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from benchmarks.analysis import metrics, summary
from benchmarks.analysis.groups import Group, Section
from benchmarks.arms.arm import Arm, Claim
from benchmarks.arms.registry import ARMS, label
from benchmarks.reporting import display_names, formatting, group_names
from benchmarks.reporting.document import PAGES, Block, Bullets, Cell, Column, Heading, Paragraph, Table, table
from benchmarks.reporting.wording import FROM_MEMORY, NOT_CHECKED, SELECTION

INTRODUCTION = (
    f"All uses of the budget after D. {SELECTION} *Claimed* is what the source prints. *Budget* is the method's number of "
    f"gradients divided by that of the source's comparison. {NOT_CHECKED} *Found* is the gain in our trials over the arm's "
    "reference here, in points of the row's metric (positive: the arm is better), with a 95 % interval over seeds and test "
    "examples, or over seeds only for superseded trials."
)
_RECIPES: dict[Section, str] = {"paper": "published", "regime": "smaller", "small": "superseded"}
"""The sections shown, and how the table describes their recipes."""
_Pair = tuple[Group, Arm]


def cards(groups: Sequence[Group]) -> list[Block]:
    """Return the blocks of every card. Arms that are listed together share a card."""
    shown = [group for group in groups if group.section in _RECIPES]
    every = groupby(ARMS.values(), key=lambda arm: arm.listed or arm.label)
    return [block for name, arms in every for block in _card(name, list(arms), shown)]


def _card(name: str, arms: Sequence[Arm], groups: Sequence[Group]) -> Iterator[Block]:
    meaning, card = arms[0].meaning, arms[0].card
    yield Heading(2, name)
    yield Paragraph(f"{meaning[0].upper()}{meaning[1:]}.")
    facts = {
        "In records": ", ".join(f"`{arm.name}`" for arm in arms),
        "Source": card.source,
        "Cost": _cost(arms[0]),
        "Different here": "; ".join(card.deviations),
        "Not stated in the source": "; ".join(card.unknown),
    }
    yield Bullets(tuple(f"{what}: {fact}" for what, fact in facts.items() if fact))
    yield table(_CLAIMED, card.claims, PAGES, sentences="Claimed:")
    current = [group for group in groups if not group.superseded]
    yield _found(arms, current, groups, "Found:")
    yield _found(arms, [group for group in groups if group.superseded], groups, "Found in superseded trials:")


def _cost(arm: Arm) -> str:
    costs = arm.costs
    parts = ["1 gradient" if costs.gradients_per_step == 1 else f"{costs.gradients_per_step:g} gradients"]
    parts[0] += " per step"
    parts += [f"{costs.networks_held} extra copy of the weights in memory"] if costs.networks_held else []
    parts += [f"{costs.networks_saved} in a checkpoint"] if costs.networks_saved else []
    parts += [f"{costs.closing_epochs:g} epoch of forward passes at the end"] if costs.closing_epochs else []
    return ", ".join(parts)


def _claimed(claim: Claim) -> str:
    return f"{claim.gain} {FROM_MEMORY}" if claim.mark == "M" else claim.gain


_CLAIMED: tuple[Column[Claim], ...] = (
    Column("network", "network", lambda claim: Cell(claim.network)),
    Column("data", "data", lambda claim: Cell(claim.data)),
    Column("metric", "metric", lambda claim: Cell(metrics.label(claim.metric))),
    Column("gain", "gain claimed", lambda claim: Cell(_claimed(claim), claim.gain)),
    Column("budget", "budget", lambda claim: Cell("unclear" if claim.budget is None else f"{claim.budget:g}")),
    Column("seeds", "seeds", lambda claim: Cell("not stated" if claim.seeds is None else str(claim.seeds))),
    Column("where", "where", lambda claim: Cell(claim.where)),
)


def _found(arms: Sequence[Arm], chosen: Sequence[Group], groups: Sequence[Group], sentences: str) -> Table:
    """Return the gains of the arms in the `chosen` of all `groups`. An arm without a reference or without gains has no row."""

    def both(pair: _Pair) -> tuple[str, ...]:
        return summary.trials(pair[0], pair[1].name, pair[1].compared_with)

    def gain(pair: _Pair) -> Cell:
        group, arm = pair
        return Cell(formatting.gain(group, arm.name, arm.compared_with), trials=both(pair))

    columns: list[Column[_Pair]] = [
        Column("network", "network", lambda pair: Cell(group_names.name(pair[0]), trials=both(pair))),
        Column("data", "data", lambda pair: Cell(group_names.where(pair[0], groups))),
        Column("recipe", "recipe", lambda pair: Cell(_RECIPES[pair[0].section])),
        Column("metric", "metric", lambda pair: Cell(display_names.metric_name(pair[0].metric, pair[0]))),
        Column("arm", "arm", lambda pair: Cell(pair[1].label)),
        Column("over", "over", lambda pair: Cell(label(pair[1].compared_with))),
        Column("gain", "gain found [95 %]", gain),
        Column("n", "n", lambda pair: Cell(str(len(both(pair))), len(both(pair)), both(pair))),
    ]
    pairs = [(group, arm) for group in chosen for arm in arms if arm.name != arm.compared_with]
    return table(columns, [pair for pair in pairs if both(pair)], PAGES, sentences=sentences)
