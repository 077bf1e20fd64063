"""The same numbers for machines: a line of CSV for every mean and gain, with what it was measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks import iterations, metrics, selection, sensitivity, summary
from benchmarks.group import Group, Key
from benchmarks.render import COMPARISONS
from benchmarks.statistics import Paired
from benchmarks.summary import DENSE, LABELS

_WHERE = f"at best {metrics.PERPLEXITY} of the last phase"
_COLUMNS = [
    *("numerics", "row", "scale", "data", "synthetic", "subset", "fingerprint", "recipe", "custom", "dense_start"),
    *("quantity", "metric", "unit", "n", "mean", "sd", "low", "high", "p", "p_holm", "verdict", "seeds_needed"),
    *("over_examples_low", "over_examples_high"),
    *("paper", "paper_mark", "paper_comparable"),
]


def overview_csv(groups: Sequence[Group], adjusted: Mapping[Key, float]) -> str:
    """Return the overview as CSV, a line for every group."""
    frame = pd.DataFrame([_identity(group) | _line(group, adjusted) for group in groups])
    if groups:
        frame = frame.astype({"seeds_needed": "Int64"})
    return _text(frame)


def csv(groups: Sequence[Group], adjusted: Mapping[Key, float]) -> str:
    """Return every mean and gain of `groups` as CSV; `adjusted` are the Holm-adjusted p values over all results."""
    lines = [
        _identity(group) | line
        for group in groups
        for line in [
            *_means(group),
            *_iterations(group),
            *_gains(group, adjusted),
            *_chosen(group),
            *_sensitivity(group),
        ]
    ]
    frame = pd.DataFrame(lines, columns=_COLUMNS).astype({"seeds_needed": "Int64"})
    return _text(frame)


def _identity(group: Group) -> dict[str, Any]:
    key = group.key
    return {
        "numerics": key.numerics,
        "row": key.row,
        "scale": key.scale,
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
            line = {"quantity": f"{summary.label(name)} {where}", "metric": group.metric, "unit": group.sample.unit}
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


def _gains(group: Group, adjusted: Mapping[Key, float]) -> list[dict[str, Any]]:
    lines = []
    for arm, over in COMPARISONS:
        paired = summary.compare(group, arm, over)
        if paired is None:
            continue
        line: dict[str, Any] = {"quantity": f"gain of {LABELS[arm]} over {LABELS[over]}", "metric": group.metric}
        line |= _paired(group, paired)
        if (arm, over) == ("dsd", "control"):
            line |= {"p_holm": adjusted.get(group.key), "verdict": summary.verdict(group)}
            line |= {"seeds_needed": summary.needed(group)} | _over_examples(group)
        if group.paper and not group.paper.iterated and (arm, over) == ("dsd", DENSE):
            line |= _published(group, group.paper.overview.absolute, group.paper.overview.mark)
        lines.append(line)
    for metric in metrics.variants({m for cells in summary.stages(group).values() for m in cells}, group.metric):
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
    for label, chosen in selection.choices(group).items():
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
        name = summary.label(one.arm)
        if one.arm not in summary.main_arms(group):
            lines.append({"quantity": name, "metric": group.metric, "unit": group.sample.unit})
            lines[-1] |= {"n": one.test.n, "mean": one.test.mean, "sd": one.test.sd}
        if one.gain and one.arm != "dsd":  # that one is the primary gain
            quantity = f"gain of {name} over {summary.label(one.over)}"
            lines.append({"quantity": quantity, "metric": group.metric} | _paired(group, one.gain))
    return lines


def _line(group: Group, adjusted: Mapping[Key, float]) -> dict[str, Any]:
    cells, primary, row = summary.stages(group), summary.primary(group), group.paper
    over_baseline = summary.compare(group, "dsd", DENSE)
    line: dict[str, Any] = {"metric": group.metric, "unit": group.sample.unit, "n": primary.n if primary else 0}
    for name in (DENSE, "control", "dsd"):
        cell = cells.get(LABELS[name], {}).get(group.metric)
        column = "baseline" if name == DENSE else name
        line |= {column: cell.mean if cell else None, f"{column}_sd": cell.sd if cell else None}
    for column, paired in (("gain_over_baseline", over_baseline), ("gain_over_control", primary)):
        low, high = (paired.interval if paired else None) or (None, None)
        line |= {column: paired.mean if paired else None, f"{column}_sd": paired.sd if paired else None}
        line |= {f"{column}_low": low, f"{column}_high": high}
    line["relative"] = summary.relative(group)
    line |= {"p": primary.p if primary and group.quotable else None, "p_holm": adjusted.get(group.key)}
    line |= {"verdict": summary.verdict(group), "half_width": primary.half_width if primary else None}
    line |= {"seeds_needed": summary.needed(group)} | _over_examples(group)
    for name in ("baseline", "dsd", "absolute", "relative"):
        line[f"paper_{name}"] = getattr(row.overview, name) if row else None
    return line | {"paper_comparable": group.comparable}


def _over_examples(group: Group) -> dict[str, Any]:
    """Return the primary gain's interval over test examples, seeds averaged, empty where there is none."""
    found = summary.over_examples(group)
    return {"over_examples_low": found.low if found else None, "over_examples_high": found.high if found else None}


def _text(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n", float_format="%.6g"))


def _published(group: Group, value: float, mark: str) -> dict[str, Any]:
    return {"paper": value, "paper_mark": mark, "paper_comparable": group.comparable}
