"""The same numbers for machines: a line of CSV for every mean and gain, with what it was measured on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.analysis import answers, checkpoint_selection, iterations, metrics, sensitivity, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms import registry
from benchmarks.arms.registry import DENSE
from benchmarks.reporting.tables import regime
from benchmarks.reporting.wording import COMPARISONS
from benchmarks.statistics.crossed import Crossed
from benchmarks.statistics.intervals import Paired

_WHERE = f"at best {metrics.PERPLEXITY} of the last phase"
_COLUMNS = [
    *("numerics", "row", "section", "scale", "reduction", "data", "synthetic", "subset", "fingerprint", "recipe"),
    *("custom", "dense_start", "quantity", "metric", "unit", "n", "mean", "sd", "low", "high", "p"),
    *("crossed_low", "crossed_high", "crossed_p", "p_holm", "verdict", "paper", "paper_mark", "paper_comparable"),
]


def overview_csv(groups: Sequence[Group], answered: Mapping[str, Row]) -> str:
    """Return the overview as CSV: a line for every group, and one for every planned row without a trial."""
    lines = [_identity(group) | _line(group, answered) for group in groups]
    lines += [_unborn(row) for row in answered.values() if row.group is None]
    return _text(pd.DataFrame(lines))


def csv(groups: Sequence[Group], answered: Mapping[str, Row]) -> str:
    """Return every mean and gain of `groups` as CSV; `answered` are the planned rows over all results.

    `low`, `high` and `p` are of t over seeds, those called `crossed` of the interval over seeds and test examples.
    """
    lines = [
        _identity(group) | line
        for group in groups
        for line in [
            *_means(group),
            *_iterations(group),
            *_gains(group, answered),
            *_chosen(group),
            *_sensitivity(group),
        ]
    ]
    return _text(pd.DataFrame(lines, columns=_COLUMNS))


def _identity(group: Group) -> dict[str, Any]:
    key = group.key
    return {
        "numerics": key.numerics,
        "row": key.row,
        "section": group.section,
        "scale": key.scale,
        "reduction": group.sample.recipe.get("reduction", ""),
        "data": key.data,
        "synthetic": group.synthetic,
        "subset": key.subset,
        "fingerprint": key.fingerprint,
        "recipe": key.recipe_hash,
        "custom": "; ".join(key.custom),
        "dense_start": key.start,
        "processes": key.processes,
    }


def _means(group: Group) -> list[dict[str, Any]]:
    row, count = group.paper, summary.count_iterations(group)
    lines = []
    for label, cells in summary.stages(group).items():
        for metric, cell in cells.items():
            line: dict[str, Any] = {"quantity": label, "metric": metric, "n": cell.n, "mean": cell.mean, "sd": cell.sd}
            line["unit"] = metrics.unit(metric, group.metric, group.sample.unit)
            published = row.figure(label, row.metric if metric == group.metric else metric, count) if row else None
            if published:
                line |= _published(group, published.value, published.mark)
            lines.append(line)
    return lines


def _iterations(group: Group) -> list[dict[str, Any]]:
    """Return all arms at the end of every phase and the gains there, where the recipe has several iterations."""
    lines: list[dict[str, Any]] = []
    over = f"gain of {LABELS['dsd']} over {LABELS['control']}"
    for stage in iterations.stages(group):
        where = f"after {stage.name} ({stage.epochs:g} epochs)"
        for name, cell in stage.tests.items() if stage.iteration else ():  # D is exported as the baseline
            line = {"quantity": f"{registry.label(name)} {where}", "metric": group.metric, "unit": group.sample.unit}
            lines.append(line | {"n": cell.n, "mean": cell.mean, "sd": cell.sd})
        if stage.gain:
            lines.append({"quantity": f"{over} {where}", "metric": group.metric} | _paired(group, stage.gain))
    unequal = iterations.unequal(group)
    if unequal:
        ours, theirs = unequal.epochs
        quantity = f"{over} after {ours:g} against {theirs:g} epochs (UNEQUAL budgets, the paper's comparison)"
        lines.append({"quantity": quantity, "metric": group.metric} | _paired(group, unequal.gain))
        if group.paper:
            lines[-1] |= _published(group, group.paper.overview.absolute, group.paper.overview.mark)
    return lines


def _gains(group: Group, answered: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Return the gains of the main arms; that of DSD over the baseline only where the control's, its next line, can be told."""
    lines = []
    row = answers.row_of(group, answered)
    for arm, over in COMPARISONS:
        paired = summary.compare(group, arm, over)
        if paired is None or ((arm, over) == ("dsd", DENSE) and not summary.over_baseline(group)):
            continue
        line: dict[str, Any] = {"quantity": f"gain of {LABELS[arm]} over {LABELS[over]}", "metric": group.metric}
        line |= _paired(group, paired)
        if found := summary.crossed(group, arm, over):
            line |= {"crossed_low": found.low, "crossed_high": found.high}
            line |= {"crossed_p": found.p} if group.quotable else {}
        if (arm, over) == COMPARISONS[0]:
            line |= {"p_holm": row.answer.p_holm if row else None, "verdict": answers.standing(group, answered)}
        if group.paper and not group.paper.iterated and (arm, over) == ("dsd", DENSE):
            line |= _published(group, group.paper.overview.absolute, group.paper.overview.mark)
        lines.append(line)
    for metric in summary.variants(group):
        paired = summary.compare(group, "dsd", "control", metric)
        if paired:
            line = {"quantity": f"gain of {LABELS['dsd']} over {LABELS['control']}", "metric": metric}
            lines.append(line | _paired(group, paired))
    return lines


def _paired(group: Group, paired: Paired) -> dict[str, Any]:
    low, high = paired.interval or (None, None)
    line = {"unit": group.sample.unit, "n": paired.n, "mean": paired.mean, "sd": paired.sd, "low": low, "high": high}
    return line | ({"p": paired.p} if group.quotable else {})


def _chosen(group: Group) -> list[dict[str, Any]]:
    """Return the means and gains at the best validation perplexity of the last phase, where that was measured."""
    lines: list[dict[str, Any]] = []
    for label, chosen in checkpoint_selection.choices(group).items():
        for metric in metrics.ordered(chosen.cells):
            cell, unit = chosen.cells[metric], metrics.unit(metric, group.metric, group.sample.unit)
            lines.append({"quantity": f"{label} {_WHERE}", "metric": metric, "unit": unit})
            lines[-1] |= {"n": cell.n, "mean": cell.mean, "sd": cell.sd}
        if chosen.gain:
            quantity = f"gain of {label} over {LABELS['control']} {_WHERE}"
            lines.append({"quantity": quantity, "metric": group.metric} | _paired(group, chosen.gain))
    return lines


def _sensitivity(group: Group) -> list[dict[str, Any]]:
    """Return the means of the arms of sensitivity, and the gains of all arms in that table over the control of each."""
    lines: list[dict[str, Any]] = []
    for one in sensitivity.choices(group):
        name = registry.label(one.arm)
        if one.arm not in summary.main_arms(group):
            lines.append({"quantity": name, "metric": group.metric, "unit": group.sample.unit})
            lines[-1] |= {"n": one.test.n, "mean": one.test.mean, "sd": one.test.sd}
        if one.gain and one.arm != "dsd":  # that one is the primary gain
            quantity = f"gain of {name} over {registry.label(one.over)}"
            lines.append({"quantity": quantity, "metric": group.metric} | _paired(group, one.gain))
    return lines


def _line(group: Group, answered: Mapping[str, Row]) -> dict[str, Any]:
    cells, primary, published = summary.stages(group), summary.primary(group), group.paper
    line: dict[str, Any] = {"metric": group.metric, "unit": group.sample.unit, "n": primary.n if primary else 0}
    for name in (DENSE, "control", "dsd"):
        cell = cells.get(LABELS[name], {}).get(group.metric)
        column = "baseline" if name == DENSE else name
        line |= {column: cell.mean if cell else None, f"{column}_sd": cell.sd if cell else None}
    both = summary.over_baseline(group) or (None, None)
    for column, paired in zip(("gain_over_baseline", "control_gain_over_baseline"), both, strict=True):
        line |= {column: paired.mean if paired else None, f"{column}_sd": paired.sd if paired else None}
    line |= {
        "gain_over_control": primary.mean if primary else None,
        "gain_over_control_sd": primary.sd if primary else None,
    }
    line |= dict(zip(("seeds_low", "seeds_high"), (primary.interval if primary else None) or (None, None), strict=True))
    line |= _crossed("", summary.crossed(group))
    line["crossed_p"] = line["crossed_p"] if group.quotable else None
    line |= _answer(answers.row_of(group, answered), answers.standing(group, answered))
    for name in ("baseline", "dsd", "absolute", "relative"):
        line[f"paper_{name}"] = getattr(published.overview, name) if published else None
    return line | {"paper_comparable": group.comparable}


def _unborn(row: Row) -> dict[str, Any]:
    """Return the line of a planned row without a trial."""
    recipe = row.wanted.recipe
    line = {"row": row.wanted.row, "section": "regime", "scale": "small", "reduction": recipe.reduction}
    return line | {"data": row.wanted.data, "recipe": recipe.hash(), "n": 0} | _answer(row, f"none: {row.lacks}")


def _answer(row: Row | None, standing: str) -> dict[str, Any]:
    """Return the two answers, with what they rest on; shares are of the control's metric (0.04 is 4 %)."""
    answer, share = (row.answer, row.answer.share) if row else (None, None)
    line: dict[str, Any] = {"verdict": standing}
    for name in ("share", "low", "high", "lower", "upper"):
        column = name if name == "share" else f"share_{name}"
        value = getattr(share, name) if share else None
        line[column] = value if value is not None and math.isfinite(value) else None
    line |= {"claim_points": row.claim.points if row else None, "claim_share": row.claim.share if row else None}
    line |= {name: getattr(answer, name) if answer else None for name in ("claim", "direction", "p_holm")}
    line |= {"gate": regime.answer(row.gate) if row and row.gate else None}
    line |= {"planned": row.wanted.seeds if row else None, "planned_have": row.have if row else None}
    line |= _crossed("text_", row.text if row else None)
    beam = row.beam if row else None
    line |= {"beam20_gain": beam.mean if beam else None}
    ends = (beam.interval if beam else None) or (None, None)
    return line | dict(zip(("beam20_seeds_low", "beam20_seeds_high"), ends, strict=True))


def _crossed(prefix: str, found: Crossed | None) -> dict[str, Any]:
    columns = ("mean", "low", "high", "lower", "upper", "p")
    return {f"{prefix}crossed_{name}": getattr(found, name) if found else None for name in columns}


def _text(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def _published(group: Group, value: float, mark: str) -> dict[str, Any]:
    return {"paper": value, "paper_mark": mark, "paper_comparable": group.comparable}
