"""The sensitivity figure: gain over the control by sparsity, and for other uses of the budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from benchmarks.analysis import sensitivity, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.sensitivity import Choice
from benchmarks.arms import registry
from benchmarks.arms.registry import ARMS
from benchmarks.reporting import display_names
from benchmarks.reporting.figures import canvas
from benchmarks.reporting.figures.canvas import COLOURS
from benchmarks.reporting.tables import sensitivity as sensitivity_table

_SWEPT, _OTHER, _ZERO = "#A65E00", COLOURS["llr"], COLOURS["control"]


def draw(group: Group, path: Path) -> None:
    """Draw the gains of one group's arms over the control: by sparsity on the left, the other arms on the right.

    Each gain has a dot per seed and, for three or more seeds, mean and 95 % interval. If there is only one sparsity, it is listed
    with the other arms.

    Raises:
        ValueError: no record of the group has both a sensitivity arm and the control.
    """
    found = sensitivity.choices(group)
    if not found:
        raise ValueError(f"{path.name}: no record of {group.key.row} has both a sensitivity arm and the control")
    swept = [one for one in found if one.sparsity is not None]
    swept = swept if len(swept) > 1 else []
    others = [one for one in found if one not in swept]
    unit = f"gain over control, points of {display_names.metric_name(group.metric, group).removesuffix(' %')}"
    with canvas.blank(7.5, max(3.3 if swept else 1.4, 1.2 + 0.4 * len(others))) as figure:
        panels = [(draw, of) for draw, of in ((_by_sparsity, swept), (_list, others)) if of]
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (draw, of) in zip(axes, panels, strict=True):
            draw(ax, of, unit)
        question = _question(bool(swept), bool(others))
        own = f"DSD's own sparsity: {sensitivity_table.own_sparsity(group)}"
        over = "seeds and test examples" if group.quotable else "seeds"
        small = f"Dots: seeds. Diamond and line: mean and 95 % interval over {over}, from three seeds on. {own}. "
        canvas.titled(figure, question, f"{small}{canvas.small_print(group)}")
        canvas.save(figure, path, group.records)


def _question(swept: bool, others: bool) -> str:
    """Return the title for a figure of DSD by sparsity, of other uses of the budget, or of both."""
    if swept and others:
        return "Does another sparsity, or another use of the budget, beat the control?"
    return "Does another sparsity beat the control?" if swept else "Do other uses of the budget beat the control?"


def _by_sparsity(ax: Axes, swept: Sequence[Choice], unit: str) -> None:
    ax.axhline(0, color=_ZERO, linewidth=1, linestyle="--", zorder=1)
    where = [one.sparsity or 0.0 for one in swept]
    ax.plot(where, [summary.average(one.gains).mean for one in swept], color="#999999", zorder=1)
    for at, one in zip(where, swept, strict=True):
        colour = COLOURS["dsd"] if one.arm == "dsd" else _SWEPT
        canvas.gain(ax, at, one.gains, one.interval, colour, upright=True)
    ax.text(99, 0, "control", color=_ZERO, ha="right", va="bottom", fontsize=8)
    ax.set_xlim(-4, 99)
    ax.set_xticks(range(0, 91, 10))
    ax.set_xlabel("sparsity of S (%)")
    ax.set_ylabel(unit)


def _list(ax: Axes, others: Sequence[Choice], unit: str) -> None:
    ax.axvline(0, color=_ZERO, linewidth=1, linestyle="--", zorder=1)
    for y, one in enumerate(others):
        colour = COLOURS["dsd"] if one.arm == "dsd" else _OTHER
        canvas.gain(ax, y, one.gains, one.interval, colour)
    ax.set_yticks(range(len(others)), [_label(one) for one in others], fontsize=8)
    ax.set_ylim(len(others) - 0.4, -0.6)
    ax.set_xlabel(unit.replace(", ", ",\n"))


def _label(one: Choice) -> str:
    """Return the arm, the arm that it is compared with if that is not the control, and the number of seeds."""
    own = "" if one.over == "control" else ",\nover its own control"
    return f"{ARMS[one.arm].short or registry.label(one.arm)}{own}, n = {len(one.gains)}"
